"""The settings of the commands that train."""

from dataclasses import dataclass
from pathlib import Path

from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.settings import Device
from tagger.training.recipe import NetworkName, Recipe


@dataclass(frozen=True)
class TrainSettings:
    """The settings of `fmtag retrain` and `fmtag finetune`."""

    out: Path
    recipe: Recipe
    data: Path | None = None
    """Folder of Fashion-MNIST's four files, or the user's labelled photos: a folder or a table."""
    name: str | None = None
    floor: float = 0.0
    """Minimum accuracy on the held-out images, 0..1, for the bundle to be written."""
    resume: bool = False
    start: str | None = None
    """Bundle of the initial weights: its name, or its folder written with a separator."""
    pretrained: Path | None = None
    """File of initial weights in torchvision's format."""
    photos: Path | None = None
    """Folder of labelled photos for the mix of `catalog`."""
    calibrated_by: str | None = None
    """Bundle, named likewise, of the same recipe that gives the temperature; the held-out images are then trained on too."""
    tolerance: float = 0.02
    """Greatest loss of recall per class, 0..1, against the bundle that is replaced, on the held-out images."""
    force: bool = False
    """Whether to replace a bundle even where the new one regresses."""
    reading: SourceSettings = DEFAULT_READING
    label_column: str | None = None
    workers: int | None = None
    decoding: DecodeSettings = DEFAULT_DECODING
    device: Device = "auto"
    """Device of the training; "auto" is a GPU where one is available."""


@dataclass(frozen=True)
class TuneSettings:
    """The settings of `fmtag tune`; the defaults take minutes on two cores."""

    out: Path
    """The recipe file."""
    network: NetworkName = "tiny"
    trials: int = 30
    """Total number of trials, with those that the study has already."""
    epochs: int = 4
    images: int = 20_000
    """Training images per trial, the same ones in all, drawn with the seed."""
    seed: int = 0
    teachers: tuple[str, ...] = ()
    """Bundles to distil from, named likewise; empty for those of the network's recipe."""
    study: Path | None = None
    """SQLite file of the trials; None is `out` with the suffix .sqlite."""
    data: Path | None = None
