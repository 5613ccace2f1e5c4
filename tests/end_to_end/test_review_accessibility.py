"""The review page for everybody: axe, keyboard, screen readers, phones, zoom, forced colours and less motion."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from review_browser_helpers import COATS, GUARDED, Served, focused, open_page, press, wait_for_count, wait_for_status

pytestmark = pytest.mark.slow

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SHAPES = {
    "light desktop": DESKTOP | {"color_scheme": "light"},
    "dark desktop": DESKTOP | {"color_scheme": "dark"},
    "light phone": PHONE | {"color_scheme": "light"},
    "dark phone": PHONE | {"color_scheme": "dark"},
}


def _grid(page: Any) -> None:
    press(page, "ArrowRight", " ", "End")


def _decided(page: Any) -> None:
    press(page, "2", "x", "ArrowLeft")
    wait_for_count(page, ".card.decided", 2)


def _single(page: Any) -> None:
    press(page, "1", "ArrowLeft", "o")
    page.locator("#single[open] .history").wait_for()


def _chooser(page: Any) -> None:
    press(page, "/")
    page.keyboard.type("s")


def _help(page: Any) -> None:
    press(page, "?")


def _filters(page: Any) -> None:
    page.get_by_text("Filter", exact=True).click()


def _empty(page: Any) -> None:
    page.goto(page.url.partition("/review")[0] + "/review?text=no+such+photo")


def _error(page: Any) -> None:
    page.goto(page.url.partition("/review")[0] + "/review/photo/99999")


def _photo(page: Any) -> None:
    page.goto(page.url.partition("/review")[0] + "/review/photo/1")


def _nights(page: Any) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name="Nights").click()
    page.get_by_role("heading", name="Nights", exact=True).wait_for()


STATES: tuple[Callable[[Any], None], ...] = (
    _grid,
    _decided,
    _single,
    _chooser,
    _help,
    _filters,
    _empty,
    _error,
    _photo,
    _nights,
)


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(params=SHAPES)
def shaped(request: pytest.FixtureRequest, chromium: Any, served: Served) -> Iterator[Any]:
    """The review's first page on a desktop and a phone, light and dark."""
    with chromium.new_context(**SHAPES[request.param]) as context:
        page, _ = open_page(context, served)
        yield page


def test_axe_finds_nothing(shaped: Any, axe: str) -> None:
    """Neither of WCAG 2.2, levels A and AA, nor of its best practices, in any state of any page; nothing overflows sideways."""
    start = shaped.url
    found = {}
    for state in STATES:
        shaped.goto(start)
        state(shaped)
        shaped.evaluate(axe)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result = shaped.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", tags)
        for one in result["violations"]:
            found[state.__name__, one["id"]] = [node["html"][:200] + node["failureSummary"] for node in one["nodes"][:2]]
        if shaped.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[state.__name__, "overflow"] = [str(shaped.evaluate("document.documentElement.scrollWidth"))]
    assert found == {}


def tab_stops(page: Any) -> list[str]:
    """Press Tab until the focus is back where it began; return the texts of what had it, all of which showed that."""
    stops = []
    for _ in range(60):
        press(page, "Tab")
        name, outline = page.evaluate(
            "(() => { const one = document.activeElement;"
            " return [one === document.body ? '' : one.className + ' ' + (one.innerText || one.id),"
            " getComputedStyle(one).outlineStyle + getComputedStyle(one).outlineWidth]; })()"
        )
        if not name or name in stops:
            break
        assert outline != "none0px", name
        stops.append(name.strip())
    return stops


def test_the_grid_is_one_stop_of_the_keyboard(page: Any) -> None:
    """From the focused photo, Tab leads to the buttons, whatever the number of photos; every stop shows the focus."""
    press(page, "ArrowRight")
    stops = tab_stops(page)
    assert stops[0].startswith("1 Coat") or "Coat" in stops[0]
    assert sum(stop.startswith("card") for stop in stops) <= 1
    assert len(stops) < 30


def test_the_focus_is_never_lost(page: Any) -> None:
    """After a decision by button, after every dialog, after an accept and after the last photo of a tag it is on a photo."""
    page.get_by_role("button", name="2 Bag").focus()
    press(page, "Enter")
    page.locator(".card:focus", has_text=COATS[1]).wait_for()
    for opening in ("/", "?", "o"):
        press(page, opening)
        page.locator("dialog[open]").wait_for()
        press(page, "Escape")
        page.locator(".card:focus", has_text=COATS[1]).wait_for()
    page.get_by_role("button", name="Accept").focus()
    press(page, "Enter")
    page.locator(".card:focus", has_text=GUARDED).wait_for()
    press(page, "1")
    page.locator(".card:focus", has_text="bag-0").wait_for()


def test_a_button_keeps_the_focus_while_others_decide(chromium: Any, page: Any, served: Served) -> None:
    """The labels on the keys stay the same elements as long as they are the same labels."""
    button = page.locator("footer").get_by_role("button", name="2 Bag")
    button.focus()
    with chromium.new_context() as context:
        other, _ = open_page(context, served)
        press(other, "End", "x")
        page.locator(".card.decided", has_text=COATS[7]).wait_for()
    assert button.evaluate("one => one === document.activeElement")


