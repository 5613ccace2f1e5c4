"""How right and how believable tags are: pure functions of what was said, how surely, and what is true.

Classes are numbers 0..classes-1, and `NO_TAG` stands for a photo that got none. Photos of one group, such as a product or a
sender, are not independent, so the intervals are from draws of whole groups with replacement (the cluster bootstrap).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017 (arXiv 1706.04599)."""

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

DRAWS = 2_000
"""Draws of groups behind an interval."""

NO_TAG = -1
"""The class said of a photo without a tag: never the true one."""

_DRAWS_AT_ONCE = 100

Floats: TypeAlias = NDArray[np.floating[Any]]
Flags: TypeAlias = NDArray[np.bool_]
Classes: TypeAlias = NDArray[np.int64]

Interval: TypeAlias = tuple[float, float, float]
"""A share 0..1 with the lower and the upper end of its 95 % interval."""


def measure(predicted: Classes, confidence: Floats, truth: Classes, labels: Sequence[str]) -> dict[str, Any]:
    """Return all figures for predicted classes, confidences 0..1 and true classes, each (n,), n at least 1, as JSON values.

    `macro_accuracy` is the mean of the accuracies of the classes that occur in `truth`.
    """
    right = predicted == truth
    reliability = reliability_table(confidence, right)
    return {
        "accuracy": rounded(right.mean()),
        "macro_accuracy": rounded(macro_accuracy(right, truth)),
        "n": len(truth),
        "calibration_error": rounded(calibration_error(reliability)),
        "per_class": _per_class(truth, predicted, labels),
        "confusion": {
            "labels": list(labels),
            "rows_are": "true class, columns predicted",
            "counts": confusion_matrix(truth, predicted, labels=range(len(labels))).tolist(),
            "without_tag": [int(((predicted == NO_TAG) & (truth == index)).sum()) for index in range(len(labels))],
        },
        "reliability": reliability,
        "coverage": coverage_table(confidence, right),
    }


def _per_class(truth: Classes, predicted: Classes, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(len(labels)), zero_division=0
    )
    return {
        label: {
            "precision": rounded(precision[index]),
            "recall": rounded(recall[index]),
            "f1": rounded(f1[index]),
            "n": int(support[index]),
        }
        for index, label in enumerate(labels)
    }


def confused_pairs(confusion: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pairs of a true and another said class that occur in a `confusion` of `measure`, the most pictures first.

    Each has `true`, `said` ("" for no tag), `n`, and the `share` 0..1 of the true class; equal ones are in the labels' order.
    """
    said = [*confusion["labels"], ""]
    rows = zip(confusion["labels"], confusion["counts"], confusion["without_tag"], strict=True)
    pairs = [
        {"true": true, "said": other, "n": n, "share": rounded(n / (sum(counts) + without_tag))}
        for true, counts, without_tag in rows
        for other, n in zip(said, [*counts, without_tag], strict=True)
        if n and other != true
    ]
    return sorted(pairs, key=lambda pair: -pair["n"])


# Confidence --------------------------------------------------------------------------------------------------------


def reliability_table(confidence: Floats, right: Flags) -> list[dict[str, float | int]]:
    """Return the bins (from, to] of the confidence (n,) that hold any picture: how many, mean confidence, accuracy."""
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, BINS - 1)
    return [
        {
            "from": rounded(edges[index]),
            "to": rounded(edges[index + 1]),
            "n": int((bins == index).sum()),
            "confidence": rounded(confidence[bins == index].mean()),
            "accuracy": rounded(right[bins == index].mean()),
        }
        for index in np.unique(bins)
    ]


def calibration_error(reliability: Sequence[dict[str, float | int]]) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by their pictures (ECE, 0..1)."""
    total = sum(row["n"] for row in reliability)
    return sum(row["n"] / total * abs(row["confidence"] - row["accuracy"]) for row in reliability)


def coverage_table(confidence: Floats, right: Flags) -> list[dict[str, float | int]]:
    """Return, for shares of the surest pictures by confidence (n,), their accuracy and the least confidence among them."""
    order = np.argsort(-confidence, kind="stable")
    ordered = right[order]
    counts = [max(1, round(share * len(ordered))) for share in COVERAGES]
    return [
        {
            "coverage": share,
            "n": count,
            "accuracy": rounded(ordered[:count].mean()),
            "least_confidence": rounded(confidence[order[count - 1]]),
        }
        for share, count in zip(COVERAGES, counts, strict=True)
    ]


def coverage_curve(confidence: Floats, right: Flags) -> tuple[Floats, Floats]:
    """Return what every threshold would let pass, the highest first: shares 0..1 of the pictures (n,), and their accuracies.

    There is a point for each distinct confidence, as pictures of one confidence pass together.
    """
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    counts = last + 1
    return counts / len(order), np.cumsum(right[order])[last] / counts


def separation(known: Floats, strangers: Floats) -> float:
    """Return how often a known photo has the higher confidence than a stranger: the area under the ROC curve, 0..1."""
    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(strangers)]), np.concatenate([known, strangers])))


def mcnemar(right: Flags, other: Flags) -> float:
    """Return how likely it is by chance that so uneven a number of pictures (n,) is got right by only one of two.

    The exact form of the test (McNemar 1947, "Note on the sampling error of the difference between correlated proportions").
    """
    only, others = int((right & ~other).sum()), int((other & ~right).sum())
    return float(binomtest(only, only + others).pvalue) if only + others else 1.0


# Shares and their intervals ----------------------------------------------------------------------------------------


def macro_accuracy(right: ArrayLike, classes: ArrayLike) -> float:
    """Return the mean, over the classes that occur in `classes` (n,), of the share of their pictures that are `right` (n,)."""
    _, indices = np.unique(classes, return_inverse=True)
    return float((np.bincount(indices, np.asarray(right, float)) / np.bincount(indices)).mean())


def macro_interval(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> Interval:
    """Return `macro_accuracy` with its interval over seeded draws of groups; a draw passes over classes that it lacks."""
    n, marked = _counts(right, classes, groups)
    chance, even = np.random.default_rng(0), np.full(len(n), 1 / len(n))
    drawn = []
    for _ in range(0, DRAWS, _DRAWS_AT_ONCE):  # all of them at once would take gigabytes on some ten thousand groups
        draws = chance.multinomial(len(n), even, _DRAWS_AT_ONCE)
        with np.errstate(invalid="ignore"):
            drawn.append(np.nanmean((draws @ marked) / (draws @ n), axis=1))
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return macro_accuracy(right, np.asarray(classes)), float(low), float(high)


def share_interval(right: Sequence[bool], groups: Sequence[str]) -> Interval:
    """Return the share of pictures that are `right` with its interval over draws of groups."""
    return macro_interval(right, ["any"] * len(right), groups)


def _counts(right: Sequence[bool], classes: Sequence[object], groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Return how many pictures, and how many right ones, each group has of each class: twice (groups, classes)."""
    names, rows = np.unique(np.asarray(groups), return_inverse=True)
    kinds, columns = np.unique(np.asarray(classes), return_inverse=True)
    n, marked = np.zeros((2, len(names), len(kinds)))
    np.add.at(n, (rows, columns), 1)
    np.add.at(marked, (rows, columns), np.asarray(right, float))
    return n, marked


def rounded(value: float | np.floating[Any]) -> float:
    """Return a figure with six decimals, which is more than any of them is worth."""
    return round(float(value), 6)
