"""Fine-tuning of the backbone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from adaptation_helpers import examples_on
from torch import Tensor
from torch.nn import functional

from tagger.adaptation import backbone
from tagger.adaptation.backbone import fine_tune_backbone
from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import fit_adapter
from tagger.inference.predictor import Features
from tagger.inference.torch_network import pool_maps
from tagger.models import bundle

pytestmark = pytest.mark.usefixtures("one_thread")


def validation_loss(network: torch.nn.Module, images: Tensor, features: Features, examples: LabelledExamples) -> float:
    """Return the loss on the products for validation, with a head that is fitted to the others."""
    validation, training = backbone.split(examples, 0)
    adapter = fit_adapter(features, training, 1e-3)
    photos = torch.from_numpy(validation.photos)
    with torch.no_grad():
        maps = pool_maps(network.maps(images[photos]))
        scores = backbone._Head(adapter)(torch.from_numpy(features.probabilities)[photos], maps)
    return float(functional.cross_entropy(scores, torch.from_numpy(validation.classes)))


@pytest.mark.slow
def test_fine_tuning_lowers_the_validation_loss(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result has other weights and a lower loss on products that it was not trained on; the original is unchanged."""
    monkeypatch.setattr(backbone, "STEPS", 40)
    network = bundle.load(str(photo_bundle)).network()
    rng = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 100, (60, 1, 28, 28), generator=rng)
    for number, place in enumerate(torch.randint(2, 22, (60,), generator=rng).tolist()):
        bar = pixels[number, 0] if number % 2 else pixels[number, 0].T  # bars across or along, anywhere
        bar[place : place + 4, 4:24] = 200
    pixels = pixels.to(torch.uint8)
    with torch.no_grad():
        before, last = network.maps(pixels)
        probabilities = torch.softmax(network.photo_logits_of_maps(last) / 2, 1)
        features = Features(probabilities.numpy(), pool_maps((before, last)).numpy())
    examples = examples_on(range(60), [number % 2 for number in range(60)], ("Trouser", "Bag"), (1, 8))
    old = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = fine_tune_backbone(network, pixels.numpy(), features, examples, 1e-3, 2.0)
    assert any(not torch.equal(old[name], tensor) for name, tensor in made.state_dict().items())
    assert all(torch.equal(old[name], tensor) for name, tensor in network.state_dict().items())
    assert validation_loss(made, pixels, features, examples) < validation_loss(network, pixels, features, examples)
    few = examples.take(np.arange(4))  # too few products for a fifth of them to validate
    assert network is fine_tune_backbone(network, pixels.numpy(), features, few, 1e-3, 2.0)


def test_every_label_stays_in_training() -> None:
    """Whatever the seed, a label with photos of two products keeps one of them in training, and a fifth of them validates."""
    examples = examples_on(range(40), [0] * 38 + [1] * 2, ("a", "rare"), (0, -1))
    for seed in range(200):
        validation, training = backbone.split(examples, seed)
        assert 1 in training.classes
        assert len(validation.photos) == 8
        assert not set(validation.products) & set(training.products)


def test_products_are_split_as_a_whole() -> None:
    """Photos of one product are on one side, and one fifth of the products validates."""
    examples = examples_on(range(40), [0, 0, 1, 1] * 10, ("a", "b"), (0, 1), [number // 2 for number in range(40)])
    validation, training = backbone.split(examples, 3)
    assert len(set(validation.products.tolist())) == 4
    assert len(validation.photos) == 8
    assert not set(validation.products) & set(training.products)
    assert sorted([*validation.photos, *training.photos]) == list(range(40))


def test_a_network_that_does_not_improve_is_returned_unchanged(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no evaluation lowers the loss, training stops early and the original network comes back."""
    losses: list[float] = []

    def rising(*given: object) -> float:
        losses.append(float(len(losses)))
        return losses[-1]

    monkeypatch.setattr(backbone, "_validation_loss", rising)
    monkeypatch.setattr(backbone, "EVALUATION_INTERVAL", 1)
    network = bundle.load(str(photo_bundle)).network()
    pixels = torch.zeros(20, 1, 28, 28, dtype=torch.uint8)
    with torch.no_grad():
        before, last = network.maps(pixels)
        probabilities = torch.softmax(network.photo_logits_of_maps(last), 1)
        features = Features(probabilities.numpy(), pool_maps((before, last)).numpy())
    examples = examples_on(range(20), [0, 1] * 10, ("Trouser", "Bag"), (1, 8))
    assert fine_tune_backbone(network, pixels.numpy(), features, examples, 1e-3, 1.0) is network
    assert len(losses) == 1 + backbone.PATIENCE
