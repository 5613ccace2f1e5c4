"""The built-in networks: the architecture of each, and its training recipe."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from tagger.errors import ConfigurationError
from tagger.models.config import NetworkConfig
from tagger.training.recipe import Augmentation, Cycle, NetworkName, Recipe

SHAPES: dict[NetworkName, NetworkConfig] = {
    "base": NetworkConfig(widths=(48, 64, 72), blocks=(2, 2, 1), stem=32, pooled=True),
    "tiny": NetworkConfig(widths=(24, 32, 56), blocks=(2, 2, 1), stem=16, pooled=True),
    "residual": NetworkConfig(widths=(32, 64, 128)),
    # The first network of many courses: one convolution and a linear layer.
    "linear-conv": NetworkConfig((16,), pooled=True, family="plain", norms=False),
    # From the tutorials of TensorFlow and Keras.
    "conv-32-64": NetworkConfig((32, 64), pooled=True, family="plain", norms=False, dense=(128,), dropout=0.25),
    # From a manual search over six models: the deepest of them, pooled, and the smallest, strided, for devices.
    "deep-pool": NetworkConfig((32, 64, 128), blocks=2, pooled=True, family="plain", norms=False, dense=(128,), dropout=0.3),
    "strided": NetworkConfig((16, 32, 64), family="plain", norms=False, dense=(64,), dropout=0.1),
    # From the tutorials of PyTorch.
    "conv-dropout": NetworkConfig((32,), pooled=True, family="plain", norms=False, dense=(128,), dropout=0.3),
    # A small VGG (Simonyan and Zisserman 2014, arXiv 1409.1556) with batch normalisation.
    "three-block": NetworkConfig((32, 64, 128), pooled=True, family="plain", dense=(256,), dropout=0.15),
    "resnet18": NetworkConfig(family="resnet18"),
    "mobilenet-v3": NetworkConfig(family="mobilenet-v3"),
    "efficientnet-b0": NetworkConfig(family="efficientnet-b0"),
}

RESIDUAL = (
    Cycle(epochs=44, low_resolution_epochs=16, label_smoothing=0.05),
    # A warm restart (SGDR, arXiv 1608.03983) with lower learning rates and stronger cutout.
    Cycle(epochs=40, peak_lr_scale=0.5, cutout_probability=0.75, cutout_size=15),
    # The third also distils the mean of the first two cycles' networks, which is more accurate than either.
    Cycle(epochs=28, peak_lr_scale=0.5, distillation=0.7),
)

# One long cycle each. The teachers are there from the start, so easy images can be left out: an hour or two on two cores.
BASE = (Cycle(epochs=110, low_resolution_epochs=44, distillation=0.7, easy_keep_fraction=0.3),)
TINY = (Cycle(epochs=130, low_resolution_epochs=50, distillation=0.7, easy_keep_fraction=0.3),)

# For the networks of other projects: distillation, and all augmentations.
MODERN = (Cycle(epochs=30, distillation=0.7, easy_keep_fraction=0.3),)

# For those of them that are too small to fit flipped and cut-out images too: every image in each epoch, unchanged.
SMALL = (Cycle(epochs=30, distillation=0.7, cutout_probability=0.0),)
UNAUGMENTED: tuple[NetworkName, ...] = ("linear-conv", "conv-dropout", "strided")

# For one that still improves after 30 epochs.
LONGER = (replace(MODERN[0], epochs=90),)

BATCHES: dict[NetworkName, int] = {"resnet18": 256}
"""Batch sizes other than `Recipe`'s default: with 11 million weights a step of Muon costs more than small batches."""

CYCLES: dict[NetworkName, tuple[Cycle, ...]] = {
    "base": BASE,
    "tiny": TINY,
    "residual": RESIDUAL,
    "three-block": LONGER,
    **dict.fromkeys(UNAUGMENTED, SMALL),
}
"""Cycles of the networks that have their own; the others have `MODERN`."""

TEACHERS: dict[NetworkName, tuple[str, ...]] = {"base": ("residual", "tiny"), "residual": ()}
"""Default teachers, where not `residual` alone."""

# As the projects state it, or tutorials where they do not: Adam with its defaults, no augmentation.
ORIGINAL = Cycle(epochs=10, cutout_probability=0.0)

# Fine-tuning on labels of one's own: low learning rates and small batches, as there may be only a few hundred photos.
OWN = Cycle(epochs=40, peak_lr_scale=0.3, warmup_steps=30, cutout_probability=0.3, label_smoothing=0.05)

CATALOG_EPOCHS = 20
"""Epochs on the mix of the bundle `catalog`."""


