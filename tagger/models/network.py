"""The network: 28x28 grey images to one logit per class. It knows no files and no devices."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagger.models import cnn, resnet
from tagger.models.blocks import NetworkParts, side_by_side
from tagger.models.config import NetworkConfig

BATCH = 500
"""Images per forward pass where any number of them is scored, to bound the memory."""


def _build(config: NetworkConfig) -> NetworkParts:
    """Build a network of the config's family without its heads; of several members, side by side."""
    if config.members > 1:
        return side_by_side([_build(replace(config, members=1)) for _ in range(config.members)])
    if config.family == "residual":
        return resnet.build(config)
    if config.family == "plain":
        return cnn.build(config)
    # torchvision takes a second to import, and no shipped bundle needs it
    from tagger.models import torchvision_backbones

    return torchvision_backbones.build(config)


class Network(nn.Module):
    """A family's convolutional stages and neck, and one or two linear heads.

    What Fashion-MNIST calls a shirt, shops often call a top, so a network for both has one head for images in Fashion-MNIST's
    own format and another for photos.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        parts = _build(config)
        self.stages = nn.Sequential(*parts.layers)
        self.neck = parts.neck
        self.head = nn.Linear(parts.width, config.classes)
        self.photo_head = nn.Linear(parts.width, config.photo_classes) if config.photo_classes else None
        self.channels = parts.channels
        """Channels of the feature maps before and after the last stage."""
        self._last = parts.last

    def parts(self) -> NetworkParts:
        """Return the network without its heads; the modules are not copied."""
        return NetworkParts(list(self.stages), self._last, self.neck, self.head.in_features, self.channels)

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature maps before and after the last stage, float (n, channels, h', w') each.

        Args:
            pixels: uint8 or float (n, 1, h, w) in 0..255, 0 = background.
        """
        before: Tensor = self.stages[: -self._last]((pixels.float() / 255 - self.config.mean) / self.config.deviation)
        last: Tensor = self.stages[-self._last :](before)
        return before, last

    def features(self, pixels: Tensor) -> Tensor:
        """Return the input of the heads, float (n, width), for pixels uint8 or float (n, 1, h, w) in 0..255."""
        features: Tensor = self.neck(self.maps(pixels)[1])
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, float (n, classes), for pixels uint8 or float (n, 1, h, w) in 0..255, 0 = background."""
        return self.logits_of_maps(self.maps(pixels)[1])

    def logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return logits, float (n, classes), for the last feature maps of n images."""
        logits: Tensor = self.head(self.neck(maps))
        return logits

    def photo_logits(self, pixels: Tensor) -> Tensor:
        """Return the photo head's logits, float (n, photo_classes), for product images; a single head serves both formats."""
        return self.photo_logits_of_maps(self.maps(pixels)[1])

    def photo_logits_of_maps(self, maps: Tensor) -> Tensor:
        """Return the photo head's logits, float (n, photo_classes), for the last feature maps of n product images."""
        logits: Tensor = (self.photo_head or self.head)(self.neck(maps))
        return logits


def build_network(config: NetworkConfig, weights: Mapping[str, NDArray[Any]]) -> Network:
    """Return a network of that shape with copies of the weights, in evaluation mode, float32 on the CPU.

    Args:
        config: shape of the network.
        weights: arrays by the names of the network's `state_dict`, as `state_arrays` returns them.

    Raises:
        RuntimeError: the weights are those of another network.
    """
    with torch.device("meta"):  # a card with absurd sizes takes no memory
        network = Network(config)
    network.load_state_dict({name: torch.tensor(array) for name, array in weights.items()}, assign=True)
    return network.eval()


def state_arrays(network: Network) -> dict[str, NDArray[Any]]:
    """Return copies of a network's weights and statistics as contiguous arrays, by the names of its `state_dict`."""
    return {name: np.array(tensor.cpu().numpy(), order="C") for name, tensor in network.state_dict().items()}


@torch.no_grad()
def logits_in_batches(network: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """Return logits, float (n, classes), for any number of images (n, 1, h, w), `BATCH` at a time to bound the memory.

    `network` is a network, its `photo_logits`, or any other function of images, called batch by batch.
    """
    return torch.cat([network(batch) for batch in torch.split(pixels, BATCH)])


def flip_averaged_probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    """Return probabilities (n, classes), averaged over each image (n, 1, h, w) and its horizontal flip."""
    return (logits_in_batches(network, pixels).softmax(1) + logits_in_batches(network, pixels.flip(3)).softmax(1)) / 2
