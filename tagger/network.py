"""The network: 28x28 grey pictures to one score a label. Knows no files and no devices."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tagger import plain, residual
from tagger.blocks import Parts
from tagger.card import NetworkConfig


def _parts(config: NetworkConfig) -> Parts:
    """Return what the config's family makes of its shape."""
    if config.family == "residual":
        return residual.parts(config)
    if config.family == "plain":
        return plain.parts(config)
    from tagger import borrowed  # torchvision takes a second to import, and no bundle that is shipped needs it

    return borrowed.parts(config)


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