def recipe_of(network: NetworkName, epochs: int | None = None, seed: int = Recipe.seed, teachers: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a network for Fashion-MNIST.

    Another number of `epochs` gives a single cycle with the values of the first. With `teachers` every cycle distils. The
    family "plain" has no random shift: its dense layers rely on the position of the product, which is always the same.
    """
    original = CYCLES.get(network, MODERN)
    cycles = _in_epochs(original, epochs)
    if teachers:
        weight = max(cycle.distillation for cycle in original)
        cycles = tuple(replace(cycle, distillation=weight) for cycle in cycles)
    names = tuple(teachers) or TEACHERS.get(network, ("residual",))
    recipe = Recipe(cycles, BATCHES.get(network, Recipe.batch_size), seed=seed, network=network, teachers=names)
    if SHAPES[network].family == "plain":
        recipe = replace(recipe, shift=0, alternating_flip=network not in UNAUGMENTED)
    return recipe


def _in_epochs(cycles: tuple[Cycle, ...], epochs: int | None) -> tuple[Cycle, ...]:
    """Return the cycles, or for another number of epochs a single one with the values of the first."""
    if epochs in (None, sum(cycle.epochs for cycle in cycles)):
        return cycles
    first = cycles[0]
    low = round(epochs * first.low_resolution_epochs / first.epochs)
    return (replace(first, epochs=epochs, low_resolution_epochs=low),)


def override(recipe: Recipe, epochs: int | None = None, seed: int | None = None, teachers: Sequence[str] = ()) -> Recipe:
    """Return the recipe with another number of epochs (as in `recipe_of`), another seed or other teachers.

    Raises `ConfigurationError` for teachers where no cycle distils.
    """
    if teachers and not any(cycle.distillation for cycle in recipe.cycles):
        raise ConfigurationError(
            "No cycle of the recipe distils, so --distill-from has no effect; set its distillation above 0, or omit the option."
        )
    return replace(
        recipe,
        cycles=_in_epochs(recipe.cycles, epochs),
        seed=recipe.seed if seed is None else seed,
        teachers=tuple(teachers) or recipe.teachers,
    )


def original_recipe(network: NetworkName, epochs: int | None = None, seed: int = Recipe.seed) -> Recipe:
    """Return the recipe that a network's own project uses: Adam with a constant learning rate, no augmentation.

    `network` is one of `NETWORKS_WITH_ORIGINAL_RECIPE`.
    """
    return Recipe(
        (replace(ORIGINAL, epochs=epochs or ORIGINAL.epochs),),
        batch_size=32,
        sgd_lr=0.001,
        weight_decay=0.0,
        shift=0,
        ema_decay=0.0,
        optimizer="adam",
        constant_learning_rate=True,
        alternating_flip=False,
        seed=seed,
        network=network,
    )


def catalog_recipe(epochs: int | None = None, seed: int = Recipe.seed) -> Recipe:
    """Return the recipe of `catalog`, for a network that is already trained on Fashion-MNIST.

    A cycle for photos, and one of a fourth of the epochs with lower learning rates and more weight on Fashion-MNIST, against
    forgetting.
    """
    epochs = epochs or CATALOG_EPOCHS
    rehearsal_epochs = epochs // 4
    photos = Cycle(epochs - rehearsal_epochs, peak_lr_scale=0.6, warmup_steps=200, cutout_probability=0.3)
    rehearsal = Cycle(rehearsal_epochs, peak_lr_scale=0.25, warmup_steps=200, cutout_probability=0.3, fashion_mnist_weight=3.0)
    return Recipe((photos, rehearsal) if rehearsal_epochs else (photos,), seed=seed, mix="catalog")


def own_recipe(
    network: NetworkName | None,
    epochs: int | None = None,
    seed: int = Recipe.seed,
    teachers: Sequence[str] = (),
    pretrained: bool = False,
) -> Recipe:
    """Return the recipe for labels of one's own.

    The learning rates are low for a trained network (a bundle's, where `network` is None, or a pretrained one), and full for
    random initial weights.
    """
    peak = OWN.peak_lr_scale if network is None or pretrained else 1.0
    cycle = replace(OWN, epochs=epochs or OWN.epochs, peak_lr_scale=peak, distillation=0.7 if teachers else 0.0)
    return Recipe(
        (cycle,), batch_size=32, class_weighted=True, seed=seed, network=network or "residual", teachers=tuple(teachers)
    )


def with_changes(recipe: Recipe, batch_size: int | None = None, lr: float | None = None) -> Recipe:
    """Return the recipe with another batch size, or another learning rate; Muon's is scaled by the same factor."""
    factor = 1.0 if lr is None else lr / recipe.sgd_lr
    return replace(
        recipe, batch_size=batch_size or recipe.batch_size, sgd_lr=lr or recipe.sgd_lr, muon_lr=factor * recipe.muon_lr
    )


def with_augmentations(recipe: Recipe, names: Collection[Augmentation]) -> Recipe:
    """Return the recipe with exactly these augmentations, each as strong as in the recipe, or by default where it has none."""
    cutout = "cutout" in names
    cycles = tuple(
        replace(cycle, cutout_probability=(cycle.cutout_probability or Cycle.cutout_probability) if cutout else 0.0)
        for cycle in recipe.cycles
    )
    shift = (recipe.shift or Recipe.shift) if "shift" in names else 0
    return replace(recipe, cycles=cycles, shift=shift, alternating_flip="flip" in names)
