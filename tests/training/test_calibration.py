"""Temperatures and thresholds of a trained network, and how they stand in a card."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import save_bundle
from numpy.typing import NDArray
from training_helpers import CONFIG, TWO_HEADS, bars

from tagger.metrics.calibration import PHOTO_PRECISION, PRECISION, PRECISIONS, fit_temperature, threshold_at_precision
from tagger.models import bundle
from tagger.models.bundle import Bundle
from tagger.models.network import logits_in_batches
from tagger.training.calibration import MIX_IS_EASIER, SHARPENED, Calibration, EvaluationSet, calibrate

pytestmark = pytest.mark.usefixtures("one_thread")

HELD_OUT, MIX = bars(120, seed=3), bars(90, seed=4)


def random_probabilities(count: int) -> NDArray[np.float32]:
    """Return probabilities (count, 10) whose confidence tells about how often they are right for `bars`."""
    rng = np.random.default_rng(count)
    logits = rng.normal(size=(count, 10))
    logits[np.arange(count), np.arange(count) % 10] += rng.uniform(0, 8, count)
    shares = np.exp(logits)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with a head for photos."""
    return bundle.load(str(save_bundle(tmp_path_factory.mktemp("two") / "heads", TWO_HEADS)))


def test_temperatures_fit_the_heads(two_heads: Bundle) -> None:
    """Each head gets the temperature of its own images, the photos' one sharpened; predictions are those of both."""
    seen: list[Bundle] = []

    def predict(candidate: Bundle) -> NDArray[np.float32]:
        seen.append(candidate)
        return random_probabilities(90)

    found = calibrate(two_heads, EvaluationSet(HELD_OUT, predict), EvaluationSet(MIX, predict), knows_photos=True)
    network = two_heads.network()
    photo_logits = logits_in_batches(network.photo_logits, MIX.pixels)
    assert fit_temperature(logits_in_batches(network, HELD_OUT.pixels), HELD_OUT.labels) == found.temperature
    assert SHARPENED * fit_temperature(photo_logits, MIX.labels) == found.photo_temperature
    assert [(found.temperature, found.photo_temperature)] == [
        (candidate.card.temperature, candidate.card.photo_temperature) for candidate in seen
    ]


def test_thresholds_of_a_mix_are_stricter(two_heads: Bundle) -> None:
    """With a mix the thresholds are its own, and allow fewer errors than on what is held out; photos' precision is default."""
    probabilities = random_probabilities(90)
    held_out = EvaluationSet(HELD_OUT, lambda candidate: random_probabilities(120))
    found = calibrate(two_heads, held_out, EvaluationSet(MIX, lambda candidate: probabilities), knows_photos=True)
    expected = {
        precision: threshold_at_precision(1 - MIX_IS_EASIER * (1 - precision), probabilities, MIX.labels.numpy())
        for precision in PRECISIONS
    }
    assert (expected, PHOTO_PRECISION) == (found.thresholds, found.precision)


@pytest.mark.parametrize(("knows_photos", "default"), [(False, PRECISION), (True, PHOTO_PRECISION)])
def test_without_a_mix_the_held_out_images_decide(tmp_path: Path, knows_photos: bool, default: float) -> None:
    """Without a mix thresholds are those of the held-out images, and there is one temperature."""
    one_head = bundle.load(str(save_bundle(tmp_path / "one", CONFIG)))
    probabilities = random_probabilities(120)
    found = calibrate(one_head, EvaluationSet(HELD_OUT, lambda candidate: probabilities), None, knows_photos)
    expected = {
        precision: threshold_at_precision(precision, probabilities, HELD_OUT.labels.numpy()) for precision in PRECISIONS
    }
    assert (expected, default, 1.0) == (found.thresholds, found.precision, found.photo_temperature)


def test_a_card_holds_a_calibration(two_heads: Bundle) -> None:
    """A calibration applied to a card is the one that is read from it."""
    calibration = Calibration(1.5, 0.7, dict(zip(PRECISIONS, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), strict=True)), PHOTO_PRECISION)
    card = calibration.applied_to(two_heads.card)
    assert (1.5, 0.7, calibration.thresholds[PHOTO_PRECISION]) == (
        card.temperature,
        card.photo_temperature,
        card.min_confidence,
    )
    assert calibration == Calibration.of_card(card)


def test_a_report_has_the_names_of_the_classes() -> None:
    """Metrics of an evaluation set are those of its labels, by their names."""
    report = EvaluationSet(HELD_OUT, lambda candidate: random_probabilities(120)).report(
        torch.nn.functional.one_hot(HELD_OUT.labels, 10).float().numpy()
    )
    assert (1.0, 120) == (report["accuracy"], report["n"])
    assert list(HELD_OUT.names) == list(report["per_class"])
