"""EfficientNet-Lite0, the backbone that sees the product in colour: its network, and the published weights read into it.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as the TensorFlow authors
published it for small devices. The layout is fixed; nothing here is trained from scratch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.models.efficientnet_graph import (
    FEATURES,
    NORM_EPSILON,
    PIXEL_MEAN,
    PIXEL_SCALE,
    STAGES,
    STEM_CHANNELS,
    blocks,
    same_padding,
)
from tagger.models.imagenet import IMAGENET_CLASSES


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: colour images to features, and features to logits of ImageNet's classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _ConvNorm(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.Sequential(*(_InvertedResidual(*block) for block in blocks()))
        self.last = _ConvNorm(STAGES[-1].channels, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, IMAGENET_CLASSES)

    def features(self, pixels: Tensor) -> Tensor:
        """Return features, float (n, `FEATURES`), of RGB images, uint8 or float (n, 3, h, w) in 0..255."""
        maps: Tensor = self.last(self.blocks(self.stem((pixels.float() - PIXEL_MEAN) / PIXEL_SCALE)))
        return maps.mean((2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits of ImageNet's classes, float (n, 1000), of RGB images, uint8 or float (n, 3, h, w) in 0..255."""
        logits: Tensor = self.classifier(self.features(pixels))
        return logits


class _ConvNorm(nn.Module):
    """A convolution padded as TensorFlow's SAME, batch normalization, and ReLU6 unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=NORM_EPSILON)
        self.linear = linear

    def forward(self, maps: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.conv(_pad_same(maps, self.conv.kernel_size[0], self.conv.stride[0])))
        return normed if self.linear else functional.relu6(normed)


class _InvertedResidual(nn.Module):
    """Expansion by 1x1, depthwise convolution, linear projection, and a shortcut where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _ConvNorm(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = _ConvNorm(inner, outputs, 1, linear=True)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        projected: Tensor = self.project(self.depthwise(self.expand(maps)))
        return maps + projected if self.has_shortcut else projected


def _pad_same(maps: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad maps with zeros so that the output has ceil(size / stride) positions; an odd pixel goes below and to the right."""
    if kernel == 1:
        return maps
    before, after = zip(*(same_padding(size, kernel, stride) for size in maps.shape[2:]), strict=True)
    return functional.pad(maps, (before[1], after[1], before[0], after[0]))


def load_published(state: Mapping[str, Tensor]) -> EfficientNetLite0:
    """Return the network in evaluation mode with the published weights.

    Args:
        state: the published state dict of PyTorch's conversion, such as `_blocks.0._depthwise_conv.weight`.

    Raises:
        ValueError: tensors are missing, unknown or of another shape, as in Lite1 or another network.
    """
    network = EfficientNetLite0()
    renamed = {_name_here(name): tensor for name, tensor in state.items()}
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = {name: tensor.shape for name, tensor in renamed.items()}
    different = [name for name in expected | found if expected.get(name) != found.get(name) and not name.endswith(_COUNTER)]
    if different:
        raise ValueError(
            f"the weights are not those of EfficientNet-Lite0: {len(different)} are missing, unknown or of another shape, such "
            f"as {different[0]}"
        )
    network.load_state_dict({name: tensor.float() for name, tensor in renamed.items()})
    return network.eval()


_COUNTER = ".num_batches_tracked"
"""End of the names of counters of a training, which some files lack."""

_LAYER_NAMES = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "last.conv",
    "_bn1": "last.norm",
    "_fc": "classifier",
}

_BLOCK_LAYER_NAMES = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def _name_here(published: str) -> str:
    """Return this network's name of a published tensor."""
    layer, _, parameter = published.rpartition(".")
    parts = layer.split(".")
    if parts[0] != "_blocks" or len(parts) != 3:
        return f"{_LAYER_NAMES.get(layer, layer)}.{parameter}"
    _, block, name = parts
    return f"blocks.{block}.{_BLOCK_LAYER_NAMES.get(name, name)}.{parameter}"


@torch.no_grad()
def averaged(start: EfficientNetLite0, tuned: EfficientNetLite0, weight: float) -> EfficientNetLite0:
    """Return the weight average of two networks (WiSE-FT, arXiv 2109.01903): 0 is `start`, 1 is `tuned`."""
    mean = EfficientNetLite0()
    ends = tuned.state_dict()
    mean.load_state_dict(
        {name: one.lerp(ends[name], weight) if one.is_floating_point() else one for name, one in start.state_dict().items()}
    )
    return mean.eval()
