"""What `fmtag retrain` was asked for, as the one recipe that it comes to, or in a sentence why it cannot be had."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import click

from tagger.data import fashion_mnist
from tagger.settings import DEFAULT_MODEL, Device
from tagger.training import recipe_file
from tagger.training.recipe import (
    NETWORKS_WITH_ORIGINAL_RECIPE,
    TORCHVISION_NETWORKS,
    Augmentation,
    Mix,
    NetworkName,
    Recipe,
    RecipeName,
)
from tagger.training.recipes import (
    catalog_recipe,
    original_recipe,
    override,
    own_recipe,
    recipe_of,
    with_augmentations,
    with_changes,
)
from tagger.training.settings import TrainSettings


@dataclass(frozen=True)
class RetrainOptions:
    """The options of `fmtag retrain`, by their names; None where one is left to the recipe."""

    out: Path
    name: str | None
    data: Path | None
    mix: Mix
    network: NetworkName | None
    recipe: RecipeName | Path
    lr: float | None
    start: str | None
    pretrained: Path | None
    teachers: tuple[str, ...]
    photos: Path | None
    calibrated_by: str | None
    epochs: int | None
    batch_size: int | None
    seed: int | None
    augment: tuple[Augmentation, ...] | None
    ensemble: int | None
    class_weights: bool | None
    patience: int | None
    floor: float | None
    tolerance: float
    force: bool
    resume: bool
    image_column: str | None
    label_column: str | None
    device: Device
    workers: int | None

    @cached_property
    def own(self) -> bool:
        """Whether it is about labelled photos of one's own."""
        return self.data is not None and not fashion_mnist.contains_fashion_mnist(self.data)


def resolve(asked: RetrainOptions) -> TrainSettings:
    """Return the settings; raises `click.UsageError` where options contradict each other."""
    for sentence in _contradictions(asked):
        raise click.UsageError(sentence)
    recipe, start = _recipe_and_start(asked)
    return TrainSettings(
        out=asked.out,
        recipe=_with_what_was_given(recipe, asked),
        data=asked.data,
        name=asked.name,
        floor=_floor(asked) if asked.floor is None else asked.floor,
        resume=asked.resume,
        start=start,
        pretrained=asked.pretrained,
        photos=asked.photos,
        calibrated_by=asked.calibrated_by,
        tolerance=asked.tolerance,
        force=asked.force,
        image_column=asked.image_column,
        label_column=asked.label_column,
        workers=asked.workers,
        device=asked.device,
    )


def _contradictions(asked: RetrainOptions) -> Iterator[str]:
    """Yield a sentence for each thing that the options ask for and that does not go together."""
    catalog = asked.mix == "catalog"
    if asked.own and (catalog or asked.recipe != "modern" or asked.calibrated_by is not None):
        yield "--mix, --recipe and --calibrated-by are for Fashion-MNIST, not for your own photos."
    if asked.photos is not None and not catalog:
        yield "--photos belongs to --mix catalog; Fashion-MNIST alone is learnt without any."
    if catalog and asked.class_weights:
        yield "--class-weights has no say in --mix catalog, which is made as even as it is to be."
    if asked.network is not None and (asked.start is not None or catalog):
        yield "--network is for training from chance; otherwise the shape is that of the bundle it begins with."
    if asked.teachers and catalog:
        yield "--distill-from belongs to --mix fashion-mnist; the mix has a judge of its own."
    if asked.pretrained is not None and asked.network not in TORCHVISION_NETWORKS:
        yield f"--pretrained is for --network {', '.join(TORCHVISION_NETWORKS)}, whose weights are torchvision's."
    if (asked.ensemble or 1) > 1 and catalog:
        yield "--ensemble belongs to --mix fashion-mnist and to your own photos; catalog is one network."
    if asked.recipe == "original" and (asked.teachers or asked.network not in NETWORKS_WITH_ORIGINAL_RECIPE):
        yield f"--recipe original is for {', '.join(NETWORKS_WITH_ORIGINAL_RECIPE)}, and has no --distill-from."


def _recipe_and_start(asked: RetrainOptions) -> tuple[Recipe, str | None]:
    """Return the recipe in as many epochs as asked for, and what training begins with; None is chance."""
    seed = asked.seed or Recipe.seed
    if asked.own:
        recipe = own_recipe(asked.network, asked.epochs, seed, asked.teachers, asked.pretrained is not None)
        return recipe, asked.start or (None if asked.network else DEFAULT_MODEL)
    if isinstance(asked.recipe, Path):
        return _by_file(asked.recipe, asked)
    if asked.mix == "catalog":
        return catalog_recipe(asked.epochs, seed), asked.start or "residual"
    if asked.recipe == "original":
        return original_recipe(asked.network or "base", asked.epochs, seed), asked.start
    return recipe_of(asked.network or "base", asked.epochs, seed, asked.teachers), asked.start


def _by_file(file: Path, asked: RetrainOptions) -> tuple[Recipe, str | None]:
    written = recipe_file.read(file)
    if asked.mix == "catalog" or asked.network not in (None, written.network):
        raise click.UsageError(f"{file} is a recipe for the network {written.network} and the mix {written.mix}.")
    return override(written, asked.epochs, asked.seed, asked.teachers), asked.start or written.start or None


def _with_what_was_given(recipe: Recipe, asked: RetrainOptions) -> Recipe:
    """Return the recipe with what options say in place of its own."""
    recipe = with_changes(recipe, asked.batch_size, asked.lr)
    if asked.augment is not None:
        recipe = with_augmentations(recipe, asked.augment)
    return replace(
        recipe,
        ensemble=asked.ensemble or recipe.ensemble,
        balanced=recipe.balanced if asked.class_weights is None else asked.class_weights,
        patience=asked.patience or recipe.patience,
    )


def _floor(asked: RetrainOptions) -> float:
    """Return the least held-out accuracy that is expected of what was asked for."""
    if asked.own:
        return 0.0
    return 0.8 if asked.recipe == "original" else 0.9
