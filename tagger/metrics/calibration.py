"""Calibrate confidences: temperature scaling, a threshold at a precision, the reliability diagram and its error (ECE)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagger.arrays import Flags, Floats
from tagger.metrics.rounding import rounded

BINS = 15
"""Equal-width bins of the reliability table, as in Guo et al. 2017 (arXiv 1706.04599)."""

PRECISION = 0.99
"""Precision, on the validation images, of the tags at or above the default threshold."""

PHOTO_PRECISION = 0.95
"""The same for bundles that were trained on photos."""

PRECISIONS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Precisions that a card holds a threshold for."""

MIN_CALIBRATION_PHOTOS = 100
"""Labelled photos that a shop's own temperature and thresholds need; fewer give only a rough estimate."""

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Bounds of a temperature: the best one is 0 for a network that is never wrong, and infinite for one that guesses."""


def reliability_table(confidence: Floats, right: Flags) -> list[dict[str, float | int]]:
    """Return the rows of a reliability diagram for confidences 0..1 (n,) and whether each prediction is right (n,).

    Each row is a bin (from, to] of `BINS` that holds any prediction, with their number `n`, mean confidence and accuracy.
    """
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
    """Return the expected calibration error (ECE), 0..1, of a `reliability_table` (Guo et al. 2017, arXiv 1706.04599).

    It is the mean of the bins' |confidence - accuracy|, weighted by their numbers of predictions.
    """
    total = sum(row["n"] for row in reliability)
    return sum(row["n"] / total * abs(row["confidence"] - row["accuracy"]) for row in reliability)


def fit_temperature(logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the temperature to divide float logits (n, classes) by for the least cross-entropy against labels (n,).

    Temperature scaling (Guo et al. 2017, arXiv 1706.04599) changes the confidence of a tag, never the tag. The result lies
    within `MIN_TEMPERATURE` and `MAX_TEMPERATURE`. `weights` (n,) are those of the samples; None weighs all alike.
    """
    exact = np.asarray(logits, np.float64)
    exact = exact - exact.max(1, keepdims=True)
    shares = np.ones(len(exact)) if weights is None else np.asarray(weights, np.float64)
    truth = np.average(exact[np.arange(len(exact)), np.asarray(labels)], weights=shares)

    def slope(inverse: float) -> float:
        """Return the derivative of the mean cross-entropy by the inverse temperature, which rises with it."""
        exponentials = np.exp(inverse * exact)
        return float(np.average((exponentials * exact).sum(1) / exponentials.sum(1), weights=shares) - truth)

    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    if slope(low) >= 0:
        return MAX_TEMPERATURE
    if slope(high) <= 0:
        return MIN_TEMPERATURE
    # Imported here, as it takes a tenth of a second and only calibration needs it.
    from scipy.optimize import brentq

    return 1 / float(brentq(slope, low, high, xtol=1e-9))


def threshold_at_precision(precision: float, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the lowest confidence threshold at which the tags have at least `precision`, or 1.0 if none has.

    For probabilities (n, classes) and true classes (n,); a tag passes with a confidence at or above the threshold. Never
    below one half, where another label could be as probable.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right, ordered = (probabilities.argmax(axis=1) == truth)[order], confidence[order]
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    last_of_equals = np.append(ordered[:-1] != ordered[1:], True)  # tags of one confidence pass together or not at all
    passing = np.flatnonzero((precisions >= precision) & last_of_equals & (ordered >= 0.5))
    return float(ordered[passing[-1]]) if len(passing) else 1.0
