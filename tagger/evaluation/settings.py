"""The settings of `fmtag evaluate` and `fmtag compare`."""

from dataclasses import dataclass
from pathlib import Path

from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.settings import DEFAULT_MODEL, Device


@dataclass(frozen=True)
class CompareSettings:
    """Settings of `fmtag compare`."""

    models: tuple[str, ...]
    """Names of bundles, or folders written with a separator. Bundles that differ in their seed alone become one row."""
    data: Path | None = None
    """Folder of Fashion-MNIST's four files."""


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `fmtag evaluate`."""

    sources: tuple[str, ...]
    """Labelled photos, or `fashion-mnist`; see `evaluate.evaluate`."""
    reading: SourceSettings = DEFAULT_READING
    label_column: str | None = None
    model: str | Path = DEFAULT_MODEL
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    """Threads that read photos; None for one per core."""
    decoding: DecodeSettings = DEFAULT_DECODING
    data: Path | None = None
    """Folder of Fashion-MNIST's four files."""
