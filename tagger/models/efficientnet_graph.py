"""The layout of EfficientNet-Lite0, and the network as an ONNX graph, from its weights alone.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as the TensorFlow authors
published it for small devices. Every batch normalization is folded into the convolution before it. Weights of convolutions are
stored as float16: half the size, for rounding that is far below the differences between photos.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.models.onnx_writer import OnnxWriter

SIDE = 224
"""Side in pixels of the images that the published weights were trained on."""

FEATURES = 1_280
"""Number of features: channels of the last feature maps, averaged over all positions."""

PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0
"""Pixels 0..255 enter the network as (pixel - `PIXEL_MEAN`) / `PIXEL_SCALE`."""

STEM_CHANNELS = 32

NORM_EPSILON = 1e-3
"""Added to the variance in batch normalization, as in the published network."""


class Stage(NamedTuple):
    """Blocks of one shape: the first one changes stride and channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Block(NamedTuple):
    """One inverted residual block."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int

    @property
    def has_shortcut(self) -> bool:
        """Whether the block's input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs


def blocks() -> Iterator[Block]:
    """Yield the blocks of the network in their order."""
    width = STEM_CHANNELS
    for stage in STAGES:
        for number in range(stage.blocks):
            yield Block(width, stage.channels, stage.kernel, stage.stride if number == 0 else 1, stage.expansion)
            width = stage.channels


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after `size` positions that give ceil(size / stride) of them, as TensorFlow's SAME does.

    An odd one goes after.
    """
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def efficientnet_graph(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the ONNX file of EfficientNet-Lite0, of 9.4 MB.

    Its input `pixels` is uint8 (n, 224, 224, 3), RGB. Its outputs, float32, are `features` (n, 1280) and `logits` (n, 1000) of
    ImageNet's classes.

    Args:
        weights: float arrays by name: `conv.weight` and `norm.weight`, `norm.bias`, `norm.running_mean` and `norm.running_var`
            below `stem`, `blocks.0.expand`, `blocks.0.depthwise`, `blocks.0.project` and so on, and `last`; `classifier.weight`
            and `classifier.bias`.

    Raises:
        ValueError: weights are missing, unknown or of another shape.
    """
    return _Graph(weights).model()


class _Graph:
    """The graph while it is written."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = {name: array for name, array in weights.items() if not name.endswith("num_batches_tracked")}
        self._writer = OnnxWriter()
        self._zero = self._writer.constant(np.array(0, np.float32))
        self._six = self._writer.constant(np.array(6, np.float32))
        self._side = SIDE

    def model(self) -> bytes:
        writer = self._writer
        # Transposed as bytes, a quarter of the memory of float32, and multiplied, which for a power of two is exact.
        value = writer.node("Cast", writer.node("Transpose", "pixels", perm=(0, 3, 1, 2)), to=1)
        value = writer.node("Sub", value, writer.constant(np.array(PIXEL_MEAN, np.float32)))
        value = writer.node("Mul", value, writer.constant(np.array(1 / PIXEL_SCALE, np.float32)))
        value = self._relu6(self._conv(value, "stem", (STEM_CHANNELS, 3, 3, 3), stride=2))
        for number, block in enumerate(blocks()):
            value = self._block(value, block, f"blocks.{number}")
        value = self._relu6(self._conv(value, "last", (FEATURES, STAGES[-1].channels, 1, 1)))
        features = writer.node("Flatten", writer.node("GlobalAveragePool", value), output="features", axis=1)
        matrix = writer.constant(self._take("classifier.weight", (IMAGENET_CLASSES, FEATURES)), as_float16=True)
        bias = writer.constant(self._take("classifier.bias", (IMAGENET_CLASSES,)))
        writer.node("Gemm", features, matrix, bias, output="logits", transB=1)
        if self._weights:
            raise ValueError(f"the network has no weights {min(self._weights)}")
        outputs = {"features": ("n", FEATURES), "logits": ("n", IMAGENET_CLASSES)}
        return writer.model({"pixels": ("uint8", ("n", SIDE, SIDE, 3))}, outputs)

    def _block(self, value: str, block: Block, place: str) -> str:
        inner, given = block.inputs * block.expansion, value
        if block.expansion > 1:
            value = self._relu6(self._conv(value, f"{place}.expand", (inner, block.inputs, 1, 1)))
        depthwise = (inner, 1, block.kernel, block.kernel)
        value = self._relu6(self._conv(value, f"{place}.depthwise", depthwise, block.stride, inner))
        value = self._conv(value, f"{place}.project", (block.outputs, inner, 1, 1))
        return self._writer.node("Add", value, given) if block.has_shortcut else value

    def _conv(self, value: str, place: str, shape: tuple[int, int, int, int], stride: int = 1, groups: int = 1) -> str:
        """Add a convolution, padded as `same_padding` says, with its batch normalization folded into it."""
        kernels = self._take(f"{place}.conv.weight", shape).astype(np.float64)
        weight, bias, mean, variance = (
            self._take(f"{place}.norm.{name}", shape[:1]).astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + NORM_EPSILON)
        folded = (kernels * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
        constants = (
            self._writer.constant(folded, as_float16=True),
            self._writer.constant((bias - mean * scale).astype(np.float32)),
        )
        before, after = same_padding(self._side, shape[2], stride)
        self._side = -(-self._side // stride)
        pads = (before, before, after, after)
        return self._writer.node("Conv", value, *constants, strides=(stride, stride), pads=pads, group=groups)

    def _relu6(self, value: str) -> str:
        return self._writer.node("Clip", value, self._zero, self._six)

    def _take(self, name: str, shape: tuple[int, ...]) -> Float32s:
        """Return weights that are then used up; raises `ValueError` if they are missing or of another shape."""
        weights = self._weights.pop(name, None)
        if weights is None:
            raise ValueError(f"the weights {name} are missing")
        if weights.shape != shape:
            raise ValueError(f"the weights {name} have the shape {weights.shape}, not {shape}")
        return weights.astype(np.float32)
