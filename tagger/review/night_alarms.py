"""Watch four statistics of the nightly uploads: share of flagged, share of unknown, mean confidence, mix of tags.

Each night, or several small ones in a row, gives a batch. Of every batch the same number of photos is drawn at random, so that
batches are exchangeable whatever their sizes; `metrics.sequential` tests that they are. Each statistic has an equal part of
`ERROR`. After an alarm, its test starts anew with the nights that follow, with the same part of the error.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from tagger.metrics.sequential import REFERENCE, first_change, sample, tie_breakers

ERROR = 0.05
"""Probability at most of any alarm, over all nights and statistics, while the nights stay alike."""

BINS = 20
"""Bins of equal width that confidences are counted in."""

FEWEST_PHOTOS = 25
"""Photos of a batch at least."""

MOST_PHOTOS = 200
"""Photos that are drawn of a batch at most; more tell little of the nights, which differ by more than their photos."""

Statistic: TypeAlias = Literal["flagged", "unknown", "confidence", "tags"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""What is watched."""

State: TypeAlias = Literal["gathering", "steady", "moved"]
"""Of a statistic: before its first reference is complete, after that, and from an alarm until its next reference is."""


class Cell(NamedTuple):
    """What two uploaded photos have in common that are counted together."""

    tag: str
    """Empty where the photo has none."""
    flagged: bool
    unknown: bool
    """Whether it was not recognised."""
    bin: int
    """0..19, twentieths of the confidence; -1 without one."""


Counts: TypeAlias = Mapping[Cell, int]
"""Numbers of the photos of one night that the networks judged."""


@dataclass(frozen=True)
class Alarm:
    """A change of a statistic that was found."""

    statistic: Statistic
    at: int
    """Index of the night with which it was found."""
    since: int
    """Index of the first night that is likely of after the change."""
    up: bool
    """Whether it has risen."""
    tag: str
    """Whose share has changed, for `tags`; else empty."""
    before: float
    """The statistic of all uploads from the start of the test until the change, 0..1."""
    after: float
    """The same from the change until the alarm."""


@dataclass(frozen=True)
class Watched:
    """The outcome for one statistic."""

    statistic: Statistic
    state: State
    batches: int
    """Batches since the last alarm, or since the first night."""
    missing: int
    """Batches that the reference still lacks."""
    photos: int
    """Photos that are drawn of each batch; 0 while the reference is not complete."""
    alarms: tuple[Alarm, ...]
    """In the order of time."""


class _Drawn(NamedTuple):
    """The batches of the nights from one of them on."""

    photos: int
    """Drawn of each batch; 0 while the reference is not complete."""
    batches: list[range]
    """Their nights, counted from the first one."""
    counts: list[Counts]
    """Of the photos that are drawn of each; empty while the reference is not complete."""


def watch(
    nights: Sequence[Counts], tags: Sequence[str], seeds: Sequence[int], together: int = 1, error: float = ERROR
) -> dict[Statistic, Watched]:
    """Test whether later nights are like earlier ones, for each statistic.

    Args:
        nights: (n,) uploads of the nights, in the order of time; those without uploads are no evidence.
        tags: all tags that photos may have, the empty one for none too.
        seeds: (n,) of the random draws of each night, which must not depend on its photos.
        together: nights of a batch at least. Where a delivery comes over several nights these are not exchangeable, but batches
            that are longer than a delivery nearly are.
        error: 0..1, probability at most of any alarm while the nights are exchangeable; afterwards, of each further one.
    """
    drawn_from = cache(partial(_drawn_batches, nights, seeds, together))  # the same for all statistics without an alarm
    return {statistic: _watch(statistic, nights, tags, seeds, drawn_from, error / len(STATISTICS)) for statistic in STATISTICS}


def statistic_of(counts: Counts, statistic: Statistic, tag: str = "") -> float | None:
    """Return a statistic of a night, 0..1: a share of its photos, or the mean confidence; None where none tells it."""
    values = _mean_confidence(counts) if statistic == "confidence" else _shares(counts, statistic, [tag])
    return None if values is None else values[0]


def tag_shares(counts: Counts) -> dict[str, float]:
    """Return the share of each tag that a night has, 0..1; the empty tag is that of photos without one."""
    total, of_tag = sum(counts.values()), Counter[str]()
    for cell, number in counts.items():
        of_tag[cell.tag] += number
    return {tag: number / total for tag, number in of_tag.items()}


