"""The network: 28x28 grey pictures to one score a label. Knows no files and no devices."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from tagger.models import cnn, resnet
from tagger.models.blocks import NetworkParts, side_by_side
from tagger.models.config import NetworkConfig


def _parts(config: NetworkConfig) -> NetworkParts:
    """Return what the config's family makes of its shape, as often as it has members."""
    if config.members > 1:
        return side_by_side([_parts(replace(config, members=1)) for _ in range(config.members)])
    if config.family == "residual":
        return resnet.build(config)
    if config.family == "plain":
        return cnn.build(config)
    from tagger.models import (
        torchvision_backbones,  # torchvision takes a second to import, and no bundle that is shipped needs it
    )

    return torchvision_backbones.build(config)


class Network(nn.Module):
    """A family's convolutions and neck, and a linear head, or heads.

    What Fashion-MNIST calls a shirt, shops often call a top, so a network for both has a head for each.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        made = _parts(config)
        self.stages = nn.Sequential(*made.layers)
        self.neck = made.neck
        self.head = nn.Linear(made.width, config.classes)
        self.photo_head = nn.Linear(made.width, config.photo_classes) if config.photo_classes else None
        self.channels = made.channels
        """Of the maps before and after the last stage."""
        self._last = made.last

    def parts(self) -> NetworkParts:
        """Return what the network is built of, its very modules."""
        return NetworkParts(list(self.stages), self._last, self.neck, self.head.in_features, self.channels)

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps before and after the last stage, float (n, channels, h', w') each.

        For pixels uint8 or float (n, 1, h, w) in 0..255, 0 = background.
        """
        before: Tensor = self.stages[: -self._last]((pixels.float() / 255 - self.config.mean) / self.config.deviation)
        last: Tensor = self.stages[-self._last :](before)
        return before, last

    def features(self, pixels: Tensor) -> Tensor:
        """Return what the head sees: float (n, width), for pixels uint8 or float (n, 1, h, w) in 0..255."""
        seen: Tensor = self.neck(self.maps(pixels)[1])
        return seen

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, float (n, classes), for pixels uint8 or float (n, 1, h, w) in 0..255, 0 = background."""
        return self.logits_of_maps(self.maps(pixels)[1])

    def logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return what calling the network does, for pictures whose last `maps` are at hand."""
        logits: Tensor = self.head(self.neck(maps))
        return logits

    def photo_logits(self, pixels: Tensor) -> Tensor:
        """Return logits, float (n, photo_classes), for photos' cuts; those of the one head where there is no other."""
        return self.photo_logits_of_maps(self.maps(pixels)[1])

    def photo_logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return what `photo_logits` does, for pictures whose last `maps` are at hand."""
        logits: Tensor = (self.photo_head or self.head)(self.neck(maps))
        return logits


@torch.no_grad()
def logits_in_batches(network: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """Return logits, float (n, classes), for any number of pictures (n, 1, h, w), 500 at a time to bound the memory.

    `network` is one, its `photo_logits`, or any other function of pictures, which is then asked in the same parts.
    """
    return torch.cat([network(some) for some in torch.split(pixels, 500)])


def flip_averaged_probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    """Return probabilities (n, classes), the mean of those of each picture and of its mirror image."""
    return (logits_in_batches(network, pixels).softmax(1) + logits_in_batches(network, pixels.flip(3)).softmax(1)) / 2
