"""The average of a network's weights along its training, which is better than the last ones."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class WeightEMA:
    """Exponential moving average of weights and running statistics, which forgets the first, random ones quickly.

    As torch's `AveragedModel` keeps it, but counted in Python: a count on the device would have every step wait for it.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network)
        """The averaged one."""
        self._share = share
        self._steps = 0
        self._averaged, self._counted = _tensors(self.network)
        self._trained, self._counts = _tensors(network)

    def update(self) -> None:
        """Take in where a step of training has led the network to."""
        # The first step's weights stand as they are, whatever the average was before.
        share = 1 - min(self._share, (1 + self._steps) / (10 + self._steps)) if self._steps else 1.0
        torch._foreach_lerp_(self._averaged, self._trained, share)
        if self._counted:
            torch._foreach_copy_(self._counted, self._counts)
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"network": self.network.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another one stood."""
        self.network.load_state_dict(state["network"])
        self._steps = int(state["steps"])


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the floating point tensors, and those that count, which stay the same objects however they are trained."""
    every = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    return [one for one in every if one.is_floating_point()], [one for one in every if not one.is_floating_point()]
