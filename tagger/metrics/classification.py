"""Measure a classifier: accuracy, per-class metrics, confusion, coverage and AUROC.

Classes are numbers 0..classes-1; `NO_TAG` is the predicted class of a photo that got no tag.
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
"""Shares of the predictions, the most confident ones, that `coverage_table` has a row for."""

NO_TAG = -1
"""Predicted class of a photo without a tag; no true class."""


def classification_report(predicted: Classes, confidence: Floats, truth: Classes, labels: Sequence[str]) -> dict[str, Any]:
    """Return all metrics, as JSON values, for predicted classes, confidences 0..1 and true classes, each (n,), n at least 1.

    `macro_accuracy` is the mean of the accuracies of the classes that occur in `truth`, `calibration_error` the ECE.
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
    """Return the pairs of a true and another predicted class in the `confusion` of a `classification_report`.

    Each pair has the labels `true` and `predicted` ("" for no tag), the number `n` of photos, and their `share` 0..1 of the
    true class. The most frequent pairs come first, equally frequent ones in the labels' order.
    """
    predicted = [*confusion["labels"], ""]
    rows = zip(confusion["labels"], confusion["counts"], confusion["without_tag"], strict=True)
    pairs = [
        {"true": true, "predicted": other, "n": n, "share": rounded(n / (sum(counts) + without_tag))}
        for true, counts, without_tag in rows
        for other, n in zip(predicted, [*counts, without_tag], strict=True)
        if n and other != true
    ]
    return sorted(pairs, key=lambda pair: -pair["n"])


# Confidence --------------------------------------------------------------------------------------------------------


def coverage_table(confidence: Floats, right: Flags) -> list[dict[str, float | int]]:
    """Return the accuracy of the most confident predictions at each of `COVERAGES`, and the least confidence among them.

    For confidences (n,) and whether each prediction is right (n,): the accuracy-coverage (one minus risk-coverage) curve of
    selective classification (El-Yaniv and Wiener 2010, JMLR 11) at fixed points.
    """
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
    """Return the accuracy-coverage curve: coverage 0..1 and accuracy 0..1 at every threshold, the highest threshold first.

    For confidences (n,) and whether each prediction is right (n,). The curve has a point per distinct confidence, as
    predictions of one confidence pass a threshold together.
    """
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    counts = last + 1
    return counts / len(order), np.cumsum(right[order])[last] / counts


def auroc(known: Floats, others: Floats) -> float:
    """Return the area under the ROC curve, 0..1, of the confidences of in-distribution photos against those of others.

    It is the probability that a photo of `known` has the higher confidence than one of `others`; ties count one half.
    """
    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(others)]), np.concatenate([known, others])))