def test_a_screen_reader_has_names_and_roles(page: Any) -> None:
    """Landmarks, a grid of rows with path, tags and decision as names, selected when ticked, groups with a current one."""
    press(page, "2", " ")
    page.locator(".card.decided").wait_for()
    tree = page.locator("body").aria_snapshot()
    for line in (
        "- banner:",
        "- main:",
        "- contentinfo",
        '- navigation "Predicted tags":',
        '- grid "Coat 7 to review, the most doubtful first":',
        f'- row "{COATS[0]} Coat 50 % Bag 30 % Bag (Ada)":',
        f'- row "{COATS[1]} Coat 51 % Bag 30 %" [selected]:',
        f'checkbox "Tick {COATS[1]}" [checked]',
        '- group "Decide on the focused photo, or on all that are ticked":',
        "- status: ",
    ):
        assert line in tree, line
    assert page.locator(".groups a").first.get_attribute("aria-current") == "true"


def test_the_chooser_tells_a_screen_reader_what_is_active(page: Any) -> None:
    """A combobox whose active option follows the arrows."""
    press(page, "/")
    page.keyboard.type("s")
    press(page, "ArrowDown")
    box = page.get_by_role("combobox", name="Type the beginning of a label")
    active = page.locator(f"#{box.get_attribute('aria-activedescendant')}")
    assert (active.get_attribute("aria-selected"), active.inner_text()) == ("true", "Shirt")


def test_a_phone_decides_by_touch(chromium: Any, served: Served) -> None:
    """A tap chooses a photo, a second one opens it, the buttons decide; photos take most of the screen."""
    with chromium.new_context(**PHONE) as context:
        page, wrong = open_page(context, served)
        bar = page.locator(".actions").bounding_box()
        assert bar["height"] < 844 * 0.2
        assert page.locator(".card").first.bounding_box()["y"] < 844 * 0.3
        page.locator(".card img").nth(1).tap()
        assert focused(page) == COATS[1]
        page.locator("footer").get_by_role("button", name="Bag").tap()
        wait_for_status(page, f"{COATS[1]}: Bag. 12 left")
        page.locator(".card .tick").nth(3).tap()
        page.locator(".card .tick").nth(4).tap()
        page.get_by_role("button", name="None").tap()
        wait_for_status(page, "10 left")
        page.locator(".card img").nth(6).tap()
        page.locator(".card img").nth(6).tap()
        page.locator("#single").get_by_role("button", name="Other").tap()
        page.locator("#chooser-list li", has_text="Dress").tap()
        wait_for_status(page, f"{COATS[6]}: Dress. 9 left")
        page.get_by_role("button", name="Close").tap()
        page.get_by_role("button", name="Undo").tap()
        wait_for_status(page, "10 left")
        page.get_by_role("button", name="Accept").tap()
        wait_for_status(page, "4 photos: Coat. 6 left")
        assert served.counting() == {COATS[1]: "Bag", COATS[3]: "", COATS[4]: ""} | dict.fromkeys(
            [COATS[0], *COATS[5:]], "Coat"
        )
        assert wrong == []


def test_targets_are_large_enough_for_a_finger(chromium: Any, served: Served) -> None:
    """At least 24 pixels each way, in the grid, the single view and the chooser."""
    with chromium.new_context(**PHONE) as context:
        page, _ = open_page(context, served)
        small = []
        for keys in ((), ("o",), ("Escape", "/")):
            press(page, *keys)
            page.wait_for_timeout(300)
            small += page.eval_on_selector_all(
                "a, button, select, summary, .tick, [role=option]",
                "all => all.filter(one => one.checkVisibility() && !one.closest('.skip')).map(one => [one.innerText,"
                " one.getBoundingClientRect().width, one.getBoundingClientRect().height])"
                ".filter(([, width, height]) => width < 24 || height < 24)",
            )
        assert small == []


def test_it_can_be_read_at_twice_the_size(chromium: Any, served: Served) -> None:
    """At 200 % of a desktop, as at half its width, nothing is cut off, and photos are left in view."""
    with chromium.new_context(viewport={"width": 640, "height": 400}, device_scale_factor=2) as context:
        page, _ = open_page(context, served)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator(".actions").bounding_box()["height"] < 400 * 0.4
        press(page, "End")
        card, bar = page.locator(".card:focus").bounding_box(), page.locator(".actions").bounding_box()
        assert card["y"] >= 0
        assert card["y"] + 100 < bar["y"]


def test_less_motion_and_forced_colours(chromium: Any, served: Served) -> None:
    """Nothing moves where less motion is wanted; with forced colours the focus, the ticked and the current can be told."""
    with chromium.new_context(reduced_motion="reduce", forced_colors="active") as context:
        page, _ = open_page(context, served)
        press(page, " ", "ArrowRight")
        moving = "all => all.filter(one => getComputedStyle(one).transitionDuration !== '0s').length"
        assert page.eval_on_selector_all("*", moving) == 0
        outline = "one => getComputedStyle(one).outlineStyle"
        for selector in (".card.ticked", ".card:focus", ".groups a[aria-current]"):
            assert page.eval_on_selector(selector, outline) == "solid"
