"""Coverage curves and confused pairs are what counting gives."""

import numpy as np
import pytest

from tagger.metrics.classification import NO_TAG, classification_report, confused_pairs, coverage_curve


def test_the_curve_has_the_coverage_of_every_threshold() -> None:
    """For each confidence that occurs, the share of images at least as confident and how many of these are right."""
    rng = np.random.default_rng(3)
    confidence, right = rng.integers(0, 30, 200) / 30, rng.random(200) < 0.7
    shares, accuracies = coverage_curve(confidence, right)
    thresholds = sorted(set(confidence), reverse=True)
    assert shares.tolist() == pytest.approx([np.mean(confidence >= threshold) for threshold in thresholds])
    assert accuracies.tolist() == pytest.approx([right[confidence >= threshold].mean() for threshold in thresholds])


def test_pairs_are_counted_by_true_class() -> None:
    """Pairs are the wrong predictions, no tag among them, as shares of the true class; right ones are no pair."""
    truth, predicted = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([1, 1, NO_TAG, 0, 1, 2, 2])
    metrics = classification_report(predicted, np.full(7, 0.5), truth, ("a", "b", "c"))
    assert [tuple(pair.values()) for pair in confused_pairs(metrics["confusion"])] == [
        ("a", "b", 2, 0.5),
        ("a", "", 1, 0.25),
        ("b", "c", 1, 0.5),
    ]