def batches_of(sizes: Sequence[int], together: int = 1) -> tuple[int, list[range]]:
    """Return the number of photos that each batch gives, and the nights of each batch.

    A batch has at least `together` nights, and ends with the night that brings it to the number wanted: `FEWEST_PHOTOS` until
    the reference is complete, then the size of the smallest batch of the reference, at most `MOST_PHOTOS`. Then it also has at
    least as many nights as the median batch of the reference: were many small nights together there and are single ones later,
    as a shop grows, these would differ more than the reference lets expect. The number is 0 while the reference is not
    complete; then there are no more batches than it has.
    """
    batches: list[range] = []
    smallest, wanted, photos, first, total = MOST_PHOTOS, FEWEST_PHOTOS, 0, 0, 0
    for night, size in enumerate(sizes):
        total += size
        if total < wanted or night + 1 - first < together:
            continue
        batches.append(range(first, night + 1))
        smallest, first, total = min(smallest, total), night + 1, 0
        if len(batches) == REFERENCE:
            photos = wanted = smallest
            together = max(together, sorted(map(len, batches))[REFERENCE // 2])
    return photos, batches


def _watch(
    statistic: Statistic,
    nights: Sequence[Counts],
    tags: Sequence[str],
    seeds: Sequence[int],
    drawn_from: Callable[[int], _Drawn],
    error: float,
) -> Watched:
    """Return the outcome for one statistic, whose test starts anew after each alarm."""
    start, alarms = 0, list[Alarm]()
    names = tags if statistic == "tags" else [""]
    values_of = _values_of(statistic, names)
    while True:
        photos, batches, drawn = drawn_from(start)
        valued = [(batch, values) for batch, counts in zip(batches, drawn, strict=False) if (values := values_of(counts))]
        found = None
        if valued:
            ties = [tie_breakers(len(names), seeds[start + batch[-1]]) for batch, _ in valued]
            found = first_change(np.array([values for _, values in valued]), np.array(ties), error)
        if found is None:
            missing = max(0, REFERENCE - (len(valued) if photos else len(batches)))
            state: State = "steady" if not missing else "moved" if alarms else "gathering"
            return Watched(statistic, state, len(batches), missing, photos, tuple(alarms))
        at, since = start + valued[found.at][0][-1], start + valued[found.since][0][0]
        tag = names[found.series]
        before, after = (statistic_of(_sum(part), statistic, tag) for part in (nights[start:since], nights[since : at + 1]))
        alarms.append(Alarm(statistic, at, since, found.up, tag, before or 0.0, after or 0.0))
        start = at + 1


def _values_of(statistic: Statistic, names: Sequence[str]) -> Callable[[Counts], list[float] | None]:
    """Return the function that gives the values of a batch, one for each name; None for a batch that has none."""
    return _mean_confidence if statistic == "confidence" else lambda counts: _shares(counts, statistic, names)


def _shares(counts: Counts, statistic: Statistic, names: Sequence[str]) -> list[float] | None:
    total = sum(counts.values())
    if not total:
        return None
    if statistic == "tags":
        shares = tag_shares(counts)
        return [shares.get(name, 0.0) for name in names]
    return [sum(number for cell, number in counts.items() if getattr(cell, statistic)) / total]


def _mean_confidence(counts: Counts) -> list[float] | None:
    known = [(cell.bin, number) for cell, number in counts.items() if cell.bin >= 0]
    total = sum(number for _, number in known)
    return [sum((bin_ + 0.5) * number for bin_, number in known) / BINS / total] if total else None


def _drawn_batches(nights: Sequence[Counts], seeds: Sequence[int], together: int, start: int) -> _Drawn:
    """Return the batches of the nights from `start` on, with what is drawn of each."""
    photos, batches = batches_of([sum(counts.values()) for counts in nights[start:]], together)
    counts = [_draw(nights, start, batch, photos, seeds) for batch in batches] if photos else []
    return _Drawn(photos, batches, counts)


def _draw(nights: Sequence[Counts], start: int, batch: range, photos: int, seeds: Sequence[int]) -> Counts:
    """Return the counts of `photos` photos drawn of a batch, whose nights count from `start`."""
    counts = _sum(nights[start + batch[0] : start + batch[-1] + 1])
    cells = sorted(counts)
    numbers = sample(np.array([counts[cell] for cell in cells]), photos, seeds[start + batch[-1]])
    return dict(zip(cells, numbers.tolist(), strict=True))


def _sum(nights: Sequence[Counts]) -> Counts:
    total = Counter[Cell]()
    for counts in nights:
        total.update(counts)
    return total
