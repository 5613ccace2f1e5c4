"""Summarize a network: output shape, parameters and multiply-accumulates per layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tagger.models.network import Network


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: Network, side: int = 28) -> int:
    """Return the multiply-accumulates of convolutions and linear layers per (1, side, side) image, with the first head."""
    return sum(layer.macs for layer in layers(network, side) if layer.name != "photo_head")


@dataclass(frozen=True)
class Layer:
    """One layer of a network, for one image."""

    name: str
    """Its qualified name, the prefix of its weights' names."""
    kind: str
    """Name of its class, such as `Conv2d`."""
    output: tuple[int, ...]
    """Output shape without the batch dimension."""
    parameters: int
    macs: int
    """Multiply-accumulates; counted for convolutions and linear layers, 0 for others."""


def layers(network: Network, side: int = 28) -> list[Layer]:
    """Return the layers in the order in which a (1, side, side) image passes them; without `Identity` layers."""
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
