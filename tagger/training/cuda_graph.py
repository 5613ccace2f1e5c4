"""Capture the training step as a CUDA graph: small networks are launch-bound."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Step: TypeAlias = Callable[..., Tensor]

WARMUP_STEPS = 3
"""Steps run eagerly before the capture, in which libraries and optimizers allocate their state."""


def capture(step: Step) -> Step:
    """Return a function that computes the same as `step`, by replaying a CUDA graph after `WARMUP_STEPS` calls.

    It takes CUDA tensors, or None, whose shapes and dtypes never change. `step` may update tensors in place, but must not read
    anything back from the device, nor use Python values that change from one call to the next.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    graph = torch.cuda.CUDAGraph()
    calls = 0
    inputs: list[Tensor | None] = []
    output = torch.empty(0)

    def on_side_stream(*arguments: Tensor | None) -> Tensor:
        # A step that is captured must not have run on the default stream before, so the warm-up does not either.
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = step(*arguments)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def replay(*arguments: Tensor | None) -> Tensor:
        nonlocal calls, inputs, output
        calls += 1
        if calls <= WARMUP_STEPS:
            return on_side_stream(*arguments)
        if calls == WARMUP_STEPS + 1:
            inputs = [None if tensor is None else tensor.clone() for tensor in arguments]
            with torch.cuda.graph(graph):
                output = step(*inputs)
        for static, tensor in zip(inputs, arguments, strict=True):
            if static is not None and tensor is not None:
                static.copy_(tensor)
        graph.replay()
        return output.clone()

    return replay
