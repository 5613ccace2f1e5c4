"""Training on Fashion-MNIST from data to bundle, on made-up images in its place."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import save_bundle
from pretrain_helpers import HELD_OUT, RECIPE, TESTED, TRAINED_ON, bars, product_images
from pretrain_helpers import data as data  # a fixture that is used by its name

from tagger.cli.training_output import print_epoch, print_trained
from tagger.data import fashion_mnist
from tagger.data.labels import LABELS
from tagger.errors import TrainingError
from tagger.inference.predictor import Predictor
from tagger.metrics.calibration import PRECISIONS
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.torchvision_backbones import BUILDERS
from tagger.training.history import EpochMetrics
from tagger.training.pretrain import pretrain
from tagger.training.publish import TrainedBundle
from tagger.training.recipes import catalog_recipe
from tagger.training.settings import TrainSettings

SMALL = NetworkConfig(widths=(8, 16))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle `bars` that is trained by `RECIPE`."""
    out = tmp_path_factory.mktemp("trained") / "shop"
    made = pretrain(TrainSettings(out, RECIPE, name="bars"))
    assert made.bundle.model == bundle.load(str(out)).model
    return out


def test_the_bundle_describes_its_training(folder: Path) -> None:
    """The bundle loads, tags, and its card holds what a reader needs to judge it and to train it again."""
    loaded = bundle.load(str(folder))
    card = loaded.card
    assert loaded.model.startswith("bars@")
    assert ("bars", LABELS) == (card.name, tuple(card.labels))
    assert (HELD_OUT, TESTED) == (card.metrics["held_out"]["n"], card.metrics["test"]["n"])
    assert TRAINED_ON == card.metrics["trained_on"]
    assert 0 == card.recipe["seed"]
    assert 2 == card.recipe["cycles"][0]["epochs"]
    assert fashion_mnist.fashion_mnist_checksums() == dict(card.data)
    assert 0.5 <= card.min_confidence <= 1
    assert card.temperature > 0
    probabilities = Predictor(loaded, "cpu")(product_images(bars(10)))
    assert np.allclose(1, probabilities.sum(axis=1), atol=1e-5)
    assert not (folder / "checkpoint.pt").exists()


def test_the_cards_metrics_are_those_of_the_bundle(folder: Path) -> None:
    """The test accuracy in the card is that of the written bundle's predictions."""
    loaded = bundle.load(str(folder))
    test = bars(TESTED)
    predicted = Predictor(loaded, "cpu")(product_images(test)).argmax(axis=1)
    assert loaded.card.metrics["test"]["accuracy"] == pytest.approx((predicted == test.labels.numpy()).mean(), abs=1e-6)


def test_training_starts_from_a_file_of_weights(tmp_path: Path) -> None:
    """The card names the file by its hash, and with tiny learning rates its weights are still those of the bundle."""
    torch.manual_seed(3)
    weights = BUILDERS["mobilenet-v3"]().state_dict()
    torch.save(weights, tmp_path / "mobile.pth")
    recipe = replace(RECIPE, network="mobilenet-v3", sgd_lr=1e-9, muon_lr=1e-9, ema_decay=0.0)
    recipe = replace(recipe, cycles=(replace(recipe.cycles[0], epochs=1),))
    made = pretrain(TrainSettings(tmp_path / "new", recipe, pretrained=tmp_path / "mobile.pth")).bundle
    assert str(made.card.recipe["start"]).startswith("mobile.pth@")
    assert np.allclose(weights["features.1.block.0.0.weight"], made.weights["stages.1.block.0.0.weight"], atol=1e-3)


def test_training_starts_from_a_bundle(tmp_path: Path) -> None:
    """From a bundle, the new one has its shape and names it; thresholds rise with the precision."""
    start = save_bundle(tmp_path / "start", SMALL)
    made = pretrain(TrainSettings(tmp_path / "new", RECIPE, start=str(start))).bundle
    assert SMALL == made.card.network
    assert ("fashion-mnist", bundle.load(str(start)).model) == (made.card.recipe["mix"], made.card.recipe["start"])
    thresholds = [made.card.threshold(precision) for precision in sorted(PRECISIONS)]
    assert sorted(thresholds) == thresholds


def test_fashion_mnist_alone_leaves_no_head_for_photos(tmp_path: Path) -> None:
    """From a bundle with a head for photos, training on Fashion-MNIST alone keeps just the head that is trained."""
    start = save_bundle(tmp_path / "start", replace(SMALL, photo_classes=11), photo_temperature=2.0)
    gentle = replace(RECIPE, muon_lr=1e-9, sgd_lr=1e-9, ema_decay=0.0)
    made = pretrain(TrainSettings(tmp_path / "new", gentle, start=str(start))).bundle
    assert (SMALL, 1.0) == (made.card.network, made.card.photo_temperature)
    assert not [name for name in made.weights if name.startswith("photo_head")]
    assert np.allclose(bundle.load(str(start)).weights["head.weight"], made.weights["head.weight"], atol=1e-3)


def test_a_twins_calibration_frees_the_held_out_images(folder: Path, tmp_path: Path) -> None:
    """With a bundle of the same recipe to calibrate by, all images are trained on; temperature and thresholds are its own."""
    twin = bundle.load(str(folder))
    history: list[EpochMetrics] = []
    settings = TrainSettings(tmp_path / "all", replace(RECIPE, seed=1), calibrated_by=str(folder), floor=1.0)
    made = pretrain(settings, history.append).bundle
    assert TRAINED_ON + HELD_OUT == made.card.metrics["trained_on"]
    assert "held_out" not in made.card.metrics
    assert [None, None] == [metrics.held_out_accuracy for metrics in history]
    assert (twin.card.temperature, twin.card.min_confidence) == (made.card.temperature, made.card.min_confidence)
    assert twin.card.precisions == made.card.precisions
    assert (twin.model, 1) == (made.card.recipe["calibrated_by"], made.card.recipe["seed"])
    print_epoch(history[0])
    print_trained(TrainedBundle(made, history))
    assert "--calibrated-by" in refusal(TrainSettings(tmp_path / "new", RECIPE, calibrated_by=str(tmp_path / "all")))


def refusal(settings: TrainSettings) -> str:
    """Return the one sentence with which a training is refused before it wrote anything."""
    with pytest.raises(TrainingError) as caught:
        pretrain(settings)
    assert "\n" not in str(caught.value)
    assert not settings.out.exists()
    return str(caught.value)


@pytest.mark.parametrize("other", ["recipe", "mix"])
def test_only_a_twin_calibrates(folder: Path, tmp_path: Path, other: str) -> None:
    """A bundle of another recipe is no twin, and the mix takes none."""
    recipe = {"recipe": replace(RECIPE, shift=1), "mix": catalog_recipe(1)}[other]
    assert "--calibrated-by" in refusal(TrainSettings(tmp_path / "new", recipe, calibrated_by=str(folder)))
