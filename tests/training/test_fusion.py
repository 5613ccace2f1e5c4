"""A fusion is learnt from a few drawn photos, written as a bundle, and tags photos, also from the embeddings in a ledger."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fusion_helpers import tiny_onnx
from helpers import save_bundle
from home_photos import KINDS, home_photo, little_data, write_home

from tagger.adaptation.fit import fit_adapter
from tagger.data.labels import NONE
from tagger.errors import BundleError, FmtagError, OutputError, TrainingError
from tagger.inference.predictor import Predictor
from tagger.inference.tagger import Tagger
from tagger.models import bundle
from tagger.models.bundle import Bundle
from tagger.models.card import read
from tagger.models.config import NetworkConfig
from tagger.models.fusion import Fusion
from tagger.photos.loader import load_photos, product_images
from tagger.records import Item
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings
from tagger.training.fusion import _none_bias, calibrated, fit_fusion, train_fusion
from tagger.training.fusion_pictures import Pictures
from tagger.training.fusion_settings import FusionSettings

__all__ = ["little_data"]

pytestmark = pytest.mark.usefixtures("one_thread", "little_data")

CLASSES = {"T-Shirt": 0, "Pants": 1, "OOD": NONE}
"""Classes of the new photos."""


@pytest.fixture(scope="module")
def settings(photo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> FusionSettings:
    """A training on drawn photos with the tiny backbone."""
    root = tmp_path_factory.mktemp("training")
    (root / "tiny.onnx").write_bytes(tiny_onnx())
    return FusionSettings(root / "both", root / "tiny.onnx", write_home(root), str(photo_bundle))


@pytest.fixture(scope="module")
def trained(settings: FusionSettings) -> Bundle:
    """The bundle of that training."""
    return train_fusion(settings)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New photos of each kind, old enough that an unchanged time means unchanged bytes."""
    folder = tmp_path_factory.mktemp("shop")
    for kind, label in enumerate(KINDS):
        for number in range(8):
            file = folder / f"{label} {number}.png"
            home_photo(label, 5_000 + 10 * number + kind).save(file)
            os.utime(file, (1_760_000_000, 1_760_000_000))
    return folder


def test_the_bundle_says_what_it_is_made_of(trained: Bundle, settings: FusionSettings, photo_bundle: Path) -> None:
    """The small network is unchanged; the card has thresholds, metrics and the backbone's origin and licence."""
    start = bundle.load(photo_bundle)
    assert all(np.array_equal(array, trained.weights[name]) for name, array in start.weights.items())
    card = trained.card
    assert ("both", start.card.labels, start.card.network) == (card.name, card.labels, card.network)
    origin = card.recipe["backbone"]
    assert ("tiny.onnx", "ONNX", start.model, 0) == (*(origin[key] for key in ("file", "network", "small", "seed")),)
    assert not {"origin", "licence"} & origin.keys()  # nobody has told
    assert 64 == len(origin["sha256"]) == len(card.data["labels.csv"])
    assert card.threshold(0.95) == card.min_confidence
    assert card.precisions["0.8"] <= card.precisions["0.95"] <= card.precisions["0.99"]
    assert {"accuracy", "macro_accuracy", "calibration_error", "n"} == card.metrics["calibration"].keys()
    assert card.metrics["calibration"]["n"] == 24
    assert isinstance(trained.fusion, Fusion)
    assert trained.fingerprint == bundle.load(settings.out).fingerprint


def test_the_head_tells_new_photos_by_their_colour(trained: Bundle, settings: FusionSettings, shop: Path) -> None:
    """Which the small network, untrained and blind for colours, cannot: the head has learnt from the backbone."""
    files = sorted(shop.iterdir())
    expected = [CLASSES[file.name.split()[0]] for file in files]
    images = product_images(load_photos(Item(file.name, file) for file in files))
    features = Predictor(trained, "cpu").extract(images)
    assert trained.fusion is not None
    assert features.embeddings is not None
    assert (trained.fusion.head(features.embeddings).argmax(1) == expected).sum() >= 22
    assert (trained.fusion.small(features.embeddings).argmax(1) == expected).sum() < 16
    tags = list(Tagger(settings.out, device="cpu").tag(files))
    assert np.allclose([tag.confidence for tag in tags], features.probabilities[:, :-1].max(1), atol=1e-4)


