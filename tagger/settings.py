"""What a user may choose, in one frozen object a command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)

Format: TypeAlias = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what `fmtag retrain` ends with, besides the data; it stands in the bundle's card."""

    epochs: int = 44
    small_epochs: int = 16
    """First epochs, on pictures shrunk to `small_side` pixels: less than half the work, and nothing lost at the end."""
    small_side: int = 20
    batch_size: int = 128
    muon_lr: float = 0.02
    """Relative step of the convolutions at its peak."""
    sgd_lr: float = 0.1
    """Step of everything else at its peak."""
    weight_decay: float = 5e-4
    warmup_steps: int = 300
    label_smoothing: float = 0.05
    shift: int = 2
    """Pictures are moved by up to so many pixels each way, filled with background."""
    erase_share: float = 0.5
    erase_side: int = 11
    averaging: float = 0.999
    """Share of the old in the running average of the weights that ships, a step."""
    seed: int = 0

    @classmethod
    def scaled(cls, epochs: int = epochs, **changes: int) -> "Recipe":
        """Return the recipe for another number of epochs, the same share of them on small pictures."""
        small_epochs = round(epochs * cls.small_epochs / cls.epochs)
        return cls(epochs=epochs, small_epochs=small_epochs, **changes)


@dataclass(frozen=True)
class TrainSettings:
    """What `fmtag retrain` was asked for."""

    out: Path
    recipe: Recipe = Recipe()
    data: Path | None = None
    name: str | None = None
    floor: float = 0.0
    """Least accuracy on the held-out images, 0..1, for the bundle to be written."""
    resume: bool = False


@dataclass(frozen=True)
class RunSettings:
    """What `fmtag run` was asked for."""

    source: str
    out: str
    format: Format | None = None
    image_column: str | None = None
    top_k: int = 1
    min_confidence: float | None = None
    """Tags below this are flagged; None takes the bundle's own threshold."""
    model: str = "base"
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    """Threads that read and decode photos; None takes one a processor."""
    allow_truncated: bool = False
    debug_garments: Path | None = None
    excel: bool = False


@dataclass(frozen=True)
class EvaluateSettings:
    """What `fmtag evaluate` was asked for."""

    source: str
    image_column: str | None = None
    label_column: str | None = None
    model: str = "base"
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    data: Path | None = None
