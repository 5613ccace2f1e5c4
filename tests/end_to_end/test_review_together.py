"""Two reviewers at once, a server that is killed or fails, and a nightly run meanwhile: no answer is lost, none is made up."""

import csv
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from review_browser_helpers import (
    BAGS,
    COATS,
    CUT,
    GUARDED,
    Served,
    decided,
    fmtag_run,
    focused,
    open_page,
    press,
    serve,
    wait_for_count,
    wait_for_status,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def reviewers(chromium: Any, served: Served) -> Iterator[tuple[Any, Any]]:
    """The review in two browsers with two names."""
    with chromium.new_context() as first, chromium.new_context() as second:
        pages = []
        for context, name in ((first, "Ada"), (second, "Bob")):
            page, wrong = open_page(context, served)
            page.get_by_label("Reviewer").fill(name)
            page.locator(".card").first.focus()
            pages.append((page, wrong))
        yield pages[0][0], pages[1][0]
        assert [wrong for _, wrong in pages] == [[], []]


def wait_for_decision(page: Any, path: str, decision: str) -> None:
    """Wait until a card shows a decision."""
    page.locator(".card", has_text=path).get_by_text(decision, exact=True).wait_for()


def test_each_sees_what_the_other_decides(reviewers: tuple[Any, Any], served: Served) -> None:
    """Within a few seconds, with the name, an undo too, and the number of photos that are left."""
    ada, bob = reviewers
    press(ada, "2")
    wait_for_decision(bob, COATS[0], "Bag (Ada)")
    assert "12 left" in bob.locator("#counter").inner_text()
    press(bob, "End", "x")
    wait_for_decision(ada, COATS[7], "none of the labels (Bob)")
    press(ada, "u")
    bob.locator(".card", has_text=COATS[0]).and_(bob.locator(":not(.decided)")).wait_for()
    assert served.counting() == {COATS[7]: ""}


def test_a_page_accept_leaves_out_what_the_other_has_decided(reviewers: tuple[Any, Any], served: Served) -> None:
    """Even what the page does not know of yet; it tells whose answers stay."""
    ada, bob = reviewers
    bob.route("**/review/since*", lambda route: route.abort())
    press(ada, "2", "x")
    wait_for_status(ada, "11 left")
    press(bob, "Enter")
    wait_for_status(bob, f"{COATS[0]} stays Bag, by Ada.")
    wait_for_status(bob, f"{COATS[1]} stays none of the labels, by Ada.")
    assert served.counting() == {COATS[0]: "Bag", COATS[1]: ""} | {path: "Coat" for path in COATS[2:] if path != GUARDED}
    bob.unroute_all()


def test_an_answer_to_the_same_photo_is_kept_and_told(reviewers: tuple[Any, Any], served: Served) -> None:
    """The later one counts, the earlier one stays in the history, and its undo brings it back."""
    ada, bob = reviewers
    bob.route("**/review/since*", lambda route: route.abort())
    press(ada, "2")
    wait_for_status(ada, "12 left")
    press(bob, "1")
    wait_for_status(bob, "Replaces Bag by Ada.")
    assert served.decisions() == [(COATS[0], "Bag", "Ada"), (COATS[0], "Coat", "Bob")]
    press(bob, "u")
    wait_for_status(bob, "1 taken back")
    assert served.counting() == {COATS[0]: "Bag"}
    bob.unroute_all()


def test_nothing_is_shown_as_decided_before_it_is_in_the_ledger(page: Any, served: Served) -> None:
    """While the answer is held back, the ledger has the decision and the page does not show it; then it does."""
    seen: list[tuple[list[str], int]] = []

    def held(route: Any) -> None:
        response = route.fetch()
        page.wait_for_timeout(300)
        seen.append((decided(page), len(served.decisions())))
        route.fulfill(response=response)

    page.route("**/review/decisions*", held)
    press(page, "1")
    wait_for_status(page, "12 left")
    assert (seen, decided(page)) == ([([], 1)], [COATS[0]])


def test_a_failure_of_the_server_is_told_and_nothing_is_shown_as_decided(chromium: Any, served: Served) -> None:
    """The reason is announced, the photo has the focus and its ticks again, and the same key works once the server does."""
    with chromium.new_context() as context:
        page, _ = open_page(context, served)
        page.route("**/review/decisions*", lambda route: route.fulfill(status=503, json={"detail": "The ledger is locked."}))
        press(page, "Shift+ArrowRight", "x")
        wait_for_status(page, "Not saved (The ledger is locked.). Press the key again.")
        assert (decided(page), focused(page)) == ([], COATS[0])
        assert page.locator('.card[aria-selected="true"]').count() == 2
        page.unroute_all()
        press(page, "x")
        wait_for_status(page, "2 photos: none of the labels. 11 left")


def test_a_dead_server_is_told(chromium: Any, served: Served) -> None:
    """A decision, a page accept, an undo and an opened photo: each says that it was not done; the page stays usable."""
    with chromium.new_context() as context:
        page, _ = open_page(context, served)
        press(page, "1")
        wait_for_status(page, "12 left")
        served.process.kill()
        served.process.wait()
        for key in ("1", "Enter"):
            press(page, key)
            wait_for_status(page, "Not saved (")
            press(page, "ArrowRight")
        press(page, "u")
        wait_for_status(page, "Not undone (")
        press(page, "o")
        wait_for_status(page, "cannot be shown")
        assert decided(page) == [COATS[0]]


def test_an_open_page_goes_on_with_a_server_that_was_started_again(chromium: Any, served: Served) -> None:
    """What was not saved is saved by the same key, if the server has its port and token again; otherwise it is told."""
    with chromium.new_context() as context:
        page, _ = open_page(context, served)
        served.process.kill()
        served.process.wait()
        port = served.origin.rpartition(":")[2]
        with serve(served.folder, "--port", port) as again:
            press(page, "1")
            wait_for_status(page, "Not saved (")
            assert decided(page) == []
            page.goto(again.address)
            press(page, "1")
            wait_for_status(page, "12 left")


def test_a_kill_under_load_loses_nothing_that_was_acknowledged(served: Served) -> None:
    """Four clients decide as fast as they can until `kill -9`; each acknowledged decision is in the ledger afterwards."""
    with closing(sqlite3.connect(served.ledger)) as sql:
        photos = [
            [item, sha.hex()]
            for item, sha in sql.execute("SELECT items.id, sha256 FROM items JOIN contents ON contents.id = content")
        ]
    acknowledged: list[tuple[int, str]] = []
    enough = threading.Event()

    def work(number: int) -> None:
        headers = {"authorization": f"Bearer {served.token}"}
        with httpx.Client(base_url=served.origin, headers=headers, timeout=30) as client:
            for turn in range(100_000):
                body = {"photos": [photos[turn % len(photos)]], "label": f"label {number} {turn}", "reviewer": f"R{number}"}
                try:
                    answer = client.post("/review/decisions", json=body).json()
                except (httpx.HTTPError, ValueError):
                    return
                acknowledged.extend((review["id"], review["label"]) for review in answer["reviews"])
                if len(acknowledged) >= 200:
                    enough.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    served.process.kill()
    for thread in threads:
        thread.join(60)
    with serve(served.folder) as again, closing(sqlite3.connect(again.ledger)) as sql:
        recorded = dict(sql.execute("SELECT id, label FROM reviews").fetchall())
        assert {number: recorded.get(number) for number, _ in acknowledged} == dict(acknowledged)
        assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        page = httpx.get(f"{again.origin}/review", headers={"authorization": f"Bearer {again.token}"})
        assert page.status_code == 200


def test_a_nightly_run_goes_on_meanwhile(page: Any, served: Served, small_bundle: Path) -> None:
    """Its rows have what was decided with confidence 1 and the reason `reviewed`; the page goes on, before and after it."""
    press(page, "2", "x")
    wait_for_status(page, "11 left")
    fmtag_run(served.folder, small_bundle)
    press(page, "1")
    wait_for_status(page, "left")
    wait_for_count(page, ".card.decided", 3)
    assert len(served.counting()) == 3
    fmtag_run(served.folder, small_bundle)
    with (served.folder / "tags.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    shown = {path: tuple(rows[path][name] for name in ("tag", "confidence", "low_confidence", "reason")) for path in COATS[:2]}
    assert shown == {COATS[0]: ("Bag", "1.0000", "false", "reviewed"), COATS[1]: ("", "", "true", "reviewed")}
    page.reload()
    assert set(page.locator(".card .path").all_inner_texts()).isdisjoint(served.counting())
    assert {*rows} == {*COATS, *BAGS, CUT}
