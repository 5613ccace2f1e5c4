"""Fixtures of the tests of evaluation: sources of labelled photos, and their evaluation with a small bundle."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from compare_helpers import IMAGES, SaveBundle
from evaluation_helpers import write_source
from helpers import load_slice

from tagger.data import fashion_mnist as dataset
from tagger.data import splits
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS
from tagger.evaluation.evaluate import Evaluation, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.models import bundle
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.photos import product


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """24 photos of four classes and of out-of-distribution objects, two per product, a third of them loosely mapped."""
    labels = [(*LABELS[:4], "OOD")[number % 5] for number in range(24)]
    kinds = ["Blouse (ambiguous)" if number % 3 == 0 else label for number, label in enumerate(labels)]
    return write_source(tmp_path / "shop", [(label, kinds[at], at // 2) for at, label in enumerate(labels)])


@pytest.fixture
def clear(tmp_path: Path) -> Path:
    """20 photos of all ten classes, two per product, none of them loosely mapped."""
    return write_source(tmp_path / "clear", [(LABELS[at % 10], "plain", at // 2) for at in range(20)], first=100)


@pytest.fixture
def worn(tmp_path: Path) -> Path:
    """12 photos of six classes without a column of groups or kinds."""
    return write_source(tmp_path / "worn", [(LABELS[at % 6],) for at in range(12)], ("path", "label"), 200)


@pytest.fixture
def ood(tmp_path: Path) -> Path:
    """8 photos of out-of-distribution objects."""
    return write_source(tmp_path / "ood", [("OOD", "Belts", at) for at in range(8)], first=300)


@pytest.fixture
def evaluated(small_bundle: Path) -> Callable[..., Evaluation]:
    """Evaluate sources with the small bundle."""
    return lambda *sources: evaluate(EvaluateSettings(tuple(map(str, sources)), model=str(small_bundle)))


@pytest.fixture
def fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> Images:
    """Replace Fashion-MNIST's test set by its first 200 images, and return them."""
    images = load_slice()
    monkeypatch.setattr("tagger.data.fashion_mnist.load_fashion_mnist", lambda split, folder: images)
    return images


@pytest.fixture
def random_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Fashion-MNIST by sixty random images, all of them held out."""
    monkeypatch.setattr(dataset, "load_fashion_mnist", lambda split, folder=None: IMAGES)
    monkeypatch.setattr(splits, "validation_split", lambda images: (images, images))


@pytest.fixture
def save(tmp_path: Path) -> SaveBundle:
    """Return a function that saves a bundle of a small random network and returns its folder."""

    def save_bundle(name: str, widths: tuple[int, ...] = (8, 16), seed: int = 0, **more: object) -> str:
        torch.manual_seed(seed + 100)
        config = NetworkConfig(widths=widths)
        options = {"recipe": {"seed": seed, "epochs": 3}, "labels": LABELS, "groups": GROUPS} | more
        card = Card(name=name, network=config, garment_version=product.VERSION, temperature=1.0, min_confidence=0.5, **options)
        bundle.save(tmp_path / name, card, Network(config).eval())
        return str(tmp_path / name)

    return save_bundle
