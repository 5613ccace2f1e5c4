"""The review page by keyboard alone, in a real browser: moving, ticking, deciding, accepting, undoing."""

from typing import Any

import pytest
from review_browser_helpers import (
    BAGS,
    COATS,
    GUARDED,
    Served,
    decided,
    focused,
    open_page,
    paths,
    press,
    ticked,
    wait_for_count,
    wait_for_status,
)

pytestmark = pytest.mark.slow


def test_arrows_move_and_never_decide(page: Any, served: Served) -> None:
    """From row to row, to both ends, at the ends and held down: the ledger has no decision afterwards."""
    assert focused(page) == COATS[0]
    press(page, "ArrowRight")
    assert focused(page) == COATS[1]
    press(page, "ArrowLeft", "ArrowLeft")
    assert focused(page) == COATS[0]
    press(page, "End", "ArrowRight")
    assert focused(page) == COATS[7]
    press(page, "Home", "ArrowDown")
    assert COATS.index(focused(page)) > 1
    press(page, "ArrowUp", "ArrowUp")
    assert focused(page) == COATS[0]
    page.set_viewport_size({"width": 700, "height": 600})
    for _ in range(40):  # the browser says that the key is held down from the second one on
        page.keyboard.down("ArrowDown")
    page.keyboard.up("ArrowDown")
    assert COATS.index(focused(page)) >= 4
    page.wait_for_timeout(200)
    assert (served.decisions(), decided(page)) == ([], [])


def test_digits_decide_and_go_on(page: Any, served: Served) -> None:
    """The best tags are on 1 to 3; the next open photo has the focus; keys may come faster than answers."""
    press(page, "2")
    wait_for_status(page, "12 left")
    assert (focused(page), decided(page)) == (COATS[1], [COATS[0]])
    press(page, "1", "1", "3", "1", "2")
    wait_for_status(page, "7 left")
    labels = ["Bag", "Coat", "Coat", "Shirt", "Coat", "Bag"]
    assert served.decisions() == list(zip(COATS[:6], labels, ["Ada"] * 6, strict=True))
    assert focused(page) == COATS[6]
    press(page, "Home", "ArrowRight", "3")
    wait_for_status(page, f"{COATS[1]}: Shirt.")
    assert served.counting()[COATS[1]] == "Shirt"


def test_favourites_are_on_4_to_9_and_keep_their_keys(page: Any, served: Served) -> None:
    """The labels given with --favourite come first; a key without a label decides nothing."""
    press(page, "4", "5")
    wait_for_status(page, "11 left")
    press(page, "9")
    wait_for_status(page, "No label has the key 9")
    assert served.decisions() == [(COATS[0], "Belt", "Ada"), (COATS[1], "Sandal", "Ada")]
    press(page, "2", "2")
    wait_for_status(page, "9 left")
    page.reload()
    press(page, "5")
    wait_for_status(page, "8 left")
    assert served.decisions()[-1][1] == "Sandal"


def test_a_label_is_found_by_typing_its_beginning(page: Any, served: Served) -> None:
    """A known one by a few letters and Enter; a new one, which then has a key; Escape and an empty text decide nothing."""
    press(page, "/")
    page.keyboard.type("tro")
    assert page.locator("#chooser-list li").all_inner_texts() == ["Trouser", "tro (a new label)"]
    press(page, "Enter")
    wait_for_status(page, f"{COATS[0]}: Trouser.")
    press(page, "/", "Enter")
    assert page.locator("#chooser").is_visible()
    page.keyboard.type("Scarf")
    press(page, "Escape")
    assert (page.locator("#chooser").is_visible(), focused(page)) == (False, COATS[1])
    press(page, "/")
    page.keyboard.type("Rain cape")
    assert page.locator("#chooser-list li").all_inner_texts() == ["Rain cape (a new label)"]
    press(page, "Enter")
    wait_for_status(page, "Rain cape.")
    press(page, "6")
    wait_for_status(page, "10 left")
    press(page, "/", "ArrowDown", "ArrowDown", "Enter")
    wait_for_status(page, "9 left")
    assert [label for _, label, _ in served.decisions()] == ["Trouser", "Rain cape", "Rain cape", "Trouser"]


def test_x_is_none_of_the_labels(page: Any, served: Served) -> None:
    """The ledger has an empty label; the page says so in words."""
    press(page, "x")
    wait_for_status(page, "none of the labels")
    assert served.decisions() == [(COATS[0], "", "Ada")]
    assert page.locator(".decision").first.inner_text() == "none of the labels (Ada)"


def test_undo_goes_back_step_by_step_also_after_a_reload(page: Any, served: Served) -> None:
    """Single decisions and accepted pages, the last one first, until nothing is left; the focus goes to the photo."""
    press(page, "2", "x", "Enter")
    wait_for_status(page, "6 left")  # two decided, five accepted, one that is guarded
    page.reload()
    press(page, "u")
    wait_for_count(page, ".card", 6)
    wait_for_status(page, "11 left")
    assert served.counting() == {COATS[0]: "Bag", COATS[1]: ""}
    for left in (12, 13):
        press(page, "u")
        wait_for_status(page, f"{left} left")
        wait_for_count(page, ".card", left - 5)
    assert served.counting() == {}
    press(page, "u")
    wait_for_status(page, "Nothing to undo")
    assert [label for _, label, _ in served.decisions()] == ["Bag", "", *["Coat"] * 5, *[None] * 7]


