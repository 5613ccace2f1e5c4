"""Steps of training on CUDA, recorded once and replayed: small networks wait for their launches, not for arithmetic."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Step: TypeAlias = Callable[..., Tensor]

WARMUP_STEPS = 3
"""Steps that are taken as they are before one is recorded, so that libraries and optimizers have set themselves up."""


def capture(step: Step) -> Step:
    """Return what does the same as `step`, on CUDA tensors or None whose shapes and dtypes never change.

    `step` may keep state in tensors that stay where they are, but reads nothing back from the device, and takes nothing from
    Python that changes from one step to the next.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    graph = torch.cuda.CUDAGraph()
    taken = 0
    inputs: list[Tensor | None] = []
    result = torch.empty(0)

    def on_the_side(*given: Tensor | None) -> Tensor:
        # A step that is recorded must not have begun on the usual stream, so neither do those before it.
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = step(*given)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def take(*given: Tensor | None) -> Tensor:
        nonlocal taken, inputs, result
        taken += 1
        if taken <= WARMUP_STEPS:
            return on_the_side(*given)
        if taken == WARMUP_STEPS + 1:
            inputs = [None if one is None else one.clone() for one in given]
            with torch.cuda.graph(graph):
                result = step(*inputs)
        for place, one in zip(inputs, given, strict=True):
            if place is not None and one is not None:
                place.copy_(one)
        graph.replay()
        return result.clone()

    return take
