"""A backbone is a file: weights of EfficientNet-Lite0 in float16, or a checked ONNX file."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from typing import Any

import numpy as np
import pytest
from efficientnet_helpers import random_weights
from fusion_helpers import tiny_onnx
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tagger.models.backbone import Backbone
from tagger.models.efficientnet_graph import efficientnet_graph


def test_weights_are_stored_as_float16() -> None:
    """Matrices take two bytes a number and vectors four, in less than 10 MB; counters of a training are left out."""
    backbone = Backbone.of_weights({**random_weights(), "stem.norm.num_batches_tracked": np.array(7)})
    assert "safetensors" == backbone.suffix
    assert len(backbone.content) < 10e6
    stored = load(backbone.content)
    assert random_weights().keys() == stored.keys()
    for name, array in stored.items():
        assert (np.float16 if array.ndim > 1 else np.float32) == array.dtype
        assert np.abs(random_weights()[name] - array).max() < 1e-3
    assert (np.float32, (1000,)) == (backbone.weights()["classifier.bias"].dtype, backbone.weights()["classifier.bias"].shape)


def test_the_same_weights_give_the_same_file() -> None:
    """Whatever the order and the layout in memory; and storing what was stored changes nothing."""
    backbone = Backbone.of_weights(random_weights())
    turned = {name: np.asfortranarray(array) for name, array in reversed(random_weights().items())}
    assert backbone == Backbone.of_weights(turned) == Backbone.of_weights(backbone.weights())


def test_the_graph_is_that_of_the_stored_weights() -> None:
    """Nothing is lost on the way from the file to the graph."""
    backbone = Backbone.of_weights(random_weights())
    assert efficientnet_graph(backbone.weights()) == backbone.graph()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({}, "are missing"),
        ({"stem.conv.weight": np.zeros(3)}, "shape"),
        ({**random_weights(), "classifier.bias": np.full(1000, np.nan, np.float32)}, "not finite"),
        ({**random_weights(), "classifier.weight": np.full((1000, 1280), np.inf, np.float32)}, "not finite"),
    ],
)
def test_other_weights_are_refused(arrays: dict[str, NDArray[Any]], reason: str) -> None:
    """Weights of another network, and numbers that no training gives."""
    with pytest.raises(ValueError, match=reason):
        Backbone(save(arrays), "safetensors").graph()


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(content: bytes) -> None:
    """Bytes that are neither weights nor a graph."""
    for backbone in (Backbone(content, "safetensors"), Backbone(content, "onnx")):
        with pytest.raises(ValueError, match=r"."):
            backbone.graph()


def test_an_onnx_file_is_its_own_graph() -> None:
    """It is checked when it is made; it has no weights that could be read."""
    backbone = Backbone.of_onnx(tiny_onnx())
    assert tiny_onnx() == backbone.graph() == backbone.content
    with pytest.raises(ValueError, match="cut short"):
        Backbone.of_onnx(tiny_onnx()[:-1])
    with pytest.raises(ValueError, match="no weights"):
        backbone.weights()
