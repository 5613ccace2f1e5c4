"""The "residual" family, of the bundles `base`, `tiny` and `catalog`: residual stages and global average pooling.

Origin: ResNet (He et al. 2015, arXiv 1512.03385) for small images; with max-pools the airbench networks (Jordan 2024, arXiv
2404.00498).
"""

from torch import nn

from tagger.models.blocks import NetworkParts, PooledBlock, ResidualBlock
from tagger.models.config import NetworkConfig


def build(config: NetworkConfig) -> NetworkParts:
    """Return a stem convolution, the residual stages, and global average pooling."""
    width = config.stem or config.widths[0]
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    before = width
    for stage, (channels, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
        before = width
        for block in range(depth):
            layers.append(_block(width, channels, config, stage, block))
            width = channels
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return NetworkParts(layers, config.depths[-1], neck, width, (before, width))


def _block(channels_in: int, channels: int, config: NetworkConfig, stage: int, block: int) -> nn.Module:
    """Return one block of a stage; the first one halves height and width, except in the first stage if it is not pooled."""
    if block == 0 and config.pooled:
        return PooledBlock(channels_in, channels)
    return ResidualBlock(channels_in, channels, stride=2 if block == 0 and stage > 0 else 1)
