"""The page that tries a photo, in a real browser: by mouse and by keyboard, in light and dark, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import draw_photo
from review_browser_helpers import CHROMIUM
from service_helpers import TOKEN, server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")]

EVIL = "<img src=x onerror=alert(1)>\u202egpj.exe.jpg"


@pytest.fixture(scope="module")
def address(fused_bundle: Path) -> Iterator[str]:
    """The address of a server that needs a token."""
    with server(fused_bundle, "--quiet", FMTAG_SERVE_TOKEN=TOKEN) as (_, found):
        yield found


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo whose name is HTML and turns the direction of writing."""
    draw_photo(3).save(tmp_path / EVIL)
    return tmp_path / EVIL


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_a_photo_is_tagged_on_the_page(
    browser: Any, address: str, photo: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    """With the token; its name is text; all tags, what the networks saw, no error of the policy, no wider than the screen."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a photo")
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: pytest.fail("a script of a name was run"))
        page.goto(address)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_label("Choose photos").set_input_files([photo, broken])
        results = page.locator("article.result")
        results.nth(1).wait_for()
        assert page.get_by_role("status").inner_text().startswith("2 photos, ")
        assert results.nth(0).get_by_role("heading", level=2).inner_text() == EVIL.replace("\u202e", "\\u202e")
        assert results.nth(0).get_by_role("meter").count() == 10
        seen = results.nth(0).locator(".seen img")
        assert seen.count() == 2
        widths = [seen.nth(at).evaluate("image => image.decode().then(() => image.naturalWidth)") for at in range(2)]
        assert widths == [28, 224]
        assert "not_an_image" in results.nth(1).inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 22, 26)"
        )
        assert problems == []


def test_a_wrong_token_is_told_and_forgotten(browser: Any, address: str, photo: Path) -> None:
    """In the page's status; after a reload the field is empty, and nothing is stored."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Token").fill("wrong")
        page.get_by_label("Choose photos").set_input_files(photo)
        page.get_by_text("The token is not one of the server's.").wait_for()
        page.reload()
        assert page.get_by_label("Token").input_value() == ""
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_a_photo_can_be_dropped_or_chosen_by_keyboard(browser: Any, address: str) -> None:
    """Dropped anywhere; the field, which the browser opens by Enter, is reached by Tab."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "photos"
        page.evaluate(
            """async () => {
                const canvas = new OffscreenCanvas(80, 80), context = canvas.getContext("2d");
                context.fillStyle = "white"; context.fillRect(0, 0, 80, 80);
                context.fillStyle = "navy"; context.fillRect(20, 20, 40, 45);
                const transfer = new DataTransfer();
                transfer.items.add(new File([await canvas.convertToBlob({ type: "image/png" })], "drawn.png"));
                document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
            }"""
        )
        page.locator("article.result").wait_for()
        assert page.get_by_role("heading", level=2).inner_text() == "drawn.png"


def test_the_documentation_is_a_page_of_its_own(browser: Any, address: str) -> None:
    """Reached from the first page, without an error of the policy, and not wider than a phone."""
    with browser.new_context(viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.goto(address)
        with page.expect_navigation():
            page.get_by_role("link", name="Interface").click()
        page.get_by_role("heading", name="POST /v1/tags").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert problems == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(browser: Any, address: str, photo: Path, axe: str, scheme: str, width: int) -> None:
    """Neither of WCAG 2.2, levels A and AA, nor of its best practices: before and after a photo, and in the documentation."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = {}

    def check(page: Any, state: str) -> None:
        page.evaluate(axe)
        result = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", tags)
        for one in result["violations"]:
            found[state, one["id"]] = [node["html"][:200] + node["failureSummary"] for node in one["nodes"][:2]]

    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(address)
        check(page, "empty")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_label("Choose photos").set_input_files(photo)
        page.locator("article.result").wait_for()
        check(page, "tagged")
        page.goto(f"{address}/docs")
        check(page, "documentation")
    assert found == {}
