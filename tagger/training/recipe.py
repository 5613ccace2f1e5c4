"""A training recipe: everything that decides a training's result besides the data."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

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

NETWORKS_WITH_ORIGINAL_RECIPE: tuple[NetworkName, ...] = (
    "linear-conv",
    "conv-32-64",
    "deep-pool",
    "strided",
    "conv-dropout",
    "three-block",
)
"""Those that come from elsewhere with a recipe."""

TORCHVISION_NETWORKS: tuple[NetworkName, ...] = ("resnet18", "mobilenet-v3", "efficientnet-b0")
"""Those that torchvision has, with weights that it offers."""

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


def with_recipe_defaults(of_card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as it stands in a card, with the defaults of what is newer than that card."""
    return {item.name: item.default for item in fields(Recipe) if item.default is not MISSING} | dict(of_card)
