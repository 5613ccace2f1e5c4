"""Estimate uncertainty: the cluster bootstrap and McNemar's exact test.

Photos of one group, such as a product or a sender, are not independent, so that intervals resample whole groups with
replacement (the cluster bootstrap).
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from tagger.arrays import Flags, Floats

RESAMPLES = 2_000
"""Bootstrap resamples per interval."""

_RESAMPLES_AT_ONCE = 100

Interval: TypeAlias = tuple[float, float, float]
"""A rate 0..1, and the lower and the upper end of its 95 % interval."""


def mcnemar_p_value(right: Flags, other: Flags) -> float:
    """Return the p-value of McNemar's exact test for two classifiers, given which images (n,) each classifies correctly.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages".
    """
    only, others = int((right & ~other).sum()), int((other & ~right).sum())
    return float(binomtest(only, only + others).pvalue) if only + others else 1.0


def macro_accuracy(right: ArrayLike, classes: ArrayLike) -> float:
    """Return the mean of the accuracies 0..1 of the classes that occur in `classes` (n,); `right` (n,) marks correct ones."""
    _, indices = np.unique(classes, return_inverse=True)
    return float((np.bincount(indices, np.asarray(right, float)) / np.bincount(indices)).mean())


def macro_bootstrap_interval(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> Interval:
    """Return `macro_accuracy` with its 95 % percentile interval over `RESAMPLES` seeded resamples of `groups` (n,).

    A class that a resample lacks is left out of that resample's mean.
    """
    totals, correct = _counts(right, classes, groups)
    rng, uniform = np.random.default_rng(0), np.full(len(totals), 1 / len(totals))
    estimates = []
    for _ in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):  # all at once would take gigabytes for tens of thousands of groups
        resamples = rng.multinomial(len(totals), uniform, _RESAMPLES_AT_ONCE)
        with np.errstate(invalid="ignore"):
            estimates.append(np.nanmean((resamples @ correct) / (resamples @ totals), axis=1))
    low, high = np.quantile(np.concatenate(estimates), [0.025, 0.975])
    return macro_accuracy(right, np.asarray(classes)), float(low), float(high)


def bootstrap_interval(right: Sequence[bool], groups: Sequence[str]) -> Interval:
    """Return the accuracy with its 95 % percentile interval over resamples of `groups` (n,); `right` (n,) marks hits."""
    return macro_bootstrap_interval(right, ["any"] * len(right), groups)


def _counts(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the numbers of all and of correct predictions of each group and class: two arrays (groups, classes)."""
    names, rows = np.unique(np.asarray(groups), return_inverse=True)
    kinds, columns = np.unique(np.asarray(classes), return_inverse=True)
    totals, correct = np.zeros((2, len(names), len(kinds)))
    np.add.at(totals, (rows, columns), 1)
    np.add.at(correct, (rows, columns), np.asarray(right, float))
    return totals, correct
