"""The network: 28x28 grey pictures to one score a label. Knows no files and no devices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tagger.models import cnn, resnet
from tagger.models.blocks import Parts, side_by_side
from tagger.models.card import NetworkConfig


def _parts(config: NetworkConfig) -> Parts:
    """Return what the config's family makes of its shape, as often as it has members."""
    if config.members > 1:
        return side_by_side([_parts(replace(config, members=1)) for _ in range(config.members)])
    if config.family == "residual":
        return resnet.parts(config)
    if config.family == "plain":
        return cnn.parts(config)
    from tagger.models import (
        torchvision_backbones,  # torchvision takes a second to import, and no bundle that is shipped needs it
    )

    return torchvision_backbones.parts(config)


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

    def parts(self) -> Parts:
        """Return what the network is built of, its very modules."""
        return Parts(list(self.stages), self._last, self.neck, self.head.in_features, self.channels)

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


def joined(networks: Sequence[Network]) -> Network:
    """Return networks of one shape, with a single member each, as one in evaluation mode, whose logits are the mean of theirs.

    So its probabilities are the members' geometric mean, but for a factor. The members' modules become its own.
    """
    whole = Network(replace(networks[0].config, members=len(networks)))
    made = side_by_side([network.parts() for network in networks])
    whole.stages, whole.neck = nn.Sequential(*made.layers), made.neck
    photo_heads = [network.photo_head for network in networks if network.photo_head is not None]
    whole.head = _mean_of_heads([network.head for network in networks])
    whole.photo_head = _mean_of_heads(photo_heads) if photo_heads else None
    return whole.eval()


def _mean_of_heads(heads: Sequence[nn.Linear]) -> nn.Linear:
    """Return the head that gives the mean of the heads' logits for all that they see side by side."""
    mean = nn.Linear(sum(head.in_features for head in heads), heads[0].out_features)
    with torch.no_grad():
        mean.weight.copy_(torch.cat([head.weight for head in heads], 1) / len(heads))
        mean.bias.copy_(torch.stack([head.bias for head in heads]).mean(0))
    return mean


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


def count_macs(network: Network, side: int = 28) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one (1, side, side) picture, by its first head."""
    return sum(layer.macs for layer in layers(network, side) if layer.name != "photo_head")


@dataclass(frozen=True)
class Layer:
    """One layer of a network, as one picture goes through it."""

    name: str
    """Where it stands, as its weights are called."""
    kind: str
    output: tuple[int, ...]
    """Shape of what comes out for one picture."""
    parameters: int
    macs: int
    """Multiply-accumulates, which only convolutions and linear layers are said to have."""


def layers(network: Network, side: int = 28) -> list[Layer]:
    """Return the layers that a (1, side, side) picture goes through, in that order; those that do nothing are left out."""
    passed: dict[str, Layer] = {}

    def watch(name: str, module: nn.Module) -> RemovableHandle:
        def note(_: nn.Module, __: object, output: Tensor) -> None:
            weight = module.get_parameter("weight") if isinstance(module, nn.Conv2d | nn.Linear) else None
            macs = 0 if weight is None else output[0].numel() * weight[0].numel()
            passed.setdefault(name, Layer(name, type(module).__name__, tuple(output.shape[1:]), count_parameters(module), macs))

        return module.register_forward_hook(note)

    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    hooks = [watch(name, module) for name, module in leaves if not isinstance(module, nn.Identity)]
    was_training = network.training
    try:
        with torch.inference_mode():
            _, last = network.eval().maps(torch.zeros(1, 1, side, side))
            network.logits_of_maps(last)
            network.photo_logits_of_maps(last)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return list(passed.values())