@pytest.mark.slow
def test_training_again_gives_the_same_bundle(trained: Bundle, settings: FusionSettings, tmp_path: Path) -> None:
    """The same seed gives the same file to the bit, and another name another card alone."""
    again = train_fusion(replace(settings, out=tmp_path / "again", name="both"))
    assert trained.fingerprint == again.fingerprint
    renamed = train_fusion(replace(settings, out=tmp_path / "again"))
    assert "again" == renamed.card.name
    assert read(settings.out).eyes == read(tmp_path / "again").eyes


def with_other_head(trained: Bundle, folder: Path, shop: Path) -> Path:
    """Write a bundle with another head and calibration over the same networks."""
    assert trained.fusion is not None
    weight = trained.fusion.weight[:, ::-1] + np.float32(0.1)
    fusion = replace(trained.fusion, weight=weight, temperature=trained.fusion.temperature * 2)
    bundle.save(folder, replace(trained.card, name="other"), trained.weights, None, trained.backbone, fusion)
    return folder


def with_adapter(trained: Bundle, folder: Path, shop: Path) -> Path:
    """Write a bundle adapted to the shop."""
    photos = load_photos(Item(file.name, file) for file in sorted(shop.iterdir()))
    features = Predictor(trained, "cpu").extract(product_images(photos))
    card = replace(trained.card, name="adapted", base_groups=trained.card.network_groups, parent=trained.model)
    bundle.save(folder, card, trained.weights, fit_adapter(features), trained.backbone, trained.fusion)
    return folder


@pytest.mark.parametrize("change", [with_other_head, with_adapter])
def test_a_known_catalog_is_tagged_anew_without_opening_a_photo(
    trained: Bundle, settings: FusionSettings, shop: Path, tmp_path: Path, change: Callable[[Bundle, Path, Path], Path]
) -> None:
    """After the head has changed: the rows are those of a run that reads every photo, though none can be read any more."""
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    for file in shop.iterdir():
        os.link(file, catalog / file.name)
    first = run(RunSettings(str(catalog), str(tmp_path / "tags.csv"), model=str(settings.out)))
    assert (24, 24) == (first.files_read, first.scored)
    before = (tmp_path / "tags.csv").read_bytes()
    second = str(change(trained, tmp_path / "second", shop))
    (tmp_path / "fresh").mkdir()
    run(RunSettings(str(catalog), str(tmp_path / "fresh" / "tags.csv"), model=second, batch_size=5, workers=1))
    for file in catalog.iterdir():
        times = file.stat()
        file.unlink()
        file.write_bytes(bytes(times.st_size))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    summary = run(RunSettings(str(catalog), str(tmp_path / "tags.csv"), model=second))
    assert (0, 0, 24) == (summary.files_read, summary.scored, summary.retagged)
    assert (tmp_path / "fresh" / "tags.csv").read_bytes() == (tmp_path / "tags.csv").read_bytes() != before


