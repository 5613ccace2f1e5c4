"""The time that is left is told by the pace of the last decisions."""

import pytest

from tagger.review.pace import DEFAULT_SECONDS, MIN_MOMENTS, USUAL, minutes_left, seconds_per_photo


def times(*seconds: float) -> list[str]:
    return [f"2026-11-27T10:{int(second) // 60:02d}:{second % 60:06.3f}+00:00" for second in seconds]


def test_the_pace_is_the_mean_without_breaks() -> None:
    """Twenty minutes at lunch do not count; some decisions at the usual pace are added."""
    work = [second * 3.0 for second in range(100)]
    measured = seconds_per_photo(times(*work, *(1_500 + second for second in work)))
    assert measured == pytest.approx((198 * 3 + USUAL * DEFAULT_SECONDS) / (198 + USUAL))


def test_an_accepted_page_counts_as_its_photos() -> None:
    """Sixty photos at one moment, every twenty seconds, are three per second."""
    pages = [second for page in range(8) for second in [20.0 * page] * 60]
    assert seconds_per_photo(times(*pages)) == pytest.approx((140 + USUAL * DEFAULT_SECONDS) / (479 + USUAL))


def test_a_few_decisions_tell_nothing() -> None:
    """The usual pace is taken until there are several; one page that was accepted is none."""
    assert seconds_per_photo(times(*range(MIN_MOMENTS - 1))) == DEFAULT_SECONDS
    assert seconds_per_photo(times(*[1.0] * 60)) == DEFAULT_SECONDS
    assert seconds_per_photo([]) == DEFAULT_SECONDS


@pytest.mark.parametrize(
    ("photos", "seconds", "text"),
    [
        (0, 2, ""),
        (3, 2, "a minute"),
        (30, 2, "1 minute"),
        (300, 2, "10 minutes"),
        (2_680, 2, "89 minutes"),
        (9_000, 2, "5.0 hours"),
    ],
)
def test_the_time_is_told_in_words(photos: int, seconds: float, text: str) -> None:
    """In minutes, and in hours where these are many."""
    assert minutes_left(photos, seconds) == text
