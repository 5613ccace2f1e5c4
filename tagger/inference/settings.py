"""The settings of `fmtag export`, and the batch size of all inference."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

BATCH_SIZE = 64
"""Images given to a network at once, which bounds the memory.

In torch they are padded with black ones to exactly as many: kernels may sum in another order for another batch shape
(pytorch#58128); with one shape, the probabilities of an image are the same to the bit in any company."""

Runtime: TypeAlias = Literal["onnx", "torch-export"]

RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


@dataclass(frozen=True)
class ExportSettings:
    """Options of `fmtag export`."""

    model: str
    """Name or folder of the bundle."""
    to: Runtime
    out: Path
    int8: bool = False
    """Whether to quantize weights and activations to int8."""
    prune: float = 0.0
    """Share of the weights, 0 to less than 1, to set to 0."""
    data: Path | None = None
    """Folder of Fashion-MNIST's four files; None for the default one."""
