"""Exponential moving average of a network's weights, which generalises better than the last weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class WeightEMA:
    """Exponential moving average of parameters and running statistics, with a shorter memory in the first steps.

    Computes what torch's `AveragedModel` does, but counts steps in Python: a counter on the device would synchronise every
    step with it.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network)
        """The network with the averaged weights."""
        self._decay = decay
        self._steps = 0
        self._averages, self._counters = _tensors(self.network)
        self._trained, self._trained_counters = _tensors(network)

    def update(self) -> None:
        """Update the average after an optimizer step."""
        # The first step's weights replace the random ones from before training.
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps)) if self._steps else 1.0
        torch._foreach_lerp_(self._averages, self._trained, share)
        if self._counters:
            torch._foreach_copy_(self._counters, self._trained_counters)
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and the number of steps, as `load_state_dict` takes them."""
        return {"network": self.network.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self._steps = int(state["steps"])


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return a network's floating point tensors and its counters; training changes them in place."""
    tensors = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    return [one for one in tensors if one.is_floating_point()], [one for one in tensors if not one.is_floating_point()]
