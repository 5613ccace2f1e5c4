"""The settings of `fmtag export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

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
