"""The graph of EfficientNet-Lite0 computes what its layers, spelled out in torch, compute from the same weights."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import numpy as np
import pytest
import torch
from efficientnet_helpers import random_weights
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tagger.models.efficientnet_graph import (
    FEATURES,
    IMAGENET_CLASSES,
    NORM_EPSILON,
    PIXEL_MEAN,
    PIXEL_SCALE,
    SIDE,
    blocks,
    efficientnet_graph,
    same_padding,
)
from tagger.models.onnx_file import check_onnx
from tagger.onnx_session import open_session

pytestmark = pytest.mark.usefixtures("one_thread")


def expected_outputs(pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Return features and logits of images (n, 224, 224, 3), layer by layer, with the norms as layers of their own."""
    weights = {name: torch.from_numpy(array) for name, array in random_weights().items()}

    def layer(x: Tensor, place: str, stride: int = 1) -> Tensor:
        kernels = weights[f"{place}.conv.weight"]
        depthwise = kernels.shape[1] == 1 and x.shape[1] > 1
        before, after = same_padding(x.shape[2], kernels.shape[2], stride)
        padded = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(padded, kernels, stride=stride, groups=x.shape[1] if depthwise else 1)
        mean, variance, weight, bias = (
            weights[f"{place}.norm.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias, eps=NORM_EPSILON)

    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_SCALE
    x = functional.relu6(layer(x, "stem", 2))
    for number, block in enumerate(blocks()):
        inner = functional.relu6(layer(x, f"blocks.{number}.expand")) if block.expansion > 1 else x
        inner = functional.relu6(layer(inner, f"blocks.{number}.depthwise", block.stride))
        projected = layer(inner, f"blocks.{number}.project")
        x = x + projected if block.stride == 1 and block.inputs == block.outputs else projected
    features = functional.relu6(layer(x, "last")).mean((2, 3))
    return features, functional.linear(features, weights["classifier.weight"], weights["classifier.bias"])


def test_the_graph_computes_the_network() -> None:
    """Features and logits are those of the layers, up to the rounding of weights to float16; images do not mix."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    content = efficientnet_graph(random_weights())
    check_onnx(content)
    session = open_session(content)
    features, logits = session.run(["features", "logits"], {"pixels": pixels})
    expected_features, expected_logits = expected_outputs(pixels)
    assert ((3, FEATURES), (3, IMAGENET_CLASSES)) == (features.shape, logits.shape)
    assert expected_features.std() > 0.1
    for expected, found in ((expected_features, features), (expected_logits, logits)):
        differences = np.abs(expected.numpy() - found) / float(expected.std())
        assert differences.mean() < 0.02
        assert differences.max() < 0.15
    assert np.array_equal(features[1:2], session.run(["features"], {"pixels": pixels[1:2]})[0])


def test_the_file_is_small_and_always_the_same() -> None:
    """Weights take two bytes each, and the same weights give the same file."""
    content = efficientnet_graph(random_weights())
    assert len(content) < 9.5e6
    assert content == efficientnet_graph({name: array.copy() for name, array in random_weights().items()})


def test_weights_of_another_network_are_refused() -> None:
    """Missing, unknown and misshapen weights are refused by name; the counters of a training are passed over."""
    weights = random_weights()
    efficientnet_graph({**weights, "stem.norm.num_batches_tracked": np.array(7)})
    for wrong, reason in (
        ({name: array for name, array in weights.items() if name != "last.norm.bias"}, "last.norm.bias are missing"),
        ({**weights, "blocks.16.project.conv.weight": np.zeros(1)}, "no weights blocks.16.project"),
        ({**weights, "classifier.bias": np.zeros(999)}, r"classifier.bias have the shape \(999,\), not \(1000,\)"),
    ):
        with pytest.raises(ValueError, match=reason):
            efficientnet_graph(wrong)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(224, 3, 2, (0, 1)), (112, 3, 1, (1, 1)), (56, 5, 2, (1, 2)), (7, 1, 1, (0, 0))]
)
def test_padding_is_tensorflows(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    """Zeros before and after give as many positions as the stride divides; an odd one goes after."""
    assert padding == same_padding(size, kernel, stride)
    assert -(-size // stride) == (size + sum(padding) - kernel) // stride + 1


def test_blocks_fit_each_other() -> None:
    """The sixteen blocks halve the maps four times, each takes what the one before gives, and nine add their input."""
    every = list(blocks())
    assert 16 == len(every)
    assert [block.outputs for block in every[:-1]] == [block.inputs for block in every[1:]]
    assert 4 == sum(block.stride == 2 for block in every)
    assert 9 == sum(block.has_shortcut for block in every)
