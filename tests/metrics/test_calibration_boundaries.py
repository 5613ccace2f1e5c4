"""Bin edges, ties and thresholds of the calibration, counted by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tagger.metrics.calibration import (
    BINS,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    calibration_error,
    fit_temperature,
    reliability_table,
    threshold_at_precision,
)

pytestmark = pytest.mark.usefixtures("one_thread")

EDGES = np.linspace(0, 1, BINS + 1)


def test_there_are_as_many_bins_as_in_the_paper() -> None:
    """Guo et al. 2017 use 15; errors of other numbers of bins cannot be compared."""
    assert BINS == 15


@pytest.mark.parametrize("bin_", range(BINS))
def test_a_bin_holds_its_upper_edge_and_not_its_lower_one(bin_: int) -> None:
    """A confidence at an edge belongs to the bin below; only 0 belongs to the first bin."""
    low, high = EDGES[bin_], EDGES[bin_ + 1]
    for confidence in (high, np.nextafter(low, 1), (low + high) / 2, *([low] if bin_ == 0 else [])):
        (row,) = reliability_table(np.array([confidence]), np.array([True]))
        assert (row["from"], row["to"]) == (round(low, 6), round(high, 6))


def test_rows_have_the_means_of_their_bin() -> None:
    """The number, the mean confidence and the accuracy of each bin that holds any prediction, in order."""
    table = reliability_table(np.array([0.95, 0.5, 0.97, 0.96]), np.array([True, False, False, True]))
    assert [(row["n"], row["confidence"], row["accuracy"]) for row in table] == [(1, 0.5, 0.0), (3, 0.96, round(2 / 3, 6))]


def test_calibration_error_weighs_bins_by_their_predictions() -> None:
    """Three predictions that are 0.2 too confident and one that is 0.6 too unsure: 0.3."""
    rows = [{"n": 3, "confidence": 0.7, "accuracy": 0.5}, {"n": 1, "confidence": 0.4, "accuracy": 1.0}]
    assert calibration_error(rows) == pytest.approx(0.3)


def threshold(precision: float, *predictions: tuple[float, bool]) -> float:
    """Return the threshold for predictions of two classes, given by confidence and whether each is right."""
    confidence = np.array([one for one, _ in predictions], np.float32)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    winners = probabilities.argmax(axis=1)
    truth = np.where([right for _, right in predictions], winners, 1 - winners)
    return threshold_at_precision(precision, probabilities, truth)


def test_the_precision_itself_is_enough() -> None:
    """Three right tags of four have a precision of 0.75, neither less nor more."""
    predictions = ((0.9, True), (0.8, True), (0.7, False), (0.6, True))
    assert threshold(0.75, *predictions) == pytest.approx(0.6)
    assert threshold(0.76, *predictions) == pytest.approx(0.8)


def test_tags_of_one_confidence_pass_together() -> None:
    """A threshold cannot let the right one of two equal confidences pass alone, in whatever order they come."""
    for pair in (((0.8, True), (0.8, False)), ((0.8, False), (0.8, True))):
        assert threshold(0.9, (0.9, True), *pair) == pytest.approx(0.9)
        assert threshold(0.6, (0.9, True), *pair) == pytest.approx(0.8)


def test_the_lowest_threshold_wins_over_a_dip_before_it() -> None:
    """A wrong tag on the way does not matter once enough right ones follow."""
    predictions = ((0.9, False), (0.8, True), (0.7, True), (0.6, True))
    assert threshold(0.75, *predictions) == pytest.approx(0.6)


def three_classes(confidence: float) -> np.ndarray:
    """Return probabilities (1, 3) whose largest one is `confidence`."""
    rest = (1 - confidence) / 2
    return np.array([[confidence, rest, rest]], np.float32)


@pytest.mark.parametrize(("confidence", "expected"), [(0.5, 0.5), (0.49, 1.0), (0.51, 0.51)])
def test_thresholds_are_never_below_one_half(confidence: float, expected: float) -> None:
    """Below it another label could be as probable; right tags alone do not lower the threshold further."""
    assert threshold_at_precision(0.9, three_classes(confidence), np.array([0])) == pytest.approx(expected)


def test_temperatures_have_bounds() -> None:
    """A network that is always right gets the lowest temperature, one that is always wrong the highest."""
    labels = torch.arange(30) % 3
    right = functional.one_hot(labels, 3).float()
    assert fit_temperature(0.5 * right, labels) == pytest.approx(MIN_TEMPERATURE) == pytest.approx(0.05)
    assert fit_temperature(5 * right.roll(1, dims=1), labels) == pytest.approx(MAX_TEMPERATURE) == pytest.approx(20)
