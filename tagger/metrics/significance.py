"""Intervals and significance: the cluster bootstrap and McNemar's exact test."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from tagger.arrays import Flags, Floats

RESAMPLES = 2_000
"""Draws of groups behind an interval."""

_RESAMPLES_AT_ONCE = 100

Interval: TypeAlias = tuple[float, float, float]
"""A share 0..1 with the lower and the upper end of its 95 % interval."""


def mcnemar_p_value(right: Flags, other: Flags) -> float:
    """Return how likely it is by chance that so uneven a number of pictures (n,) is got right by only one of two.

    The exact form of the test (McNemar 1947, "Note on the sampling error of the difference between correlated proportions").
    """
    only, others = int((right & ~other).sum()), int((other & ~right).sum())
    return float(binomtest(only, only + others).pvalue) if only + others else 1.0


def macro_accuracy(right: ArrayLike, classes: ArrayLike) -> float:
    """Return the mean, over the classes that occur in `classes` (n,), of the share of their pictures that are `right` (n,)."""
    _, indices = np.unique(classes, return_inverse=True)
    return float((np.bincount(indices, np.asarray(right, float)) / np.bincount(indices)).mean())


def macro_bootstrap_interval(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> Interval:
    """Return `macro_accuracy` with its interval over seeded draws of groups; a draw passes over classes that it lacks."""
    n, marked = _counts(right, classes, groups)
    rng, even = np.random.default_rng(0), np.full(len(n), 1 / len(n))
    drawn = []
    for _ in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):  # all of them at once would take gigabytes on some ten thousand groups
        draws = rng.multinomial(len(n), even, _RESAMPLES_AT_ONCE)
        with np.errstate(invalid="ignore"):
            drawn.append(np.nanmean((draws @ marked) / (draws @ n), axis=1))
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return macro_accuracy(right, np.asarray(classes)), float(low), float(high)


def bootstrap_interval(right: Sequence[bool], groups: Sequence[str]) -> Interval:
    """Return the share of pictures that are `right` with its interval over draws of groups."""
    return macro_bootstrap_interval(right, ["any"] * len(right), groups)


def _counts(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Return how many pictures, and how many right ones, each group has of each class: twice (groups, classes)."""
    names, rows = np.unique(np.asarray(groups), return_inverse=True)
    kinds, columns = np.unique(np.asarray(classes), return_inverse=True)
    n, marked = np.zeros((2, len(names), len(kinds)))
    np.add.at(n, (rows, columns), 1)
    np.add.at(marked, (rows, columns), np.asarray(right, float))
    return n, marked
