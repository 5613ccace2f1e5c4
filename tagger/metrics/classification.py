"""How right and how believable tags are: pure functions of what was said, how surely, and what is true.

Classes are numbers 0..classes-1, and `NO_TAG` stands for a photo that got none. Photos of one group, such as a product or a
sender, are not independent, so the intervals are from draws of whole groups with replacement (the cluster bootstrap).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from tagger.arrays import Classes, Flags, Floats
from tagger.metrics.calibration import calibration_error, reliability_table
from tagger.metrics.rounding import rounded
from tagger.metrics.significance import macro_accuracy

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


NO_TAG = -1
"""The class said of a photo without a tag: never the true one."""


def classification_report(predicted: Classes, confidence: Floats, truth: Classes, labels: Sequence[str]) -> dict[str, Any]:
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
    """Return the pairs of a true and another said class that occur in a `confusion` of `classification_report`, the most pictures first.

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


def auroc(known: Floats, strangers: Floats) -> float:
    """Return how often a known photo has the higher confidence than a stranger: the area under the ROC curve, 0..1."""
    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(strangers)]), np.concatenate([known, strangers])))


# Shares and their intervals ----------------------------------------------------------------------------------------
