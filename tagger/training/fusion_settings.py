"""The settings of `fmtag retrain --backbone`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FusionSettings:
    """The settings of `fmtag retrain --backbone`."""

    out: Path
    backbone: Path
    """File of the published weights, or an ONNX file."""
    photos: Path
    """Folder of labelled photos."""
    start: str
    """Bundle of the small network, which stays as it is."""
    data: Path | None = None
    """Folder of Fashion-MNIST's four files."""
    name: str | None = None
    seed: int = 0
