"""Files are checked in an order that is spread over the source, with the reasons of a run."""

import time
from itertools import islice
from pathlib import Path

import pytest
from helpers import draw_photo

from tagger.inspection.photo_checks import check_all, check_header, check_pixels, spread, until


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 12, 97, 1000])
def test_every_number_comes_once(count: int) -> None:
    """The order leaves nothing out."""
    assert sorted(spread(count)) == list(range(count))


@pytest.mark.parametrize("taken", [10, 33, 250])
def test_the_first_ones_are_spread_evenly(taken: int) -> None:
    """Every tenth of the source has its share of a sample, and so has every place within products of four photos."""
    sample = [*islice(spread(1000), taken)]
    for part in range(10):
        assert abs(sum(number // 100 == part for number in sample) - taken / 10) <= 1 + taken / 50
    for place in range(4):
        assert abs(sum(number % 4 == place for number in sample) - taken / 4) <= 1 + taken / 50


def test_nothing_begins_after_the_deadline() -> None:
    """Numbers end with the time, whatever is left."""
    assert [*until(time.monotonic() - 1, iter([1, 2]))] == []
    assert [*until(time.monotonic() + 60, iter([1, 2]))] == [1, 2]


def test_pixels_tell_what_a_run_tells(tmp_path: Path) -> None:
    """A good photo has a header, a hash and a time; failures have their reasons."""
    draw_photo(1).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:2000])
    (tmp_path / "text.jpg").write_text("no photo")
    good = check_pixels(str(tmp_path / "good.jpg"))
    assert (good.failed, good.decoded, len(good.sha256), good.header and good.header.format) == (None, True, 32, "JPEG")
    reasons = {"cut.jpg": "truncated", "text.jpg": "not_an_image", "none.jpg": "missing"}
    for name, reason in reasons.items():
        for check in (check_pixels, check_header):
            found = check(str(tmp_path / name))
            assert found.failed is not None
            assert (found.failed.reason, found.decoded) == (reason, True)


def test_a_header_is_read_without_pixels(tmp_path: Path) -> None:
    """A whole photo is not decoded; one whose end is missing is, whatever its header says."""
    for format in ("JPEG", "PNG", "WEBP", "GIF"):
        draw_photo(1).save(tmp_path / "good", format)
        found = check_header(str(tmp_path / "good"))
        assert (found.decoded, found.failed, found.header and found.header.size) == (False, None, (240, 320))
    draw_photo(1).save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:-200])
    assert check_header(str(tmp_path / "cut.png")).failed is not None


def test_checks_come_in_their_order() -> None:
    """Threads change nothing in the order."""
    numbers = [*spread(50)]
    places = [f"/nowhere/{number}" for number in range(50)]
    assert [number for number, _ in check_all(numbers, places, 4, check_pixels)] == numbers
