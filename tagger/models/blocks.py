"""Building blocks of networks: the parts that every family returns, and convolutional blocks."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class NetworkParts(NamedTuple):
    """A network without its heads, as a family builds it from a `NetworkConfig`."""

    layers: list[nn.Module]
    """From normalized images, float (n, 1, h, w), to the last feature maps."""
    last: int
    """How many layers at the end make up the last stage."""
    neck: nn.Module
    """From the last feature maps to features, float (n, width)."""
    width: int
    channels: tuple[int, int]
    """Channels of the feature maps before and after the last stage."""


class SideBySide(nn.Module):
    """Modules in parallel, each on its own share of the channels, in order, or all on the same input."""

    def __init__(self, members: Sequence[nn.Module], shared: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, members * c, ...) to (n, members * d, ...), or (n, c, ...) where the input is shared."""
        shares = [x] * len(self.members) if self._shared else x.chunk(len(self.members), 1)
        return torch.cat([member(share) for member, share in zip(self.members, shares, strict=True)], 1)


def side_by_side(members: Sequence[NetworkParts]) -> NetworkParts:
    """Return several networks of one shape as one, whose feature maps and features are theirs, concatenated."""
    first = members[0]
    fronts = [nn.Sequential(*member.layers[: -member.last]) for member in members]
    lasts = [nn.Sequential(*member.layers[-member.last :]) for member in members]
    layers: list[nn.Module] = [SideBySide(fronts, shared=True), SideBySide(lasts)]
    before, after = first.channels
    count = len(members)
    neck = SideBySide([member.neck for member in members])
    return NetworkParts(layers, 1, neck, count * first.width, (count * before, count * after))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2015, arXiv 1512.03385, figure 2)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, h, w) to (n, channels, h / stride, w / stride), rounded up."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class PooledBlock(nn.Module):
    """A 3x3 convolution followed by a max-pool, then a second convolution with a shortcut.

    The block of the airbench networks (Jordan 2024, arXiv 2404.00498), with the shortcut that deep networks need. It works on
    small maps early, and so reaches the accuracy of a strided block in half the time.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, h, w) to (n, channels, h / 2, w / 2), rounded down."""
        half = functional.relu(self.first_norm(self.pool(self.first(x))))
        return functional.relu(self.second_norm(self.second(half)) + half)
