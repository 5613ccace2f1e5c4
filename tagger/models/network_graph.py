"""Write a network of our own families, "residual" and "plain", as an ONNX graph, from its config and weights alone.

The graph computes what `models.network.Network` computes, with every batch normalization folded into the convolution before it.
It is made from the weights whenever a bundle is used, which takes milliseconds, so that a bundle has no second copy of its
network that could differ from the first.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagger.models.config import NetworkConfig
from tagger.models.onnx_writer import OnnxWriter

GRAPH_FAMILIES = ("residual", "plain")
"""Families whose graph can be written; the other ones are torchvision's."""

SIDE = 28
"""Height and width of the input in pixels."""

POOLED_SIDES = (3, 2)
"""Height and width of the pooled feature maps before and after the last stage: coarse, so that an adapter does not overfit."""

NORM_EPSILON = 1e-5
"""Added to the variance in batch normalization, as PyTorch does."""

Array = NDArray[np.float32]


def network_graph(config: NetworkConfig, weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the ONNX file of a network.

    Its input `pixels` is float32 (n, 1, 28, 28) in 0..255, 0 = background. Its outputs, float32, are `logits` (n, classes),
    `photo_logits` (n, photo_classes) if there is a head for photos, and `maps` (n, d): the feature maps before and after the
    last stage, average-pooled to `POOLED_SIDES` and flattened.

    Args:
        config: shape of the network; its family is one of `GRAPH_FAMILIES`.
        weights: arrays by the names of `Network.state_dict`.

    Raises:
        ValueError: the weights are those of another network.
    """
    return _NetworkGraph(config, weights).model()


def pooled_size(config: NetworkConfig) -> int:
    """Return d, the number of columns of the output `maps` of a network of our own families."""
    if config.family == "residual":
        before = config.widths[-2] if len(config.widths) > 1 else config.stem or config.widths[0]
    else:
        before = config.widths[-2] if len(config.widths) > 1 else 1
    return config.members * (before * POOLED_SIDES[0] ** 2 + config.widths[-1] * POOLED_SIDES[1] ** 2)


class _Maps(NamedTuple):
    """Feature maps (n, channels, side, side) by the name of their value."""

    value: str
    channels: int
    side: int


class _NetworkGraph:
    """The graph of one network while it is written."""

    def __init__(self, config: NetworkConfig, weights: Mapping[str, NDArray[Any]]) -> None:
        self._config = config
        self._weights = dict(weights)
        self._writer = OnnxWriter()

    def model(self) -> bytes:
        config, writer = self._config, self._writer
        value = writer.node("Div", "pixels", self._scalar(255))
        value = writer.node("Sub", value, self._scalar(config.mean))
        normalized = _Maps(writer.node("Div", value, self._scalar(config.deviation)), 1, SIDE)
        members = [self._member(normalized, number) for number in range(config.members)]
        features = self._joined([features for _, _, features, _ in members])
        width = sum(width for *_, width in members)
        stages = [before for before, *_ in members], [last for _, last, *_ in members]
        cells = [self._pooled(maps, side) for maps, side in zip(stages, POOLED_SIDES, strict=True)]
        writer.node("Concat", *cells, output="maps", axis=1)
        outputs = {"logits": ("n", config.classes), "maps": ("n", pooled_size(config))}
        self._linear(features, width, config.classes, "head", "logits")
        if config.photo_classes:
            outputs["photo_logits"] = ("n", config.photo_classes)
            self._linear(features, width, config.photo_classes, "photo_head", "photo_logits")
        if self._weights:
            raise ValueError(f"the network has no weights {min(self._weights)}")
        return writer.model({"pixels": ("float32", ("n", 1, SIDE, SIDE))}, outputs)

    def _member(self, x: _Maps, number: int) -> tuple[_Maps, _Maps, str, int]:
        """Add one network; return its maps before and after the last stage, its features' value and their number."""
        alone = self._config.members == 1
        neck = "neck" if alone else f"neck.members.{number}"

        def name(index: int, split: int) -> str:
            """Return the prefix of the weights of a layer; an ensemble's come in two parts, split before the last stage."""
            if alone:
                return f"stages.{index}"
            return f"stages.0.members.{number}.{index}" if index < split else f"stages.1.members.{number}.{index - split}"

        return self._residual(x, name) if self._config.family == "residual" else self._plain(x, name, neck)

    # The families: what `models.resnet` and `models.cnn` build --------------------------------------------------------

    def _residual(self, x: _Maps, name: Callable[[int, int], str]) -> tuple[_Maps, _Maps, str, int]:
        config = self._config
        split = 3 + sum(config.depths[:-1])
        x = self._relu(self._conv(x, config.stem or config.widths[0], name(0, split), norm=name(1, split)))
        before, index = x, 3
        for stage, (channels, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            before = x
            for block in range(depth):
                place = name(index, split)
                if block == 0 and config.pooled:
                    x = self._pooled_block(x, channels, place)
                else:
                    x = self._residual_block(x, channels, 2 if block == 0 and stage > 0 else 1, place)
                index += 1
        features = self._writer.node("Flatten", self._writer.node("GlobalAveragePool", x.value), axis=1)
        return before, x, features, x.channels

    def _residual_block(self, x: _Maps, channels: int, stride: int, place: str) -> _Maps:
        inner = self._relu(self._conv(x, channels, f"{place}.first", stride, norm=f"{place}.first_norm"))
        inner = self._conv(inner, channels, f"{place}.second", norm=f"{place}.second_norm")
        shortcut = x
        if x.channels != channels or stride != 1:
            shortcut = self._conv(x, channels, f"{place}.shortcut.0", stride, norm=f"{place}.shortcut.1", kernel=1)
        return self._relu(self._sum(inner, shortcut))

    def _pooled_block(self, x: _Maps, channels: int, place: str) -> _Maps:
        half = self._max_pool(self._conv(x, channels, f"{place}.first"))
        scale, shift = self._norm(f"{place}.first_norm", channels)  # after a max-pool, so that it cannot be folded
        value = self._writer.node("Mul", half.value, self._writer.constant(scale.reshape(1, -1, 1, 1)))
        value = self._writer.node("Add", value, self._writer.constant(shift.reshape(1, -1, 1, 1)))
        half = self._relu(half._replace(value=value))
        return self._relu(self._sum(self._conv(half, channels, f"{place}.second", norm=f"{place}.second_norm"), half))

    def _plain(self, x: _Maps, name: Callable[[int, int], str], neck: str) -> tuple[_Maps, _Maps, str, int]:
        config = self._config
        before, split = x, len(config.widths) - 1
        for stage, (channels, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            before, index = x, 0
            for number in range(depth):
                stride = 2 if number + 1 == depth and not config.pooled else 1
                place = f"{name(stage, split)}.{index}"
                norm = f"{name(stage, split)}.{index + 1}" if config.norms else ""
                x = self._relu(self._conv(x, channels, place, stride, norm, biased=not config.norms))
                index += 3 if config.norms else 2
            x = self._max_pool(x) if config.pooled else x
        value, width = self._writer.node("Flatten", x.value, axis=1), x.channels * x.side**2
        for number, dense in enumerate(config.dense):
            value = self._writer.node("Relu", self._linear(value, width, dense, f"{neck}.{2 + 3 * number}"))
            width = dense
        return before, x, value, width

    # Layers ------------------------------------------------------------------------------------------------------------

    def _conv(
        self, x: _Maps, channels: int, place: str, stride: int = 1, norm: str = "", kernel: int = 3, biased: bool = False
    ) -> _Maps:
        """Add a convolution with the batch normalization `norm`, if any, folded into it."""
        kernels = self._take(f"{place}.weight", channels, x.channels, kernel, kernel)
        bias = self._take(f"{place}.bias", channels) if biased else np.zeros(channels, np.float32)
        if norm:
            scale, shift = self._norm(norm, channels)
            kernels, bias = kernels * scale.reshape(-1, 1, 1, 1), bias * scale + shift
        inputs = (x.value, self._writer.constant(kernels), self._writer.constant(bias))
        value = self._writer.node("Conv", *inputs, strides=(stride, stride), pads=(kernel // 2,) * 4)
        return _Maps(value, channels, (x.side + stride - 1) // stride)

    def _norm(self, place: str, channels: int) -> tuple[Array, Array]:
        """Return the scale and shift (channels,) of a batch normalization with the statistics of the training."""
        weight, bias, mean, variance = (
            self._take(f"{place}.{name}", channels).astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        self._weights.pop(f"{place}.num_batches_tracked", None)  # used in training alone
        scale = weight / np.sqrt(variance + NORM_EPSILON)
        return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)

    def _linear(self, value: str, width: int, outputs: int, place: str, output: str = "") -> str:
        weight, bias = self._take(f"{place}.weight", outputs, width), self._take(f"{place}.bias", outputs)
        constants = self._writer.constant(weight), self._writer.constant(bias)
        return self._writer.node("Gemm", value, *constants, output=output, transB=1)

    def _relu(self, x: _Maps) -> _Maps:
        return x._replace(value=self._writer.node("Relu", x.value))

    def _sum(self, x: _Maps, y: _Maps) -> _Maps:
        return x._replace(value=self._writer.node("Add", x.value, y.value))

    def _max_pool(self, x: _Maps) -> _Maps:
        return _Maps(self._writer.node("MaxPool", x.value, kernel_shape=(2, 2), strides=(2, 2)), x.channels, x.side // 2)

    def _pooled(self, maps: list[_Maps], side: int) -> str:
        """Average-pool the members' maps to (side, side) cells and flatten them, channels first."""
        first = maps[0]
        channels, cells = sum(one.channels for one in maps), first.side**2
        shape = self._writer.constant(np.array([0, channels, cells], np.int64))  # 0 keeps the number of images
        flat = self._writer.node("Reshape", self._joined([one.value for one in maps]), shape)
        averages = self._writer.node("MatMul", flat, self._writer.constant(pooling_matrix(first.side, side)))
        return self._writer.node("Flatten", averages, axis=1)

    def _joined(self, values: list[str]) -> str:
        return values[0] if len(values) == 1 else self._writer.node("Concat", *values, axis=1)

    def _scalar(self, value: float) -> str:
        return self._writer.constant(np.array(value, np.float32))

    def _take(self, name: str, *shape: int) -> Array:
        """Return weights that are then used up; raises `ValueError` if they are missing or of another shape or type."""
        weights = self._weights.pop(name, None)
        if weights is None:
            raise ValueError(f"the weights {name} are missing")
        if weights.shape != shape or weights.dtype != np.float32:
            raise ValueError(f"the weights {name} are {weights.dtype.name} {weights.shape}, not float32 {shape}")
        return weights


def pooling_matrix(side: int, pooled: int) -> Array:
    """Return the matrix, float32 (side**2, pooled**2), by which maps of (side, side) cells are averaged to (pooled, pooled).

    The windows are those of adaptive pooling: cell i of k averages rows floor(i * side / k) to ceil((i + 1) * side / k).
    """
    lines = np.zeros((side, pooled))
    for cell in range(pooled):
        window = slice(cell * side // pooled, ceil((cell + 1) * side / pooled))
        lines[window, cell] = 1 / (window.stop - window.start)
    return np.kron(lines, lines).astype(np.float32)
