"""The "plain" family: convolutions with ReLU, downsampled stage by stage, flattened, and dense layers.

Origin: LeCun et al. 1998 ("Gradient-based learning applied to document recognition"), with the ReLU, dropout and batch
normalization that tutorials and course projects on Fashion-MNIST add. `training.recipes` has six shapes of such projects by
name.
"""

from collections.abc import Iterator

from torch import nn

from tagger.models.blocks import NetworkParts
from tagger.models.config import NetworkConfig

SIDE = 28
"""Height and width of the input in pixels; the dense layers after flattening fit no other size."""


def build(config: NetworkConfig) -> NetworkParts:
    """Return the stages, each downsampled by a max-pool or by the stride of its last convolution, and the dense layers."""
    stages: list[nn.Module] = []
    width, before, side = 1, 1, SIDE
    for channels, depth in zip(config.widths, config.depths, strict=True):
        stages.append(nn.Sequential(*_stage(width, channels, depth, config)))
        before, width, side = width, channels, side // 2 if config.pooled else (side + 1) // 2
    neck, features = _neck(width * side**2, config)
    return NetworkParts(stages, 1, neck, features, (before, width))


def _stage(channels_in: int, channels: int, depth: int, config: NetworkConfig) -> Iterator[nn.Module]:
    for number in range(depth):
        stride = 2 if number + 1 == depth and not config.pooled else 1
        yield nn.Conv2d(channels_in if number == 0 else channels, channels, 3, stride, padding=1, bias=not config.norms)
        if config.norms:
            yield nn.BatchNorm2d(channels)
        yield nn.ReLU()
    if config.pooled:
        yield nn.MaxPool2d(2)


def _neck(features: int, config: NetworkConfig) -> tuple[nn.Module, int]:
    """Return the dense layers and the number of features that they end with."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(config.dropout)]
    for width in config.dense:
        layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(config.dropout)]
        features = width
    return nn.Sequential(*layers), features
