"""A backbone on the CPU gives every picture the same bits in any company, and other networks are refused."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace

import numpy as np
import pytest
from efficientnet_helpers import random_weights
from fusion_helpers import FEATURES, pictures, tiny_backbone, tiny_onnx

from tagger.errors import BundleError
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.models.backbone import Backbone
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.models.onnx_writer import OnnxWriter

PICTURES = pictures(9)


def test_features_and_logits_are_the_networks() -> None:
    """The tiny network, spelled out: mean colours of 16 squares, a matrix, ReLU, and another matrix for the logits."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 0.05, (48, FEATURES)), rng.normal(0, 0.1, (FEATURES, IMAGENET_CLASSES))
    squares = np.stack([picture[::56, ::56] for picture in PICTURES]).astype(float)
    expected = np.maximum(squares.transpose(0, 3, 1, 2).reshape(9, 48) @ first, 0)
    features, logits = OnnxBackbone(tiny_backbone())(PICTURES)
    assert (np.float32, np.float32) == (features.dtype, logits.dtype)
    assert expected.std() > 1
    assert np.allclose(expected, features, atol=1e-3)
    assert np.allclose(expected @ second, logits, atol=1e-3)


@pytest.mark.parametrize(
    "backbone", [tiny_backbone(), Backbone.of_weights(random_weights())], ids=["tiny", "EfficientNet-Lite0"]
)
def test_results_depend_on_neither_company_nor_threads(backbone: Backbone) -> None:
    """To the bit: alone, in any order, with 1 or 4 threads, and in another session."""
    expected = OnnxBackbone(backbone, threads=1)(PICTURES)
    runner = OnnxBackbone(backbone, threads=4)
    order = np.random.default_rng(1).permutation(9)
    for whole, again in zip(expected, runner([PICTURES[place] for place in order]), strict=True):
        assert np.array_equal(whole[order], again)
    for whole, one in zip(expected, runner(PICTURES[4:5]), strict=True):
        assert np.array_equal(whole[4:5], one)


def test_views_of_pictures_are_pictures() -> None:
    """A mirrored view gives what its copy gives."""
    runner = OnnxBackbone(tiny_backbone())
    view = PICTURES[0][:, ::-1]
    assert np.array_equal(runner([view])[0], runner([view.copy()])[0])


def test_no_pictures_give_no_rows() -> None:
    """Of the right widths."""
    runner = OnnxBackbone(tiny_backbone())
    assert [(0, FEATURES), (0, IMAGENET_CLASSES)] == [one.shape for one in runner([])]
    assert FEATURES == runner.size


def network(inputs: dict[str, tuple[str, tuple[int | str, ...]]], outputs: dict[str, tuple[int | str, ...]]) -> Backbone:
    """Return a network that gives nothing but a constant, in the declared shapes."""
    writer = OnnxWriter()
    for name, shape in outputs.items():
        sizes = [size if isinstance(size, int) else 1 for size in shape]
        writer.node("Identity", writer.constant(np.zeros(sizes, np.float32)), output=name)
    return Backbone.of_onnx(writer.model(inputs, outputs))


PIXELS: tuple[str, tuple[int | str, ...]] = ("uint8", ("n", 224, 224, 3))

GOOD: dict[str, tuple[int | str, ...]] = {"features": ("n", 8), "logits": ("n", IMAGENET_CLASSES)}


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ({"image": PIXELS}, GOOD, "must take uint8 `pixels`"),
        ({"pixels": ("float32", PIXELS[1])}, GOOD, "must take uint8 `pixels`"),
        ({"pixels": ("uint8", ("n", 160, 160, 3))}, GOOD, "must take uint8 `pixels`"),
        ({"pixels": PIXELS, "more": PIXELS}, GOOD, "must take uint8 `pixels`"),
        ({"pixels": PIXELS}, {"logits": GOOD["logits"]}, "must return float32 `features`"),
        ({"pixels": PIXELS}, {"features": GOOD["features"]}, "must return float32 `features`"),
        ({"pixels": PIXELS}, {**GOOD, "logits": ("n", 1001)}, "must return float32 `features`"),
        ({"pixels": PIXELS}, {"features": GOOD["features"], "scores": GOOD["logits"]}, "must return float32 `features`"),
        ({"pixels": PIXELS}, {**GOOD, "features": ("n", 8, 7, 7)}, "must return float32 `features`"),
        ({"pixels": PIXELS}, {**GOOD, "features": ("n",)}, "must return float32 `features`"),
    ],
)
def test_networks_with_other_inputs_and_outputs_are_refused(
    inputs: dict[str, tuple[str, tuple[int | str, ...]]], outputs: dict[str, tuple[int | str, ...]], reason: str
) -> None:
    """When the network is made ready, not with the first picture."""
    with pytest.raises(ValueError, match=reason):
        OnnxBackbone(network(inputs, outputs))


def test_further_outputs_are_left_out() -> None:
    """A network may return more than is asked of it."""
    features, logits = OnnxBackbone(network({"pixels": PIXELS}, {**GOOD, "maps": ("n", 3)}))(PICTURES[:2])
    assert ((2, 8), (2, IMAGENET_CLASSES)) == (features.shape, logits.shape)


def test_what_cannot_be_run_is_refused() -> None:
    """Weights of another network, and operators that ONNX Runtime does not know."""
    unknown = tiny_onnx().replace(b"MatMul", b"MutMal")
    for wrong in (Backbone(unknown, "onnx"), replace(tiny_backbone(), suffix="safetensors")):
        with pytest.raises(ValueError, match=r"."):
            OnnxBackbone(wrong)


def test_numbers_that_are_not_finite_end_the_run() -> None:
    """They would otherwise become tags: a network that overflows is one sentence."""
    runner = OnnxBackbone(Backbone.of_onnx(tiny_onnx(scale=1e37)))
    with pytest.raises(BundleError, match="not finite"):
        runner(PICTURES)
