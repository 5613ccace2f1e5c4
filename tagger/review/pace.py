"""Estimate how long the photos that are left will take, from the pace of the last decisions."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

DEFAULT_SECONDS = 2.0
"""Per photo, until there are decisions to measure."""

LONGEST_PAUSE = 30.0
"""Seconds between two decisions that still count as work; longer ones are breaks."""

MIN_MOMENTS = 5
"""Different moments of decisions from which the pace is measured: one accepted page tells nothing of the next."""

USUAL = 20
"""Decisions at the default pace that are added to those that were measured, so that a few do not change it much."""


def seconds_per_photo(times: Sequence[str]) -> float:
    """Return the mean seconds per decision of the times of decisions, UTC in ISO 8601 and in their order.

    Breaks are left out. Decisions of one moment, as those of an accepted page, count one by one: accepting pages is the pace.
    """
    if len(set(times)) < MIN_MOMENTS:
        return DEFAULT_SECONDS
    seconds = np.array([datetime.fromisoformat(time).timestamp() for time in times])
    gaps = np.diff(seconds)
    worked = gaps[(gaps >= 0) & (gaps <= LONGEST_PAUSE)]
    return float((worked.sum() + USUAL * DEFAULT_SECONDS) / (len(worked) + USUAL))


def minutes_left(photos: int, seconds: float) -> str:
    """Return in words how long a number of photos takes at so many seconds each; empty for none."""
    minutes = photos * seconds / 60
    if not photos:
        return ""
    if minutes < 1:
        return "a minute"
    if minutes < 90:
        return f"{round(minutes)} minute{'s' if round(minutes) != 1 else ''}"
    return f"{minutes / 60:.1f} hours"
