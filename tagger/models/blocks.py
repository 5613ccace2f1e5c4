"""What networks are built of: the parts that every family gives, and the blocks of its convolutions."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class NetworkParts(NamedTuple):
    """What a family makes of a shape, for the head or heads that follow."""

    layers: list[nn.Module]
    """From normalised pictures, float (n, 1, h, w), to the last maps."""
    last: int
    """How many layers at the end are the last stage."""
    neck: nn.Module
    """From the last maps to features, float (n, width)."""
    width: int
    channels: tuple[int, int]
    """Of the maps before and after the last stage."""


class SideBySide(nn.Module):
    """Modules that each see their own share of the channels, in their order, or all of them the same."""

    def __init__(self, members: Sequence[nn.Module], shared: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """(n, members * c, ...) to (n, members * d, ...), or (n, c, ...) where what they see is shared."""
        shares = [x] * len(self.members) if self._shared else x.chunk(len(self.members), 1)
        return torch.cat([member(share) for member, share in zip(self.members, shares, strict=True)], 1)


def side_by_side(members: Sequence[NetworkParts]) -> NetworkParts:
    """Return the parts of several networks of one shape as those of one, whose maps and features are all of theirs."""
    first = members[0]
    fronts = [nn.Sequential(*member.layers[: -member.last]) for member in members]
    lasts = [nn.Sequential(*member.layers[-member.last :]) for member in members]
    layers: list[nn.Module] = [SideBySide(fronts, shared=True), SideBySide(lasts)]
    before, after = first.channels
    count = len(members)
    neck = SideBySide([member.neck for member in members])
    return NetworkParts(layers, 1, neck, count * first.width, (count * before, count * after))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015, arXiv 1512.03385, figure 2)."""

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
        """(n, channels_in, h, w) to (n, channels, h / stride, w / stride)."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class PooledBlock(nn.Module):
    """A 3x3 convolution halved by a max-pool, then another one beside a shortcut.

    The block of the airbench networks (Jordan 2024, arXiv 2404.00498), with the shortcut that deep ones need. It works
    on small maps early, and so learns as much as a strided block for half the time.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h / 2, w / 2), rounded down."""
        half = functional.relu(self.first_norm(self.pool(self.first(x))))
        return functional.relu(self.second_norm(self.second(half)) + half)
