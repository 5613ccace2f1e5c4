"""Makes confidence believable: a temperature and a threshold, fitted on pictures that no training saw."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tagger.arrays import Flags, Floats
from tagger.metrics.rounding import rounded

BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017 (arXiv 1706.04599)."""


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


PRECISION = 0.99
"""Accuracy, on the held-out pictures, that the default threshold asks of the tags it lets pass."""

PHOTO_PRECISION = 0.95
"""The same for bundles that know photos."""

PRECISIONS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Shares of right ones among the unflagged tags that a card has thresholds for."""

MIN_CALIBRATION_PHOTOS = 100
"""Labelled photos from which on thresholds are a shop's own; with fewer confidence is rough."""


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the positive number to divide float logits (n, classes) by, least cross-entropy against labels (n,).

    Guo et al. 2017, arXiv 1706.04599: one number cannot change a tag, only how sure of it the network says it is.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    exact = logits.double()
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(exact / log_temperature.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    # A network that is never wrong would ask for 0, one that only guesses for infinity.
    return float(log_temperature.detach().exp().clamp(0.05, 20))


def threshold_at_precision(precision: float, probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the least confidence from which on at least `precision` of the tags are right, or 1.0 if none is.

    For probabilities (n, classes) and true classes (n,); never below one half, where another tag could be as likely.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right, ordered = (probabilities.argmax(axis=1) == truth)[order], confidence[order]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    last_of_equals = np.append(ordered[:-1] != ordered[1:], True)  # a threshold lets all of them pass or none
    good = np.flatnonzero((accuracy >= precision) & last_of_equals & (ordered >= 0.5))
    return float(ordered[good[-1]]) if len(good) else 1.0
