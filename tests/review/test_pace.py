"""The time that is left is told by the pace of the last decisions."""

import pytest

from tagger.review.pace import DEFAULT_SECONDS, MIN_DECISIONS, minutes_left, seconds_per_photo


def times(*seconds: float) -> list[str]:
    return [f"2026-11-27T10:{int(second) // 60:02d}:{second % 60:06.3f}+00:00" for second in seconds]


def test_the_pace_is_the_mean_without_breaks() -> None:
    """Twenty minutes at lunch do not count."""
    work = [second * 3 for second in range(MIN_DECISIONS)]
    assert seconds_per_photo(times(*work, *(1_500 + second for second in work))) == pytest.approx(3.0)


def test_an_accepted_page_counts_as_its_photos() -> None:
    """Sixty photos at one moment, each minute, are two per second and more."""
    assert seconds_per_photo(times(*[0.0] * 60, *[20.0] * 60)) == pytest.approx(20 / 119)


def test_a_few_decisions_tell_nothing() -> None:
    """A usual pace is taken until there are enough."""
    assert seconds_per_photo(times(*range(MIN_DECISIONS - 1))) == DEFAULT_SECONDS
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
