"""The review of a catalog with many pages of a tag, in a real browser: going from page to page, and accepting them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_browser_helpers import Served, open_page, paths, press, serve, wait_for_count, wait_for_status

from benchmarks.speed.review_rows import make_catalog

pytestmark = pytest.mark.slow

PAGE = 60


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Served]:
    """`fmtag review` of a catalog of 1,000 photos, whose first tag has several pages; most photos are missing by now."""
    make_catalog(tmp_path / "large", 1_000, 5)
    with serve(tmp_path / "large") as running:
        yield running


@pytest.fixture
def page(chromium: Any, large: Served) -> Iterator[Any]:
    """Its first page, which must have done nothing wrong by the end of the test."""
    with chromium.new_context() as context:
        opened, wrong = open_page(context, large)
        yield opened
        assert wrong == []


def acceptable(page: Any) -> int:
    """Return how many photos of a page can be accepted, once it is there: after an accept the next one is loaded first."""
    from playwright.sync_api import expect

    button = page.locator("#accept-text")
    expect(button).to_have_text(re.compile("Accept [1-9]"))
    return int(button.inner_text().split()[1])


def test_skipping_shows_the_next_page_and_decides_nothing(page: Any, large: Served) -> None:
    """The most doubtful ones first; none is left out or shown twice, until the last ones."""
    seen = paths(page)
    assert len(seen) == PAGE
    total = int(page.locator("#heading .count").inner_text())
    while page.locator("#grid").get_attribute("data-more"):
        before = paths(page)
        press(page, "s")
        page.locator(".card:focus").and_(page.locator(":not(.seen)")).wait_for()
        page.locator(f'.card:has(.path:text-is("{before[0]}"))').wait_for(state="detached")
        seen += paths(page)
    assert (len(seen), len({*seen})) == (total, total)
    press(page, "s")
    wait_for_status(page, "These are the last photos of this tag.")
    assert large.decisions() == []


def test_enter_held_down_accepts_one_page_although_the_next_is_there(page: Any, large: Served) -> None:
    """All that can be accepted of the first page, nothing of the next one, which then has the focus."""
    count = acceptable(page)
    first = {*paths(page)}
    for _ in range(60):
        page.keyboard.down("Enter")
        page.wait_for_timeout(20)
    page.keyboard.up("Enter")
    wait_for_status(page, f"{count} photos: T-shirt/top.")
    assert len(large.counting()) == count
    assert {*large.counting()} <= first


def test_page_after_page_is_accepted_and_taken_back(page: Any, large: Served) -> None:
    """What cannot be accepted stays in view beside the next page; each undo takes one page back."""
    counts = []
    for _ in range(2):
        while page.locator(".card:focus").get_attribute("data-guarded"):
            press(page, "x")
            wait_for_status(page, "none of the labels")
        counts.append(acceptable(page))
        before = len(large.counting())
        press(page, "Enter")
        wait_for_status(page, f"{counts[-1]} photos: T-shirt/top.")
        assert len(large.counting()) == before + counts[-1]
    total = len(large.counting())
    press(page, "u")
    wait_for_status(page, f"{counts[1]} taken back.")
    assert len(large.counting()) == total - counts[1]
    wait_for_count(page, ".card.pending", 0)
