"""The alarms over four statistics of the uploads."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from tagger.metrics.sequential import REFERENCE
from tagger.review.night_alarms import (
    FEWEST_PHOTOS,
    MOST_PHOTOS,
    STATISTICS,
    Cell,
    Watched,
    batches_of,
    statistic_of,
    watch,
)

TAGS = ("Bag", "Dress", "Shirt", "")


def night(
    rng: np.random.Generator,
    photos: int = 60,
    flagged: float = 0.3,
    unknown: float = 0.1,
    confidence: int = 17,
    bags: float = 0.3,
) -> Counter[Cell]:
    """Return a night of random photos."""
    counts = Counter[Cell]()
    for draw in rng.random((photos, 4)):
        tag = "Bag" if draw[2] < bags else "Dress"
        counts[Cell(tag, bool(draw[0] < flagged), bool(draw[1] < unknown), confidence - int(4 * draw[3]))] += 1
    return counts


def watched(nights: list[Counter[Cell]]) -> Mapping[str, Watched]:
    """Return the outcome of each statistic."""
    return watch(nights, TAGS, range(len(nights)))


def alike(seed: int, nights: int = 40) -> list[Counter[Cell]]:
    """Return nights without a change."""
    rng = np.random.default_rng(seed)
    return [night(rng, int(rng.integers(30, 300))) for _ in range(nights)]


def test_nights_alike_raise_no_alarm() -> None:
    """Without a change all statistics are steady, with a reference of ten nights."""
    for result in watched(alike(1)).values():
        assert (result.state, result.alarms, result.missing) == ("steady", (), 0)
        assert FEWEST_PHOTOS <= result.photos <= MOST_PHOTOS


@pytest.mark.parametrize(
    ("statistic", "change", "up"),
    [
        ("flagged", {"flagged": 0.7}, True),
        ("unknown", {"unknown": 0.6}, True),
        ("confidence", {"confidence": 12}, False),
        ("tags", {"bags": 0.8}, True),
    ],
)
def test_the_statistic_that_moved_is_named(statistic: str, change: dict[str, float], up: bool) -> None:
    """Each change is found in its own statistic only, with its direction, its night, and its values before and after."""
    rng = np.random.default_rng(2)
    nights = [*alike(3), *(night(rng, 60, **change) for _ in range(12))]  # type: ignore[arg-type]
    results = watched(nights)
    assert [name for name in STATISTICS if results[name].alarms] == [statistic]
    result = results[statistic]
    (alarm,) = result.alarms
    assert result.state == "moved"
    assert abs(alarm.since - 40) <= 2
    assert 40 <= alarm.at <= 49
    assert (alarm.after > alarm.before) is up
    if statistic == "tags":
        assert alarm.tag in ("Bag", "Dress")
        assert alarm.up is (alarm.tag == "Bag")
        assert alarm.before == pytest.approx(0.3 if alarm.tag == "Bag" else 0.7, abs=0.05)
    else:
        assert alarm.tag == ""
        assert alarm.up is up
    if statistic == "flagged":
        assert (alarm.before, alarm.after) == (pytest.approx(0.3, abs=0.03), pytest.approx(0.7, abs=0.07))


def test_after_an_alarm_the_following_nights_are_the_reference() -> None:
    """A change that lasts is told once; ten nights later the statistic is steady again, and finds the next change."""
    rng = np.random.default_rng(4)
    high = [night(rng, 100, flagged=0.8) for _ in range(40)]
    low = [night(rng, 100, flagged=0.2) for _ in range(15)]
    first = watched([*alike(5), *high])["flagged"]
    assert (first.state, len(first.alarms), first.alarms[0].up) == ("steady", 1, True)
    second = watched([*alike(5), *high, *low])["flagged"]
    assert second.alarms[0] == first.alarms[0]
    assert [alarm.up for alarm in second.alarms] == [True, False]
    assert second.alarms[1].before == pytest.approx(0.8, abs=0.05)
    at = first.alarms[0].at
    assert watched([*alike(5), *high][: at + 9])["flagged"].state == "moved"


def test_what_was_found_stays_found() -> None:
    """Alarms of a night are the same when further nights follow."""
    rng = np.random.default_rng(6)
    nights = [*alike(7, 25), *(night(rng, 60, flagged=0.9) for _ in range(20))]
    known: tuple[object, ...] = ()
    for count in range(20, len(nights)):
        alarms = watched(nights[:count])["flagged"].alarms
        assert alarms[: len(known)] == known
        known = alarms
    assert known


def test_few_photos_a_night_are_put_together() -> None:
    """Batches end with the night that brings them to 25 photos, after the reference to the size of its smallest batch."""
    assert batches_of([30] * 9) == (0, [range(night, night + 1) for night in range(9)])
    photos, batches = batches_of([5] * 60)
    assert photos == FEWEST_PHOTOS
    assert batches == [range(first, first + 5) for first in range(0, 60, 5)]
    photos, batches = batches_of([*[100] * 9, 90, 45, 45, 1_000, 89])
    assert photos == 90
    assert batches[REFERENCE:] == [range(10, 12), range(12, 13)]
    assert batches_of([5_000] * 12)[0] == MOST_PHOTOS
    assert batches_of([*[10] * 30, *[500] * 6])[1][REFERENCE:] == [range(30, 33), range(33, 36)]
    assert batches_of([*[10] * 12, *[500] * 12])[1][REFERENCE:] == [range(night, night + 1) for night in range(18, 24)]
    assert batches_of([]) == (0, [])


def test_nights_can_be_compared_by_the_week() -> None:
    """Deliveries that last some nights raise alarms night by night, and none by the week; a change is found there too."""
    rng = np.random.default_rng(12)
    shares = np.repeat(rng.beta(6, 14, 120), 3)
    nights = [night(rng, 100, flagged=share) for share in shares]
    assert watched(nights)["flagged"].alarms
    weekly = watch(nights, TAGS, range(len(nights)), together=7)["flagged"]
    assert (weekly.state, weekly.alarms, weekly.batches) == ("steady", (), 360 // 7)
    broken = [*nights, *(night(rng, 100, flagged=0.9) for _ in range(49))]
    assert watch(broken, TAGS, range(len(broken)), together=7)["flagged"].alarms[0].since in range(350, 367)
    assert batches_of([100] * 20, together=7)[1] == [range(7), range(7, 14)]


def test_a_reference_in_the_making_is_told() -> None:
    """Before ten batches are complete the statistics say how many are missing."""
    results = watched(alike(8, 7))
    assert {(result.state, result.missing, result.photos) for result in results.values()} == {("gathering", 3, 0)}
    assert {result.missing for result in watched([]).values()} == {REFERENCE}


def test_batches_without_a_confidence_do_not_count_for_it() -> None:
    """Photos without a tag have no confidence: they are no evidence of that statistic, and of the others they are."""
    blank = [Counter({Cell("", True, True, -1): 30}) for _ in range(12)]
    results = watched(blank)
    assert (results["confidence"].state, results["confidence"].missing) == ("gathering", REFERENCE)
    assert results["unknown"].state == "steady"


def test_statistics_of_a_night() -> None:
    """Shares are of all judged photos, the mean confidence of those that have one, in the middle of their twentieth."""
    counts = {Cell("Bag", False, False, 19): 3, Cell("Dress", True, False, 9): 1, Cell("", True, True, -1): 4}
    assert statistic_of(counts, "flagged") == 5 / 8
    assert statistic_of(counts, "unknown") == 1 / 2
    assert statistic_of(counts, "confidence") == pytest.approx((3 * 0.975 + 0.475) / 4)
    assert statistic_of(counts, "tags", "Bag") == 3 / 8
    assert statistic_of(counts, "tags", "Shirt") == 0
    assert statistic_of({}, "flagged") is None
    assert statistic_of({}, "confidence") is None
