"""How right and how believable probabilities are: pure functions of probabilities and truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, recall_score

BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017 (arXiv 1706.04599)."""

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

Probabilities = NDArray[np.float32]
Classes = NDArray[np.int64]


def measure(probabilities: Probabilities, truth: Classes, labels: Sequence[str]) -> dict[str, Any]:
    """Return all figures for probabilities (n, classes) and true classes (n,), n at least 1, as plain JSON values.

    `macro_accuracy` is the mean of the accuracies of the classes that occur in `truth`.
    """
    predicted = probabilities.argmax(axis=1)
    reliability = reliability_table(probabilities, truth)
    return {
        "accuracy": _rounded((predicted == truth).mean()),
        "macro_accuracy": _rounded(recall_score(truth, predicted, labels=np.unique(truth), average="macro")),
        "n": len(truth),
        "calibration_error": _rounded(calibration_error(reliability)),
        "per_class": _per_class(truth, predicted, labels),
        "confusion": {
            "labels": list(labels),
            "rows_are": "true class, columns predicted",
            "counts": confusion_matrix(truth, predicted, labels=range(len(labels))).tolist(),
        },
        "reliability": reliability,
        "coverage": coverage_table(probabilities, truth),
    }


def no_guess(true_class: int, classes: int) -> Probabilities:
    """Return float (classes,) for a photo that got no tag: no evidence, whose likeliest class is any but the right one."""
    wrong = np.zeros(classes, np.float32)
    wrong[(true_class + 1) % classes] = 1 / classes
    return wrong


def _per_class(truth: Classes, predicted: Classes, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(len(labels)), zero_division=0
    )
    return {
        label: {
            "precision": _rounded(precision[index]),
            "recall": _rounded(recall[index]),
            "f1": _rounded(f1[index]),
            "n": int(support[index]),
        }
        for index, label in enumerate(labels)
    }


def reliability_table(probabilities: Probabilities, truth: Classes) -> list[dict[str, float | int]]:
    """Return the bins (from, to] of the confidence that hold any picture: how many, mean confidence, accuracy."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, BINS - 1)
    return [
        {
            "from": _rounded(edges[index]),
            "to": _rounded(edges[index + 1]),
            "n": int((bins == index).sum()),
            "confidence": _rounded(confidence[bins == index].mean()),
            "accuracy": _rounded(right[bins == index].mean()),
        }
        for index in np.unique(bins)
    ]


def calibration_error(reliability: Sequence[dict[str, float | int]]) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by their pictures (ECE, 0..1)."""
    total = sum(row["n"] for row in reliability)
    return sum(row["n"] / total * abs(row["confidence"] - row["accuracy"]) for row in reliability)


def coverage_table(probabilities: Probabilities, truth: Classes) -> list[dict[str, float | int]]:
    """Return, for shares of the surest pictures, their accuracy and the least confidence among them."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    counts = [max(1, round(share * len(truth))) for share in COVERAGES]
    return [
        {
            "coverage": share,
            "n": count,
            "accuracy": _rounded(right[:count].mean()),
            "least_confidence": _rounded(confidence[order[count - 1]]),
        }
        for share, count in zip(COVERAGES, counts, strict=True)
    ]


def _rounded(value: float) -> float:
    return round(float(value), 6)
