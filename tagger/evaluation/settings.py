"""The settings of `fmtag evaluate` and `fmtag compare`."""

from dataclasses import dataclass
from pathlib import Path

from tagger.settings import DEFAULT_MODEL, Device


@dataclass(frozen=True)
class CompareSettings:
    """What `fmtag compare` was asked for."""

    models: tuple[str, ...]
    """Names of bundles, or folders written with a separator; those of one shape and recipe, with other seeds, are one row."""
    data: Path | None = None
    """Folder of Fashion-MNIST's four files."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What `fmtag evaluate` was asked for."""

    sources: tuple[str, ...]
    image_column: str | None = None
    label_column: str | None = None
    model: str | Path = DEFAULT_MODEL
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    data: Path | None = None
