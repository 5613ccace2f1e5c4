"""The networks that come with fmtag: the shape of each, and the recipe that makes it."""

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
    # The one of TensorFlow's and Keras's tutorials.
    "conv-32-64": NetworkConfig((32, 64), pooled=True, family="plain", norms=False, dense=(128,), dropout=0.25),
    # A search by hand over six models: the deepest of them, pooled, and the smallest, with strides, for devices.
    "deep-pool": NetworkConfig((32, 64, 128), blocks=2, pooled=True, family="plain", norms=False, dense=(128,), dropout=0.3),
    "strided": NetworkConfig((16, 32, 64), family="plain", norms=False, dense=(64,), dropout=0.1),
    # The one of PyTorch's tutorials.
    "conv-dropout": NetworkConfig((32,), pooled=True, family="plain", norms=False, dense=(128,), dropout=0.3),
    # VGG's idea (Simonyan and Zisserman 2014, arXiv 1409.1556), small, with batch norms.
    "three-block": NetworkConfig((32, 64, 128), pooled=True, family="plain", dense=(256,), dropout=0.15),
    "resnet18": NetworkConfig(family="resnet18"),
    "mobilenet-v3": NetworkConfig(family="mobilenet-v3"),
    "efficientnet-b0": NetworkConfig(family="efficientnet-b0"),
}

RESIDUAL = (
    Cycle(epochs=44, small_epochs=16, label_smoothing=0.05),
    # A gentler second one (SGDR, arXiv 1608.03983), on harder pictures now that the easy ones are known.
    Cycle(epochs=40, peak=0.5, erase_share=0.75, erase_side=15),
    # The third also learns what the ends of the first two say together, which is more than either knows.
    Cycle(epochs=28, peak=0.5, distillation=0.7),
)

# One long cycle each, from teachers that know already which pictures have something to teach: an hour or two on two cores.
BASE = (Cycle(epochs=110, small_epochs=44, distillation=0.7, easy_share=0.3),)
TINY = (Cycle(epochs=130, small_epochs=50, distillation=0.7, easy_share=0.3),)

# What networks that others have drawn get from us: a good teacher, and pictures moved, mirrored and cut out.
MODERN = (Cycle(epochs=30, distillation=0.7, easy_share=0.3),)

# Those of them that are too small to know every picture both ways and with holes: all of them, and as they are.
SMALL = (Cycle(epochs=30, distillation=0.7, erase_share=0.0),)
UNCHANGED: tuple[NetworkName, ...] = ("linear-conv", "conv-dropout", "strided")

# One that goes on learning for longer than they do.
LONGER = (replace(MODERN[0], epochs=90),)

BATCHES: dict[NetworkName, int] = {"resnet18": 256}
"""Sizes of batches that are not `Recipe`'s: with eleven million weights, Muon's step costs more than a small one's pictures."""

CYCLES: dict[NetworkName, tuple[Cycle, ...]] = {
    "base": BASE,
    "tiny": TINY,
    "residual": RESIDUAL,
    "three-block": LONGER,
    **dict.fromkeys(UNCHANGED, SMALL),
}
"""Of the networks that have a recipe of their own; the others have `MODERN`."""

TEACHERS: dict[NetworkName, tuple[str, ...]] = {"base": ("residual", "tiny"), "residual": ()}
"""The bundles that teach a network where no others are named; most are taught by `residual`."""

# As their projects state it, or as tutorials do where they do not: Adam as it comes, pictures as they are.
ORIGINAL = Cycle(epochs=10, erase_share=0.0)

# A shop's own labels, for a network that knows products already: gently, in small batches, as there may be a few hundred.
OWN = Cycle(epochs=40, peak=0.3, warmup_steps=30, erase_share=0.3, label_smoothing=0.05)

CATALOG_EPOCHS = 20
"""Passes over the mix that made the bundle `catalog`."""


