"""The settings of the commands that train."""

from dataclasses import dataclass
from pathlib import Path

from tagger.settings import Device
from tagger.training.recipe import NetworkName, Recipe

TRAINING_DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class TrainSettings:
    """What `fmtag retrain` was asked for."""

    out: Path
    recipe: Recipe
    data: Path | None = None
    """Folder of Fashion-MNIST's four files, or labelled photos of one's own: a folder or a table."""
    name: str | None = None
    floor: float = 0.0
    """Least accuracy on the held-out images, 0..1, for the bundle to be written."""
    resume: bool = False
    start: str | None = None
    """The bundle to begin with: its name, or its folder written with a separator."""
    pretrained: Path | None = None
    """File of weights, in torchvision's form, to begin with."""
    photos: Path | None = None
    """Folder of labelled photos for the mix of `catalog`."""
    calibrated_by: str | None = None
    """A bundle, named likewise, of the same recipe whose temperature the new one takes, which then learns all images."""
    tolerance: float = 0.02
    """Share of a class's held-out pictures, 0..1, that may be right less often than by the bundle that is replaced."""
    force: bool = False
    """Whether to replace a bundle that the new one is not shown to be as good as."""
    image_column: str | None = None
    label_column: str | None = None
    workers: int | None = None
    device: Device = "auto"
    """Where training computes; "auto" is a GPU where there is one."""


@dataclass(frozen=True)
class TuneSettings:
    """What `fmtag tune` was asked for; what it takes for granted is an affair of minutes on two cores."""

    out: Path
    """The recipe file."""
    network: NetworkName = "tiny"
    trials: int = 30
    """Trials that there should be in all, with those that are in the study already."""
    epochs: int = 4
    images: int = 20_000
    """Training images of a trial, the same ones in all, chosen by the seed."""
    seed: int = 0
    teachers: tuple[str, ...] = ()
    """Bundles to learn from, named likewise; empty for those that the network's recipe names."""
    study: Path | None = None
    """SQLite file of the trials; None takes the file beside `out` that is named like it."""
    data: Path | None = None