def test_a_digit_decides_on_all_that_are_ticked(page: Any, served: Served) -> None:
    """Space ticks one, Shift with arrows and clicks tick ranges, Escape unticks."""
    press(page, " ", "ArrowRight", "ArrowRight", " ")
    assert ticked(page) == [COATS[0], COATS[2]]
    press(page, "Escape")
    assert ticked(page) == []
    press(page, "Home", "Shift+ArrowRight", "Shift+ArrowRight")
    assert ticked(page) == COATS[:3]
    press(page, "5")
    wait_for_status(page, "3 photos: Sandal. 10 left")
    page.locator(".card").nth(4).locator("input").click()
    page.locator(".card").nth(6).click(modifiers=["Shift"])
    assert ticked(page) == COATS[4:7]
    press(page, "x")
    wait_for_status(page, "7 left")
    assert served.counting() == dict.fromkeys(COATS[:3], "Sandal") | dict.fromkeys(COATS[4:7], "")
    assert focused(page) == COATS[7]


def test_enter_accepts_the_page(page: Any, served: Served) -> None:
    """Except for photos that are ticked, and for the one whose runner-up is a rare label, which says why."""
    press(page, "ArrowRight", " ")
    assert page.get_by_role("button", name="Accept 6 as Coat, without the 1 ticked").is_enabled()
    press(page, "Enter")
    wait_for_status(page, "6 photos: Coat. 7 left")
    assert served.counting() == dict.fromkeys([path for path in COATS if path not in (COATS[1], GUARDED)], "Coat")
    assert (focused(page), ticked(page)) == (GUARDED, [COATS[1]])
    guard = page.locator(".card:focus .guard").inner_text()
    assert guard == "May be Sandal, a rare label: not accepted with the page."


def test_a_key_held_down_acts_once(page: Any, served: Served) -> None:
    """Enter accepts one page, although the next one is there at once; a digit decides one photo."""
    page.keyboard.down("1")
    for _ in range(5):
        page.keyboard.down("1")
    page.keyboard.up("1")
    wait_for_status(page, "12 left")
    for _ in range(30):
        page.keyboard.down("Enter")
        page.wait_for_timeout(20)
    page.keyboard.up("Enter")
    wait_for_status(page, "6 left")
    assert set(served.counting()) == {*COATS} - {GUARDED}


def test_the_last_photo_of_a_tag_leads_to_the_next_tag(page: Any, served: Served) -> None:
    """Until nothing is left: each step is announced, the focus is on a photo, and the last page says that all is done."""
    press(page, "Enter")
    wait_for_status(page, "6 left")
    press(page, "1")
    page.get_by_role("heading", name="Bag 4 to review").wait_for()
    wait_for_status(page, f"{GUARDED}: Coat. 5 left")
    assert (paths(page), focused(page)) == (BAGS, BAGS[0])
    press(page, "Enter")
    page.get_by_role("heading", name="Could not be read 1 to review").wait_for()
    wait_for_status(page, "4 photos: Bag. 1 left")
    press(page, "Enter")
    wait_for_status(page, "decided one by one")
    press(page, "x")
    page.get_by_role("heading", name="Nothing is left to review").wait_for()
    assert len(served.counting()) == 13
    press(page, "u")
    page.get_by_role("heading", name="Could not be read").wait_for()
    assert len(served.counting()) == 12


def test_n_and_p_go_from_tag_to_tag(page: Any) -> None:
    """And say where the list ends."""
    press(page, "p")
    wait_for_status(page, "This is the first tag.")
    press(page, "n")
    page.get_by_role("heading", name="Bag 4 to review").wait_for()
    press(page, "p")
    page.get_by_role("heading", name="Coat 8 to review").wait_for()


def test_keys_in_a_field_are_text(page: Any, served: Served) -> None:
    """What is typed as the reviewer's name decides nothing, and is the name of the next decision, also after a reload."""
    page.get_by_label("Reviewer").fill("")
    page.get_by_label("Reviewer").focus()
    page.keyboard.type("1xu Enter")
    press(page, "Enter", "Tab")
    page.wait_for_timeout(100)
    assert served.decisions() == []
    page.reload()
    press(page, "1")
    wait_for_status(page, "12 left")
    assert served.decisions() == [(COATS[0], "Coat", "1xu Enter")]


def test_skipping_shows_the_next_photos(chromium: Any, served: Served) -> None:
    """Without a next page it says so, and decides nothing."""
    with chromium.new_context() as context:
        page, wrong = open_page(context, served)
        press(page, "s")
        wait_for_status(page, "These are the last photos of this tag.")
        assert (paths(page), served.decisions(), wrong) == (COATS, [], [])
