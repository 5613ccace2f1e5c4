"""A training recipe: all hyperparameters of a training, and the reading of recipes stored under earlier field names."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
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
"""Networks of other projects, each with the recipe that its project states."""

TORCHVISION_NETWORKS: tuple[NetworkName, ...] = ("resnet18", "mobilenet-v3", "efficientnet-b0")
"""Networks of torchvision, which offers pretrained weights for them."""

RecipeName: TypeAlias = Literal["modern", "original"]

RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)

Augmentation: TypeAlias = Literal["flip", "shift", "cutout"]

AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)
"""Random changes to a training image: horizontal flip, translation, and cutout (a blackened square; DeVries and Taylor 2017,
arXiv 1708.04552)."""

Optimizer: TypeAlias = Literal["muon", "sgd", "adam"]


@dataclass(frozen=True)
class Cycle:
    """One rise and fall of the learning rates, with the augmentation and the targets meanwhile."""

    epochs: int
    peak_lr_scale: float = 1.0
    """Factor on the recipe's learning rates at the peak of this cycle."""
    low_resolution_epochs: int = 0
    """Progressive resizing: first epochs, on images of `low_resolution` pixels; less than half the work, without a loss."""
    low_resolution: int = 20
    """Side of the images in `low_resolution_epochs`, in pixels."""
    warmup_steps: int = 300
    label_smoothing: float = 0.0
    cutout_probability: float = 0.5
    cutout_size: int = 11
    """Greatest side of the cut-out square, in pixels."""
    distillation: float = 0.0
    """Weight, 0..1, in the targets, of the mean prediction of the teachers and of the networks at the ends of earlier cycles;
    the labels have the rest."""
    easy_keep_fraction: float = 1.0
    """Fraction of the easy images (those whose labels the same teachers predict confidently) that an epoch includes, others in
    each epoch."""
    fashion_mnist_weight: float = 1.0
    """Loss weight of Fashion-MNIST's own images in a mix; images that stand for photos have 1."""


@dataclass(frozen=True)
class Recipe:
    """All hyperparameters of `fmtag retrain`: with the data they determine the bundle, whose card stores them."""

    cycles: tuple[Cycle, ...]
    batch_size: int = 128
    muon_lr: float = 0.02
    """Peak learning rate of Muon, which trains the convolutions."""
    sgd_lr: float = 0.1
    """Peak learning rate of all other parameters; without Muon, of all."""
    optimizer: Optimizer = "muon"
    """Muon together with Nesterov SGD, or one of SGD and Adam alone."""
    constant_learning_rate: bool = False
    """Whether the learning rates stay at their peak, instead of rising and falling."""
    alternating_flip: bool = True
    """Whether every image is mirrored in every other epoch (Jordan 2024, arXiv 2404.00498)."""
    weight_decay: float = 5e-4
    shift: int = 2
    """Greatest random translation, in pixels each way; background fills the gap."""
    ema_decay: float = 0.999
    """Decay, per step, of the exponential moving average of the weights, which is the network that ships."""
    class_weighted: bool = False
    """Whether the loss weighs classes by their inverse frequency."""
    patience: int = 0
    """Early stopping: epochs without a lower validation loss after which training ends, with the weights of the best epoch; 0
    turns it off."""
    seed: int = 0
    ensemble: int = 1
    """Networks of the bundle, trained one after another, each with the next seed."""
    mix: Mix = "fashion-mnist"
    """Training set: Fashion-MNIST alone, or the mix that `tagger.synthesis.mix` makes with it for photos."""
    network: NetworkName = "base"
    """Architecture, where training does not begin with a bundle's weights."""
    start: str = ""
    """Bundle or file of the initial weights, a bundle as its `model` column names it; empty for random initialisation."""
    teachers: tuple[str, ...] = ()
    """Bundles whose predictions are distilled, named likewise; before training, as the user names them."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a recipe without cycles, or whose first cycle distils without a teacher."""
        distils = bool(self.cycles) and (self.cycles[0].distillation > 0 or self.cycles[0].easy_keep_fraction < 1)
        if not self.cycles:
            raise ValueError("a recipe needs at least one cycle")
        if distils and not self.teachers:
            raise ValueError("the first cycle distils, so the recipe needs teachers")

    @property
    def epochs(self) -> int:
        """Total number of epochs."""
        return sum(cycle.epochs for cycle in self.cycles)

    def cycle_at(self, epoch: int) -> tuple[Cycle, int]:
        """Return the cycle that contains `epoch`, counted from 0, and the first epoch of that cycle."""
        first = 0
        for cycle in self.cycles:
            if epoch < first + cycle.epochs:
                return cycle, first
            first += cycle.epochs
        raise IndexError(f"The recipe has {self.epochs} epochs, so none with the number {epoch}.")


CYCLE_ALIASES: Mapping[str, str] = {
    "peak": "peak_lr_scale",
    "small_epochs": "low_resolution_epochs",
    "small_side": "low_resolution",
    "erase_share": "cutout_probability",
    "erase_side": "cutout_size",
    "easy_share": "easy_keep_fraction",
    "native_weight": "fashion_mnist_weight",
}
"""Earlier names of fields of `Cycle`, in bundle cards, recipe files, checkpoints and studies, with the present ones."""

RECIPE_ALIASES: Mapping[str, str] = {
    "steady": "constant_learning_rate",
    "mirrored": "alternating_flip",
    "averaging": "ema_decay",
    "balanced": "class_weighted",
}
"""Earlier names of fields of `Recipe`, likewise."""


def with_current_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored recipe with the present names of its fields and of those of its cycles; unknown fields stay."""
    return _with_cycles(_renamed(stored, RECIPE_ALIASES), lambda cycle: _renamed(cycle, CYCLE_ALIASES))


def with_recipe_defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored recipe with the present names, and the defaults of fields that are newer than its card."""
    recipe = _defaults(fields(Recipe)) | with_current_names(stored)
    return _with_cycles(recipe, lambda cycle: _defaults(fields(Cycle)) | cycle)


def _with_cycles(recipe: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return the recipe with each cycle changed; whatever else a damaged card has in their place stays."""
    cycles = recipe.get("cycles")
    if isinstance(cycles, list | tuple):
        recipe["cycles"] = type(cycles)(change(cycle) if isinstance(cycle, dict) else cycle for cycle in cycles)
    return recipe


def _renamed(stored: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    return {aliases.get(name, name): value for name, value in stored.items()}


def _defaults(of: tuple[Field[Any], ...]) -> dict[str, Any]:
    """Return the defaults of those fields that have one, as JSON has them: lists in place of tuples."""
    defaults = {item.name: item.default for item in of if item.default is not MISSING}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
