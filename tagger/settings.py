"""What a user may choose, in one frozen object a command."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)
TRAINING_DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")

Format: TypeAlias = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)


Only: TypeAlias = Literal["new", "changed", "flagged"]
ONLY: tuple[Only, ...] = get_args(Only)

DEFAULT_MODEL = "catalog"
"""The shipped bundle that tags where no other is named."""

Mix: TypeAlias = Literal["fashion-mnist", "catalog"]
MIXES: tuple[Mix, ...] = get_args(Mix)

NetworkName: TypeAlias = Literal[
    "base",
    "tiny",
    "residual",
    "linear-conv",
    "conv-32-64",
    "deep-pool",
    "strided",
    "conv-dropout",
    "three-block",
    "resnet18",
    "mobilenet-v3",
    "efficientnet-b0",
]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)

ORIGINALS: tuple[NetworkName, ...] = ("linear-conv", "conv-32-64", "deep-pool", "strided", "conv-dropout", "three-block")
"""Those that come from elsewhere with a recipe."""

BORROWED: tuple[NetworkName, ...] = ("resnet18", "mobilenet-v3", "efficientnet-b0")
"""Those that torchvision has, with weights that it offers."""

MOST_MEMBERS = 32
"""Of an ensemble; the gain is in the first few."""

RecipeName: TypeAlias = Literal["modern", "original"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)

Augmentation: TypeAlias = Literal["flip", "shift", "cutout"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
"""What may become of a picture each time that it is learnt: it is mirrored, moved, or a square of it is blackened."""

Optimizer: TypeAlias = Literal["muon", "sgd", "adam"]


@dataclass(frozen=True)
class Cycle:
    """One rise and fall of the learning rates, and what the network sees meanwhile."""

    epochs: int
    peak: float = 1.0
    """Highest learning rates, as a share of the recipe's."""
    small_epochs: int = 0
    """First epochs, on pictures shrunk to `small_side` pixels: less than half the work, and nothing lost at the end."""
    small_side: int = 20
    warmup_steps: int = 300
    label_smoothing: float = 0.0
    erase_share: float = 0.5
    erase_side: int = 11
    distillation: float = 0.0
    """Share, in the targets, of what the teachers and the ends of the earlier cycles say together; the labels are the rest."""
    easy_share: float = 1.0
    """Share of the pictures whose labels these are sure of that is seen in an epoch, another one each time."""
    native_weight: float = 1.0
    """Weight of Fashion-MNIST's own pictures in a mix, beside 1 for each that stands for a photo."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what `fmtag retrain` ends with, besides the data; it stands in the bundle's card."""

    cycles: tuple[Cycle, ...]
    batch_size: int = 128
    muon_lr: float = 0.02
    """Relative step of the convolutions at its peak."""
    sgd_lr: float = 0.1
    """Step of everything else at its peak; without Muon, of everything."""
    optimizer: Optimizer = "muon"
    """Muon beside Nesterov SGD, or one of SGD and Adam alone."""
    steady: bool = False
    """Whether the learning rates stay at their peak, instead of rising and falling."""
    mirrored: bool = True
    """Whether every picture is seen both ways."""
    weight_decay: float = 5e-4
    shift: int = 2
    """Pictures are moved by up to so many pixels each way, filled with background."""
    averaging: float = 0.999
    """Share of the old in the running average of the weights that ships, a step."""
    balanced: bool = False
    """Whether rare classes weigh as much as frequent ones."""
    patience: int = 0
    """Epochs without a lower held-out loss after which training ends, with the weights of the best one; 0 for never."""
    seed: int = 0
    ensemble: int = 1
    """Networks of which the bundle is made, trained one after another, each with the next seed."""
    mix: Mix = "fashion-mnist"
    """What is learnt: Fashion-MNIST as it is, or with all that the room `mix` makes of it."""
    network: NetworkName = "base"
    """The shape that is trained where it does not begin with a bundle's weights."""
    start: str = ""
    """The bundle or file whose weights training begins with, a bundle as its `model` column names it; empty for chance."""
    teachers: tuple[str, ...] = ()
    """The bundles that the network is taught by, named likewise; before training, as the user names them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        taught = bool(self.cycles) and (self.cycles[0].distillation > 0 or self.cycles[0].easy_share < 1)
        if not self.cycles or (taught and not self.teachers):
            raise ValueError("a recipe needs a cycle, and without a teacher nothing comes before the first one to learn from")

    @property
    def epochs(self) -> int:
        """Passes over the pictures in all."""
        return sum(cycle.epochs for cycle in self.cycles)

    def cycle_at(self, epoch: int) -> tuple[Cycle, int]:
        """Return the cycle that `epoch`, counted from 0, belongs to, and that cycle's first epoch."""
        first = 0
        for cycle in self.cycles:
            if epoch < first + cycle.epochs:
                return cycle, first
            first += cycle.epochs
        raise IndexError(f"The recipe has {self.epochs} epochs, so none with the number {epoch}.")


def recipe_in_full(of_card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as it stands in a card, with the defaults of what is newer than that card."""
    return {item.name: item.default for item in fields(Recipe) if item.default is not MISSING} | dict(of_card)


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
    precision: float | None = None
    """Share of the unflagged tags that should be right, by the card's table; `min_confidence` comes before it."""
    model: str = DEFAULT_MODEL
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    """Threads that read and decode photos; None takes one a processor."""
    allow_truncated: bool = False
    debug_garments: Path | None = None
    excel: bool = False
    label_map: Path | None = None
    """CSV of two columns, a label and the name that it goes by in the output."""
    ledger: Path | None = None
    """What is done already; None takes the file beside the output, or where there can be none, nothing is remembered."""
    fresh: bool = False
    """Whether every photo is looked at anew, whatever the ledger knows."""
    verify: bool = False
    """Whether all bytes are read, even where size and time say that they are the same."""
    settle: float = 0.0
    """Files written within so many seconds are left out of this run."""
    give_up: int = 7
    """Runs after which a photo that cannot be read is read again only when its file changes."""
    only: tuple[Only, ...] = ()
    """Rows that are written; all where none is named."""
    changes: str | None = None
    """File for what is another than in the last run."""
    report: Path | None = None
    """JSON file for counts, times and every failure."""
    wait: float = 0.0
    """Seconds to wait for another run that holds the ledger."""
    allow_vanished: bool = False
    """Whether most of the known photos may be gone."""


OtherLabels: TypeAlias = Literal["keep", "drop"]
OTHER_LABELS: tuple[OtherLabels, ...] = get_args(OtherLabels)


@dataclass(frozen=True)
class AdaptSettings:
    """What `fmtag adapt` and `fmtag pick` were asked for."""

    catalog: str
    out: str
    """Folder of the new bundle."""
    start: str = DEFAULT_MODEL
    labels: str | None = None
    """A table, a folder with one subfolder a class, or a corrected output of `fmtag run`."""
    image_column: str | None = None
    label_column: str | None = None
    other_labels: OtherLabels | None = None
    """What becomes of the bundle's labels that the table does not name; None keeps them if the table names some of them."""
    deep: bool = False
    """Whether the network learns too, not only what stands beside it."""
    force: bool = False
    """Whether to write a bundle that is less right than the one begun with, or learnt from too little."""
    device: Device = "auto"
    workers: int | None = None


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
