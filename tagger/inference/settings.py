"""The settings of `fmtag export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Runtime: TypeAlias = Literal["onnx", "torch-export"]

RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


@dataclass(frozen=True)
class ExportSettings:
    """What `fmtag export` was asked for."""

    model: str
    to: Runtime
    out: Path
    int8: bool = False
    """Whether weights and activations become int8."""
    prune: float = 0.0
    """Share of the weights, 0 to less than 1, that become 0."""
    data: Path | None = None
    """Folder of Fashion-MNIST's four files."""
