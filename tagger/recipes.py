"""The networks that come with fmtag: the shape of each, and the recipe that makes it."""

from collections.abc import Sequence
from dataclasses import replace

from tagger.card import NetworkConfig
from tagger.settings import Cycle, Network, Recipe

SHAPES: dict[Network, NetworkConfig] = {
    "base": NetworkConfig(widths=(48, 64, 72), blocks=(2, 2, 1), stem=32, pooled=True),
    "tiny": NetworkConfig(widths=(24, 32, 56), blocks=(2, 2, 1), stem=16, pooled=True),
    "residual": NetworkConfig(widths=(32, 64, 128)),
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

CYCLES: dict[Network, tuple[Cycle, ...]] = {"base": BASE, "tiny": TINY, "residual": RESIDUAL}

TEACHERS: dict[Network, tuple[str, ...]] = {"base": ("residual", "tiny"), "tiny": ("residual",), "residual": ()}
"""The bundles that teach a network where no others are named."""

CATALOG_EPOCHS = 20
"""Passes over the mix that made the bundle `catalog`."""


def recipe_of(
    network: Network,
    epochs: int | None = None,
    batch_size: int = Recipe.batch_size,
    seed: int = Recipe.seed,
    teachers: Sequence[str] = (),
) -> Recipe:
    """Return the recipe of a network for Fashion-MNIST.

    In another number of epochs it is a single cycle, as its first. Where `teachers` are named, every cycle learns from them.
    """
    cycles = CYCLES[network]
    if epochs not in (None, sum(cycle.epochs for cycle in cycles)):
        first = cycles[0]
        cycles = (replace(first, epochs=epochs, small_epochs=round(epochs * first.small_epochs / first.epochs)),)
    if teachers:
        share = max(cycle.distillation for cycle in CYCLES[network])
        cycles = tuple(replace(cycle, distillation=share) for cycle in cycles)
    taught_by = tuple(teachers) or TEACHERS[network]
    return Recipe(cycles, batch_size, seed=seed, network=network, teachers=taught_by)


def catalog_recipe(epochs: int = CATALOG_EPOCHS, batch_size: int = Recipe.batch_size, seed: int = Recipe.seed) -> Recipe:
    """Return the recipe of `catalog`, for a network that knows Fashion-MNIST already.

    A cycle in which it learns photos, and a gentler one, a fourth of the epochs, in which it recalls Fashion-MNIST.
    """
    recalling = epochs // 4
    learning = Cycle(epochs - recalling, peak=0.6, warmup_steps=200, erase_share=0.3)
    recall = Cycle(recalling, peak=0.25, warmup_steps=200, erase_share=0.3, native_weight=3.0)
    return Recipe((learning, recall) if recalling else (learning,), batch_size=batch_size, seed=seed, mix="catalog")
