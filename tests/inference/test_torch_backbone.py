"""In torch a backbone gives the rows of ONNX Runtime, in batches of one shape, and refuses what it cannot run."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace

import numpy as np
import pytest
import torch
from efficientnet_helpers import random_weights
from fusion_helpers import tiny_backbone

from tagger.errors import BundleError
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.torch_backbone import TorchBackbone
from tagger.models.backbone import Backbone
from tagger.models.efficientnet_graph import FEATURES
from tagger.models.imagenet import IMAGENET_CLASSES

pytestmark = pytest.mark.usefixtures("one_thread")

PICTURES = list(np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), np.uint8))

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A backbone of random weights."""
    return Backbone.of_weights(random_weights())


@pytest.mark.parametrize("device", DEVICES)
def test_rows_are_those_of_onnx_runtime(backbone: Backbone, device: str) -> None:
    """As near as sums of float32 allow: weights are folded and rounded alike."""
    expected = OnnxBackbone(backbone)(PICTURES)
    runner = TorchBackbone(backbone, device, 2)
    rows = runner(PICTURES)
    assert FEATURES == runner.size
    for one, other in zip(expected, rows, strict=True):
        assert np.float32 == other.dtype
        assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()
        assert one.std() > 0.1


@pytest.mark.parametrize("device", DEVICES)
def test_rows_do_not_depend_on_the_company(backbone: Backbone, device: str) -> None:
    """To the bit: alone, in another order, in a batch that black pictures fill up."""
    runner = TorchBackbone(backbone, device, 4)
    expected = runner(PICTURES)
    for again in ([3], [4, 1, 0]):
        for whole, part in zip(expected, runner([PICTURES[place] for place in again]), strict=True):
            assert np.array_equal(whole[again], part)


def test_rows_are_taken_when_they_are_needed(backbone: Backbone) -> None:
    """What was sent first may be taken last."""
    runner = TorchBackbone(backbone, "cpu", 1)
    first, second = (runner.begin([picture]) for picture in PICTURES[:2])
    assert np.array_equal(runner(PICTURES[1:2])[0], second()[0])
    assert np.array_equal(runner(PICTURES[:1])[0], first()[0])


def test_no_pictures_give_no_rows(backbone: Backbone) -> None:
    """Of the right widths."""
    assert [(0, FEATURES), (0, IMAGENET_CLASSES)] == [rows.shape for rows in TorchBackbone(backbone, "cpu")([])]


def test_what_cannot_be_run_is_refused() -> None:
    """An ONNX file, and weights that are missing or of another shape, which are named."""
    with pytest.raises(ValueError, match="no weights to read"):
        TorchBackbone(tiny_backbone(), "cpu")
    with pytest.raises(ValueError, match=r"."):
        TorchBackbone(replace(tiny_backbone(), suffix="safetensors"), "cpu")
    lacking = {name: array for name, array in random_weights().items() if name != "last.norm.bias"}
    with pytest.raises(ValueError, match=r"last\.norm\.bias"):
        TorchBackbone(Backbone.of_weights(lacking), "cpu")


def test_numbers_that_are_not_finite_end_the_run() -> None:
    """A network that overflows is one sentence, as on the processor."""
    huge = {name: np.full_like(one, 3e38) for name, one in random_weights().items() if name.endswith("project.norm.bias")}
    runner = TorchBackbone(Backbone.of_weights(random_weights() | huge), "cpu", 1)
    with pytest.raises(BundleError, match="not finite"):
        runner(PICTURES[:1])
