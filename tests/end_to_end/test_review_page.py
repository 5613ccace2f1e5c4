"""What the review page shows in a real browser: groups, filters, counter, one photo, and names that would do harm as HTML."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import draw_photo
from review_browser_helpers import (
    BAGS,
    COATS,
    CUT,
    GUARDED,
    VIEWPORT,
    Served,
    decided,
    fmtag_run,
    focused,
    open_page,
    paths,
    press,
    serve,
    set_probabilities,
    wait_for_count,
    wait_for_status,
)

pytestmark = pytest.mark.slow


def test_photos_are_grouped_by_tag_the_most_doubtful_first(page: Any) -> None:
    """The tag with the most photos first; each card has its best tags with their probabilities; what is broken is a group."""
    groups = page.get_by_role("navigation", name="Predicted tags").get_by_role("link").all_inner_texts()
    assert [text.split() for text in groups] == [["Coat", "8"], ["Bag", "4"], ["Could", "not", "be", "read", "1"]]
    assert paths(page) == COATS
    assert page.locator(".card .best").first.inner_text().split() == ["Coat", "50", "%", "Bag", "30", "%"]
    assert page.locator("#counter").inner_text() == "13 left, about a minute"
    with page.expect_navigation():
        page.get_by_role("link", name="Could not be read 1").click()
    assert paths(page) == [CUT]
    assert page.locator(".card .guard").inner_text() == "cut off or damaged"
    assert page.get_by_role("button", name="Accept").count() == 0


def test_pictures_are_shown(page: Any) -> None:
    """All of a page are loaded, each in the width of its card."""
    page.wait_for_load_state("networkidle")
    widths = page.eval_on_selector_all(".card img", "all => all.map(one => one.naturalWidth)")
    assert len(widths) == 8
    assert min(widths) >= 200


def test_filters_leave_what_they_say(page: Any, served: Served) -> None:
    """Folder, reason, night and a column of the table, through the form; the counter and the groups count what is left."""
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Folder").select_option("shop/old/")
    with page.expect_navigation():
        page.get_by_role("button", name="Apply").click()
    page.get_by_role("heading", name="Bag 4 to review").wait_for()
    assert page.locator("#counter").inner_text().startswith("5 left")
    press(page, "1")
    wait_for_status(page, "4 left")
    assert [text.split()[-1] for text in page.locator(".groups a").all_inner_texts()] == ["3", "1"]
    assert page.locator("#heading").inner_text() == "Bag 3 to review, the most doubtful first"
    page.get_by_label("Reason").select_option("truncated")
    with page.expect_navigation():
        page.get_by_role("button", name="Apply").click()
    page.get_by_role("heading", name="Could not be read 1").wait_for()
    with page.expect_navigation():
        page.get_by_role("link", name="Clear").click()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Column").select_option("sku")
    page.get_by_label("contains").fill("sku-003")
    with page.expect_navigation():
        press(page, "Enter")
    wait_for_count(page, ".card", 1)
    assert (paths(page), focused(page)) == ([COATS[3]], COATS[3])
    page.get_by_label("contains").fill("no such")
    with page.expect_navigation():
        press(page, "Enter")
    page.get_by_role("heading", name="No photo fits the filters").wait_for()
    with page.expect_navigation():
        page.get_by_role("link", name="Clear").click()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Show").select_option("decided")
    with page.expect_navigation():
        page.get_by_role("button", name="Apply").click()
    wait_for_count(page, ".card.decided", 1)
    assert (paths(page), served.counting()) == ([BAGS[0]], {BAGS[0]: "Bag"})


def test_a_decision_can_be_changed_where_it_is_shown(page: Any, served: Served) -> None:
    """Among the decided ones; its card shows the new one."""
    press(page, "2")
    wait_for_status(page, "12 left")
    page.goto(f"{served.origin}/review?show=decided")
    press(page, "1")
    page.get_by_text("Coat (Ada)").wait_for()
    assert served.counting() == {COATS[0]: "Coat"}


def test_one_photo_with_all_that_is_known_of_it(page: Any, served: Served) -> None:
    """The photo, what the networks saw, bars, the row of the table, why it was flagged, and the decisions in their order."""
    press(page, "2", "ArrowLeft", "o")
    single = page.get_by_role("dialog", name=COATS[0])
    single.wait_for()
    wait_for_status(page, "12 left")
    single.get_by_text("Ada: Bag (was Coat 0.5000)").wait_for()  # the view is made anew with the decision
    assert single.locator(".why").inner_text().startswith("Flagged: ")
    assert [bar.get_attribute("value") for bar in single.get_by_role("meter").all()][:3] == ["0.5", "0.3", "0.1"]
    assert single.locator(".cells").inner_text().split() == ["image", COATS[0], "sku", "SKU-000", "title", "Product", "0"]
    for name in (f"The photo {COATS[0]}", "The product in grey", "The product in colour"):
        picture = single.get_by_role("img", name=name)
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    box, facts = single.bounding_box(), single.locator(".facts").bounding_box()
    assert box["y"] + box["height"] <= VIEWPORT["height"]
    assert single.locator(".large img").bounding_box()["height"] > 400
    assert facts["y"] + facts["height"] <= box["y"] + box["height"]


def test_an_old_answer_does_not_hide_a_decision(page: Any, served: Served) -> None:
    """A photo that was requested before the decision on it was on disk is shown with it, whichever answer comes last."""
    held: list[tuple[Any, Any]] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/review/photo/*?fragment=1", hold_the_first)
    press(page, "o")
    while not held:
        page.wait_for_timeout(20)
    press(page, "2")
    wait_for_status(page, "12 left")
    press(page, "ArrowLeft", "o")
    single = page.get_by_role("dialog", name=COATS[0])
    single.get_by_text("Ada: Bag (was Coat 0.5000)").wait_for()
    route, response = held[0]
    route.fulfill(response=response)
    page.wait_for_timeout(300)
    assert single.get_by_text("Ada: Bag (was Coat 0.5000)").is_visible()


def test_the_view_may_be_closed_while_the_next_photo_is_on_its_way(page: Any, served: Served) -> None:
    """The focus is on that photo, so that the next key is not about the one that was just decided; the view stays closed."""
    press(page, "o")
    page.get_by_role("dialog", name=COATS[0]).wait_for()
    held: list[Any] = []
    page.route("**/review/photo/*?fragment=1", lambda route: held.append(route))  # a built-in has no room for its mark
    press(page, "2")
    wait_for_status(page, "12 left")
    press(page, "Escape")
    page.locator("#single").wait_for(state="hidden")
    page.wait_for_function("path => document.activeElement.querySelector('.path')?.textContent === path", arg=COATS[1])
    for route in held:
        route.continue_()
    page.wait_for_timeout(300)
    assert (page.locator("#single").is_visible(), focused(page)) == (False, COATS[1])


def test_a_key_right_after_the_view_is_about_the_photo_that_it_showed(page: Any, served: Served) -> None:
    """Also where it comes before the browser tells that the view is closed: the focus is then still on another card."""
    press(page, "o")
    page.get_by_role("dialog", name=COATS[0]).wait_for()
    press(page, "2")
    page.get_by_role("dialog", name=COATS[1]).wait_for()
    page.evaluate(
        """() => {
            document.getElementById("single").close();
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }));
        }"""
    )
    page.get_by_role("heading", name=f"Label of {COATS[1]}").wait_for()
    page.keyboard.type("Dress")
    press(page, "Enter")
    wait_for_status(page, f"{COATS[1]}: Dress.")
    assert decided(page) == [COATS[0], COATS[1]]
    page.wait_for_function("path => document.activeElement.querySelector('.path')?.textContent === path", arg=COATS[2])


def test_one_photo_after_another(page: Any, served: Served) -> None:
    """Next and previous by arrows and buttons, deciding without closing, and back to the grid with the focus on the photo."""
    press(page, "o")
    page.get_by_role("dialog", name=COATS[0]).wait_for()
    press(page, "ArrowRight")
    page.get_by_role("dialog", name=COATS[1]).wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("dialog", name=COATS[2]).wait_for()
    assert page.evaluate("document.activeElement.textContent").split() == ["→", "Next"]
    press(page, "ArrowLeft")
    page.get_by_role("dialog", name=COATS[1]).wait_for()
    press(page, "2")
    page.get_by_role("dialog", name=COATS[2]).wait_for()
    press(page, "/")
    page.keyboard.type("dress")
    press(page, "Enter")
    page.get_by_role("dialog", name=COATS[3]).wait_for()
    press(page, "Enter", " ")
    press(page, "u")
    page.get_by_role("dialog", name=COATS[2]).wait_for()
    press(page, "Escape")
    page.locator(".card:focus", has_text=COATS[2]).wait_for()
    assert served.counting() == {COATS[1]: "Bag"}


def test_the_guarded_photo_says_so(page: Any) -> None:
    """On its card and to screen readers; the accept counts without it."""
    row = page.get_by_role("row", name=f"{GUARDED} Coat 52 % Sandal 30 % May be Sandal, a rare label")
    assert row.count() == 1
    assert page.get_by_role("button", name="Accept 7 as Coat").count() == 1


HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    "\"'><script>alert(2).jpg",
    "👕 emoji & amp; {{ 7*7 }}.jpg",
    "right \u202egpj.exe.jpg",
    "escape \x1b[31m red.jpg",
    "javascript:alert(3).jpg",
)

HOSTILE_LABEL = "<b onmouseover=alert(4)>\"'&lt; 👕 שמלה"


def test_names_and_labels_are_text(chromium: Any, served: Served, small_bundle: Path) -> None:
    """HTML, quotes, emoji, marks of direction and escape sequences in paths, cells and labels are shown and run nothing."""
    table = served.folder / "products.csv"
    for number, name in enumerate(HOSTILE):
        draw_photo(100 + number).save(served.folder / "shop" / "new" / name)
    rows = ['"' + f"shop/new/{name}".replace('"', '""') + '",<i>sku</i>,</dd><script>alert(5)</script>' for name in HOSTILE]
    table.write_text(table.read_text() + "\n".join([*rows, ""]), encoding="utf-8")
    fmtag_run(served.folder, small_bundle)
    for name in HOSTILE:
        set_probabilities(served.ledger, f"shop/new/{name}", {"Dress": 0.5, "Bag": 0.3, "Coat": 0.1})
    with closing(sqlite3.connect(served.ledger)) as sql:
        sql.execute("UPDATE items SET tag = '<u>Dress</u>' WHERE tag = 'Dress'")
        sql.commit()
    with serve(served.folder, "--favourite", HOSTILE_LABEL) as again, chromium.new_context() as context:
        page, wrong = open_page(context, again, "tag=%3Cu%3EDress%3C%2Fu%3E")
        page.get_by_role("heading", name="<u>Dress</u> 6 to review").wait_for()
        shown = paths(page)
        assert shown[:2] == [f"shop/new/{name}" for name in HOSTILE[:2]]
        assert all(text.isprintable() for text in shown)
        press(page, "o")
        page.locator("#single .cells dd", has_text="<i>sku</i>").wait_for()
        press(page, "4")
        wait_for_status(page, f"{shown[0]}: {HOSTILE_LABEL}.")
        press(page, "Escape", "/")
        page.keyboard.type("<script>alert(6)</script>")
        press(page, "Enter")
        wait_for_status(page, "<script>alert(6)</script>. ")
        page.goto(f"{again.origin}/review?show=decided&text=%3Cscript%3Ealert(7)%3C/script%3E&folder=%22onload=alert(8)")
        page.goto(f"{again.origin}/review?show=decided")
        assert page.locator(".decision").all_inner_texts() == [f"{HOSTILE_LABEL} (Ada)", "<script>alert(6)</script> (Ada)"]
        page.goto(f"{again.origin}/review/photo/{page.locator('.card').first.get_attribute('data-item')}")
        assert page.locator("script, [onerror], [onmouseover], b b").count() == 0
        assert wrong == []
