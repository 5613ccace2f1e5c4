"""The network: 28x28 grey pictures to one score a label. Knows no files and no devices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.card import NetworkConfig


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


class ResidualNetwork(nn.Module):
    """A small residual network with a global average before its linear head, or heads.

    What Fashion-MNIST calls a shirt, shops often call a top, so a network for both has a head for each.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        width = config.stem or config.widths[0]
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        for stage, (channels, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            for block in range(depth):
                layers.append(_block(width, channels, config, stage, block))
                width = channels
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(width, config.classes)
        self.photo_head = nn.Linear(width, config.photo_classes) if config.photo_classes else None

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps before and after the last stage, float (n, channels, h', w') each.

        For pixels uint8 or float (n, 1, h, w) in 0..255, 0 = background.
        """
        depth = self.config.depths[-1]
        before: Tensor = self.stages[:-depth]((pixels.float() / 255 - self.config.mean) / self.config.deviation)
        last: Tensor = self.stages[-depth:](before)
        return before, last

    def features(self, pixels: Tensor) -> Tensor:
        """Return what the head sees: float (n, widths[-1]), for pixels uint8 or float (n, 1, h, w) in 0..255."""
        return _flat(self.maps(pixels)[1])

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, float (n, classes), for pixels uint8 or float (n, 1, h, w) in 0..255, 0 = background."""
        return self.logits_of_maps(self.maps(pixels)[1])

    def logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return what calling the network does, for pictures whose last `maps` are at hand."""
        logits: Tensor = self.head(_flat(maps))
        return logits

    def photo_logits(self, pixels: Tensor) -> Tensor:
        """Return logits, float (n, photo_classes), for photos' cuts; those of the one head where there is no other."""
        return self.photo_logits_of_maps(self.maps(pixels)[1])

    def photo_logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return what `photo_logits` does, for pictures whose last `maps` are at hand."""
        logits: Tensor = (self.photo_head or self.head)(_flat(maps))
        return logits


def _block(channels_in: int, channels: int, config: NetworkConfig, stage: int, block: int) -> nn.Module:
    """Return a stage's block; its first one halves the maps, save that of a first stage that is not pooled."""
    if block == 0 and config.pooled:
        return PooledBlock(channels_in, channels)
    return ResidualBlock(channels_in, channels, stride=2 if block == 0 and stage > 0 else 1)


def _flat(maps: Tensor) -> Tensor:
    """Return the mean of each map: (n, channels) for (n, channels, h, w)."""
    return torch.flatten(functional.adaptive_avg_pool2d(maps, 1), 1)


@torch.no_grad()
def logits_of(network: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """Return logits, float (n, classes), for any number of pictures (n, 1, h, w), 500 at a time to bound the memory.

    `network` is one, its `photo_logits`, or any other function of pictures, which is then asked in the same parts.
    """
    return torch.cat([network(some) for some in torch.split(pixels, 500)])


def said_of_both_sides(network: nn.Module, pixels: Tensor) -> Tensor:
    """Return probabilities (n, classes), the mean of those of each picture and of its mirror image."""
    return (logits_of(network, pixels).softmax(1) + logits_of(network, pixels.flip(3)).softmax(1)) / 2


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, side: int = 28) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one (1, side, side) picture."""
    with _macs_counted(network) as macs, torch.inference_mode():
        was_training = network.training
        network.eval()(torch.zeros(1, 1, side, side))
        network.train(was_training)
    return sum(macs)


@contextmanager
def _macs_counted(network: nn.Module) -> Iterator[list[int]]:
    macs: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        macs.append(output[0].numel() * weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        yield macs
    finally:
        for hook in hooks:
            hook.remove()
