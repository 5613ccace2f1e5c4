"""The ablation of the backbone: views, shares, its cache of what networks compute, and fine-tuning that resumes."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import backbone_finetuning, backbone_networks, backbone_photos
from benchmarks.accuracy.backbone_cache import PictureSet
from benchmarks.accuracy.backbone_floats import FloatFusion
from benchmarks.accuracy.backbone_networks import graph_of
from tagger.arrays import Pixels
from tagger.models.efficientnet import EfficientNetLite0
from tagger.models.efficientnet_graph import FEATURES
from tagger.models.fusion import Fusion

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def pictures(tmp_path: Path) -> PictureSet:
    """Three pictures in a folder of the cache."""
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    (tmp_path / "crops.raw").write_bytes(crops.tobytes())
    (tmp_path / "rows.json").write_text(json.dumps([{"class": number} for number in range(3)]), encoding="utf-8")
    return PictureSet(tmp_path)


def _half_white() -> Pixels:
    """Return a picture, uint8 (224, 224, 3), that is white above and black below."""
    picture = np.zeros((224, 224, 3), np.uint8)
    picture[:112] = 255
    return picture


def test_views_show_what_their_names_say() -> None:
    """A mirror image mirrored is the picture; the upper middle of a picture that is white above has more white."""
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert (backbone_networks.mirrored(backbone_networks.mirrored(picture)) == picture).all()
    assert backbone_networks.upper_half(_half_white()).mean() > 1.5 * backbone_networks.centre(_half_white()).mean()
    assert backbone_networks.resized(160)(picture).shape == (160, 160, 3)


def test_the_plain_box_keeps_what_surrounds_the_product() -> None:
    """A photo's ground inside the box is shown as it is, where the cut has the colour of the border."""
    photo = np.full((300, 300, 3), 200, np.uint8)
    photo[100:200, 100:200] = np.random.default_rng(0).integers(0, 100, (100, 100, 3))
    mask = np.zeros((300, 300), np.uint8)
    np.fill_diagonal(mask[100:200, 100:200], 255)
    with backbone_photos.all_cut():
        cut = backbone_photos.product.box_crop(photo, mask)
        with backbone_photos.uncut():
            box = backbone_photos.product.cut_crop(photo, mask)
    assert (cut < 150).mean() < 0.2
    assert (box < 150).mean() > 0.5


def test_coverage_is_that_of_the_most_confident() -> None:
    """Of ten tags of which the two least confident are wrong, eight are all right."""
    confidence = np.linspace(1, 0.1, 10)
    assert backbone_photos.coverage(confidence, confidence > 0.25, 1.0) == 0.8


def test_what_a_network_computed_is_read_from_the_cache(pictures: PictureSet) -> None:
    """A second call returns the same features without the network."""
    network = EfficientNetLite0().eval()
    before = pictures.by_backbone("random", lambda: graph_of(network), backbone_networks.plain)
    again = PictureSet(pictures.folder).by_backbone("random", lambda: pytest.fail("computed again"), backbone_networks.plain)
    assert before[0].shape == (3, FEATURES)
    assert (before[0] == again[0]).all()
    assert (before[1] == again[1]).all()


def test_floats_differ_from_bytes_by_rounding_alone() -> None:
    """A fusion with float embeddings gives the probabilities of the one that ships, within a hundredth."""
    rng = np.random.default_rng(0)
    shapes = {"centre": 60, "spread": 60, "mean": 60, "bias": 11, "exponents": 3, "none_weight": 3, "none_bias": 1}
    arrays = {name: rng.random(size).astype(np.float32) for name, size in shapes.items()}
    arrays |= {"projection": rng.normal(0, 1, (60, 20)).astype(np.float32), "temperature": np.ones(1, np.float32)}
    arrays |= {"weight": rng.normal(0, 0.1, (20, 11)).astype(np.float32), "spread": np.ones(60, np.float32)}
    assert arrays.keys() == {field.name for field in fields(Fusion)}
    small = rng.dirichlet(np.ones(11), 5).astype(np.float32)
    evidence = small, rng.normal(0, 1, (5, 60)).astype(np.float32), rng.normal(0, 3, (5, 1000)).astype(np.float32)
    found = [kind(**arrays) for kind in (Fusion, FloatFusion)]
    exact, rounded = (one.probabilities(one.embed(*evidence, np.arange(5, dtype=np.uint8))) for one in reversed(found))
    assert np.abs(exact - rounded).max() < 0.01
    assert (found[1].kinds(found[1].embed(*evidence, np.arange(5, dtype=np.uint8))) == np.arange(5)).all()


@pytest.mark.slow
def test_interrupted_fine_tuning_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after its first checkpoint and called again, it ends where an uninterrupted one does."""
    for name, value in {"SIDE": 32, "BATCH": 2, "EPOCH": 4, "HEAD_PICTURES": 6, "SAVED_EVERY": 1, "WARM_UP": 1}.items():
        monkeypatch.setattr(backbone_finetuning, name, value)
    crops = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)
    classes, weights = np.arange(6, dtype=np.int64), np.ones(6)
    start = EfficientNetLite0().eval()
    whole = backbone_finetuning.fine_tuned(start, crops, classes, weights, tmp_path / "whole.pt").state_dict()
    drawn = backbone_finetuning._drawn

    def interrupted(weights: np.ndarray, count: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        if step == 2:
            raise KeyboardInterrupt
        return drawn(weights, count, step)

    monkeypatch.setattr(backbone_finetuning, "_drawn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backbone_finetuning.fine_tuned(start, crops, classes, weights, tmp_path / "halves.pt")
    monkeypatch.setattr(backbone_finetuning, "_drawn", drawn)
    resumed = backbone_finetuning.fine_tuned(start, crops, classes, weights, tmp_path / "halves.pt").state_dict()
    assert all((resumed[name] == tensor).all() for name, tensor in whole.items())
    assert not (whole["last.conv.weight"] == start.state_dict()["last.conv.weight"]).all()
    assert (whole["last.norm.running_mean"] == start.state_dict()["last.norm.running_mean"]).all()
