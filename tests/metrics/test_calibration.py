"""Temperatures, thresholds by precision, and the calibration error."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError

from tagger.metrics.calibration import BINS, calibration_error, fit_temperature, reliability_table, threshold_at_precision


def calibrated(count: int = 20_000, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Return logits and labels drawn from the probabilities of the logits."""
    rng = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(count, classes, generator=rng)
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=rng)[:, 0]
    return logits, labels


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 1.7, 3.0, 8.0])
def test_temperature_is_recovered(temperature: float) -> None:
    """Logits of a calibrated model, multiplied by a number, give that number as their temperature."""
    logits, labels = calibrated()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_temperature_stays_in_bounds() -> None:
    """A model that is always right, one that is always wrong, and one that is unsure get a finite positive temperature."""
    labels = torch.arange(50) % 10
    right = torch.nn.functional.one_hot(labels, 10).float() * 5
    for logits in (right, right.roll(1, dims=1), torch.zeros(50, 10)):
        assert 0.05 <= fit_temperature(logits, labels) <= 20


def test_temperature_leaves_gradients_alone() -> None:
    """Fitting leaves neither gradients on the logits nor a changed logit behind."""
    logits, labels = calibrated(500)
    before = logits.clone()
    fit_temperature(logits, labels)
    assert torch.equal(before, logits)
    assert logits.grad is None


def probabilities_of(logits: Tensor) -> np.ndarray:
    return torch.softmax(logits, 1).numpy()


@pytest.mark.parametrize("precision", [0.6, 0.8, 0.9, 0.95, 0.99])
def test_threshold_gives_its_precision(precision: float) -> None:
    """Of the tags at or above the threshold at least that share is right, and a lower threshold would not do."""
    logits, labels = calibrated(5_000)
    probabilities, truth = probabilities_of(logits), labels.numpy()
    threshold = threshold_at_precision(precision, probabilities, truth)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    assert 0.5 <= threshold <= 1
    assert right[confidence >= threshold].mean() >= precision
    below = np.sort(confidence[(confidence < threshold - 1e-4) & (confidence >= 0.5)])[::-1]
    assert all(right[confidence >= lower].mean() < precision for lower in below)


@pytest.mark.parametrize("seed", range(30))
def test_threshold_gives_its_precision_on_few_images(seed: int) -> None:
    """On few images, with ties and rounding, that share at or above the threshold is right as well."""
    rng = np.random.default_rng(seed)
    confidence = rng.choice([0.61234, 0.61236, 0.7, 0.712349, 0.8, 0.9], 25).astype(np.float32)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    truth = (rng.random(25) > confidence).astype(np.int64)
    threshold = threshold_at_precision(0.8, probabilities, truth)
    let_pass = confidence >= threshold
    assert not let_pass.any() or (truth[let_pass] == 0).mean() >= 0.8


def test_threshold_is_1_where_nothing_is_right() -> None:
    """Where no tag is right the threshold is 1."""
    assert 1.0 == threshold_at_precision(0.9, np.array([[0.9, 0.1]] * 5, np.float32), np.ones(5, np.int64))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_calibration_error_agrees_with_torchmetrics(scale: float) -> None:
    """The calibration error is that of torchmetrics on the same probabilities."""
    logits, labels = calibrated(3_000)
    probabilities = torch.softmax(logits * scale, 1)
    theirs = MulticlassCalibrationError(10, n_bins=BINS, norm="l1")(probabilities, labels).item()
    confidence, predicted = probabilities.max(1)
    ours = calibration_error(reliability_table(confidence.numpy(), (predicted == labels).numpy()))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_reliability_table_counts_every_image_once() -> None:
    """The bins follow one another, and each image is in the one that contains its confidence, ends included."""
    confidence = np.array([1.0, 1 / 15 * 9, 0.5, 0.50001, 0.999, 0.7], np.float32)
    table = reliability_table(confidence, np.ones(6, bool))
    assert 6 == sum(row["n"] for row in table)
    for row in table:
        assert row["from"] < row["to"]
        assert row["from"] - 1e-6 <= row["confidence"] <= row["to"] + 1e-6
    assert sorted(table, key=lambda row: row["from"]) == table