def recipe_of(network: NetworkName, epochs: int | None = None, seed: int = Recipe.seed, teachers: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a network for Fashion-MNIST.

    In another number of epochs it is a single cycle, as its first. Where `teachers` are named, every cycle learns from them.
    Pictures are not moved for the family "plain", whose dense layers know where a product lies, as it always does.
    """
    whole = CYCLES.get(network, MODERN)
    cycles = _in_epochs(whole, epochs)
    if teachers:
        share = max(cycle.distillation for cycle in whole)
        cycles = tuple(replace(cycle, distillation=share) for cycle in cycles)
    taught_by = tuple(teachers) or TEACHERS.get(network, ("residual",))
    recipe = Recipe(cycles, BATCHES.get(network, Recipe.batch_size), seed=seed, network=network, teachers=taught_by)
    if SHAPES[network].family == "plain":
        recipe = replace(recipe, shift=0, mirrored=network not in UNCHANGED)
    return recipe


def _in_epochs(cycles: tuple[Cycle, ...], epochs: int | None) -> tuple[Cycle, ...]:
    """Return the cycles as they are, or in another number of epochs a single one, as the first."""
    if epochs in (None, sum(cycle.epochs for cycle in cycles)):
        return cycles
    first = cycles[0]
    return (replace(first, epochs=epochs, small_epochs=round(epochs * first.small_epochs / first.epochs)),)


def override(recipe: Recipe, epochs: int | None = None, seed: int | None = None, teachers: Sequence[str] = ()) -> Recipe:
    """Return the recipe with what is given in place of its own: epochs as in `recipe_of`, the seed, and who teaches.

    Raises `ConfigurationError` for teachers where no cycle has a share for what they say.
    """
    if teachers and not any(cycle.distillation for cycle in recipe.cycles):
        raise ConfigurationError("The recipe learns nothing from --distill-from; give a cycle of it a share of distillation.")
    return replace(
        recipe,
        cycles=_in_epochs(recipe.cycles, epochs),
        seed=recipe.seed if seed is None else seed,
        teachers=tuple(teachers) or recipe.teachers,
    )


def original_recipe(network: NetworkName, epochs: int | None = None, seed: int = Recipe.seed) -> Recipe:
    """Return the recipe that the project of a network has, of those in `ORIGINALS`: Adam, and pictures as they are."""
    return Recipe(
        (replace(ORIGINAL, epochs=epochs or ORIGINAL.epochs),),
        batch_size=32,
        sgd_lr=0.001,
        weight_decay=0.0,
        shift=0,
        averaging=0.0,
        optimizer="adam",
        steady=True,
        mirrored=False,
        seed=seed,
        network=network,
    )


def catalog_recipe(epochs: int | None = None, seed: int = Recipe.seed) -> Recipe:
    """Return the recipe of `catalog`, for a network that knows Fashion-MNIST already.

    A cycle in which it learns photos, and a gentler one, a fourth of the epochs, in which it recalls Fashion-MNIST.
    """
    epochs = epochs or CATALOG_EPOCHS
    recalling = epochs // 4
    learning = Cycle(epochs - recalling, peak=0.6, warmup_steps=200, erase_share=0.3)
    recall = Cycle(recalling, peak=0.25, warmup_steps=200, erase_share=0.3, native_weight=3.0)
    return Recipe((learning, recall) if recalling else (learning,), seed=seed, mix="catalog")


def own_recipe(
    network: NetworkName | None,
    epochs: int | None = None,
    seed: int = Recipe.seed,
    teachers: Sequence[str] = (),
    pretrained: bool = False,
) -> Recipe:
    """Return the recipe for labels of one's own: a gentle one for what has learnt already, a bundle's network or a
    pretrained one, and steeper for a network from chance.
    """
    peak = OWN.peak if network is None or pretrained else 1.0
    cycle = replace(OWN, epochs=epochs or OWN.epochs, peak=peak, distillation=0.7 if teachers else 0.0)
    return Recipe((cycle,), batch_size=32, balanced=True, seed=seed, network=network or "residual", teachers=tuple(teachers))


def with_changes(recipe: Recipe, batch_size: int | None = None, lr: float | None = None) -> Recipe:
    """Return the recipe with another size of batches, or other learning rates, all in the same proportion."""
    share = 1.0 if lr is None else lr / recipe.sgd_lr
    return replace(
        recipe, batch_size=batch_size or recipe.batch_size, sgd_lr=lr or recipe.sgd_lr, muon_lr=share * recipe.muon_lr
    )


def with_augmentations(recipe: Recipe, ways: Collection[Augmentation]) -> Recipe:
    """Return the recipe with just these ways to change pictures, as far as it goes in each, else as far as most recipes do."""
    cutout = "cutout" in ways
    cycles = tuple(
        replace(cycle, erase_share=(cycle.erase_share or Cycle.erase_share) if cutout else 0.0) for cycle in recipe.cycles
    )
    shift = (recipe.shift or Recipe.shift) if "shift" in ways else 0
    return replace(recipe, cycles=cycles, shift=shift, mirrored="flip" in ways)