def pictures(count: int = 400, features: int = 30, seed: int = 0) -> Pictures:
    """Return what networks might say: features near the centre of their class, and a small network that is often wrong."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 11, count)
    centres = np.random.default_rng(9).uniform(0, 20, (11, features))
    small = rng.dirichlet(np.ones(11), count).astype(np.float32)
    painted, staged = np.arange(count) % 4 == 1, np.arange(count) % 4 == 2
    seen = np.maximum(centres[classes] + rng.normal(0, 2, (count, features)), 0).astype(np.float32)
    return Pictures(classes, painted, staged, small, seen, rng.normal(0, 2, (count, 1000)).astype(np.float32))


def test_a_fusion_learns_to_tell_classes_apart() -> None:
    """The head is right on other pictures than it has learnt from; an embedding holds all features, up to 160."""
    fusion, other = fit_fusion(pictures()), pictures(seed=1)
    packed = fusion.embed(other.small, other.features, other.logits, np.zeros(len(other), np.uint8))
    assert (fusion.head(packed).argmax(1) == other.classes).mean() > 0.9
    assert (30, 30) == fusion.projection.shape
    wide = fit_fusion(pictures(features=300))
    assert ((300, 160), 207) == (wide.projection.shape, wide.size)
    assert np.array_equal(wide.projection, wide.projection.astype(np.float16))


def test_the_calibration_fits_pictures_that_were_not_learnt_from() -> None:
    """The mean probability of none of the labels is their assumed share, and sureness is about as high as it is right."""
    other = pictures(2_000, seed=1)
    fusion = calibrated(fit_fusion(pictures()), other)
    packed = fusion.embed(other.small, other.features, other.logits, np.zeros(len(other), np.uint8))
    known = other.classes < 10
    found = fusion.probabilities(packed)
    labels = found[known, :-1] / found[known, :-1].sum(1, keepdims=True)
    right = labels.argmax(1) == other.classes[known]
    assert abs(labels.max(1).mean() - right.mean()) < 0.05
    assert found[~known, -1].mean() > found[known, -1].mean()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_bias_of_none_of_the_labels_gives_their_share(share: float) -> None:
    """The mean probability, with a fifth of the weight on such pictures, is a fifth, whatever their share of the pictures."""
    rng = np.random.default_rng(0)
    none = rng.random(3_000) < share
    scores = (rng.normal(0, 2, 3_000) + 3 * none).astype(np.float32)
    weights = rng.uniform(0.3, 1, 3_000)
    chances = 1 / (1 + np.exp(-(scores + _none_bias(scores, none, weights))))
    mean = [np.average(chances[rows], weights=weights[rows]) for rows in (none, ~none)]
    assert 0.2 == pytest.approx(0.2 * mean[0] + 0.8 * mean[1], abs=1e-4)


@pytest.mark.parametrize("kind", ["other head", "backbone", "adapter", "labels"])
def test_other_bundles_cannot_be_fused(
    settings: FusionSettings, trained: Bundle, shop: Path, tmp_path: Path, kind: str
) -> None:
    """One without a head for photos, one that has a backbone already, one adapted to a shop: one sentence, and no file."""
    if kind == "other head":
        start = save_bundle(tmp_path / "start", NetworkConfig(widths=(8, 16)))
    elif kind == "backbone":
        start = settings.out
    elif kind == "adapter":
        start = with_adapter(trained, tmp_path / "start", shop)
    else:
        small = bundle.load(settings.start)
        labels = tuple(f"label {number}" for number in range(10))
        card = replace(small.card, labels=labels, groups=dict.fromkeys(labels, "x"))
        bundle.save(start := tmp_path / "start", card, small.weights)
    with pytest.raises(TrainingError, match=r"cannot be fused with a backbone; give a bundle .*catalog-small\.$"):
        train_fusion(replace(settings, start=str(start), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"backbone": "missing.onnx"}, FmtagError),
        ({"backbone": "labels.csv"}, TrainingError),
        ({"start": "no-such-bundle"}, BundleError),
        ({"out": "labels.csv"}, OutputError),
    ],
)
def test_bad_settings_are_refused_at_once(
    settings: FusionSettings, tmp_path: Path, change: dict[str, str], error: type[FmtagError]
) -> None:
    """In one sentence, before anything is computed or written."""
    (tmp_path / "labels.csv").write_text("path,label,group\n")
    paths = {key: value if key == "start" else tmp_path / value for key, value in change.items()}
    with pytest.raises(error) as caught:
        train_fusion(replace(settings, **({"out": tmp_path / "out"} | paths)))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert ["labels.csv"] == [file.name for file in tmp_path.iterdir()]


def test_a_network_that_is_no_backbone_is_refused(settings: FusionSettings, tmp_path: Path) -> None:
    """An ONNX file with other inputs is refused with its path."""
    file = tmp_path / "other.onnx"
    file.write_bytes(tiny_onnx().replace(b"pixels", b"images"))
    with pytest.raises(TrainingError, match=r"other\.onnx cannot be used: the backbone must take uint8 `pixels`"):
        train_fusion(replace(settings, backbone=file, out=tmp_path / "out"))
