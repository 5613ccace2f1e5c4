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


def resolve(options: RetrainOptions) -> TrainSettings:
    """Return the settings; raises `click.UsageError` where options contradict each other."""
    for sentence in _contradictions(options):
        raise click.UsageError(sentence)
    recipe, start = _recipe_and_start(options)
    return TrainSettings(
        out=options.out,
        recipe=_with_what_was_given(recipe, options),
        data=options.data,
        name=options.name,
        floor=_floor(options) if options.floor is None else options.floor,
        resume=options.resume,
        start=start,
        pretrained=options.pretrained,
        photos=options.photos,
        calibrated_by=options.calibrated_by,
        tolerance=options.tolerance,
        force=options.force,
        image_column=options.image_column,
        label_column=options.label_column,
        workers=options.workers,
        device=options.device,
    )


def _contradictions(options: RetrainOptions) -> Iterator[str]:
    """Yield a sentence for each thing that the options ask for and that does not go together."""
    catalog = options.mix == "catalog"
    if options.own and (catalog or options.recipe != "modern" or options.calibrated_by is not None):
        yield "--mix, --recipe and --calibrated-by are for Fashion-MNIST, not for your own photos."
    if options.photos is not None and not catalog:
        yield "--photos belongs to --mix catalog; Fashion-MNIST alone is learnt without any."
    if catalog and options.class_weights:
        yield "--class-weights has no say in --mix catalog, which is made as even as it is to be."
    if options.network is not None and (options.start is not None or catalog):
        yield "--network is for training from chance; otherwise the shape is that of the bundle it begins with."
    if options.teachers and catalog:
        yield "--distill-from belongs to --mix fashion-mnist; the mix has a judge of its own."
    if options.pretrained is not None and options.network not in TORCHVISION_NETWORKS:
        yield f"--pretrained is for --network {', '.join(TORCHVISION_NETWORKS)}, whose weights are torchvision's."
    if (options.ensemble or 1) > 1 and catalog:
        yield "--ensemble belongs to --mix fashion-mnist and to your own photos; catalog is one network."
    if options.recipe == "original" and (options.teachers or options.network not in NETWORKS_WITH_ORIGINAL_RECIPE):
        yield f"--recipe original is for {', '.join(NETWORKS_WITH_ORIGINAL_RECIPE)}, and has no --distill-from."


def _recipe_and_start(options: RetrainOptions) -> tuple[Recipe, str | None]:
    """Return the recipe in as many epochs as asked for, and what training begins with; None is chance."""
    seed = options.seed or Recipe.seed
    if options.own:
        recipe = own_recipe(options.network, options.epochs, seed, options.teachers, options.pretrained is not None)
        return recipe, options.start or (None if options.network else DEFAULT_MODEL)
    if isinstance(options.recipe, Path):
        return _by_file(options.recipe, options)
    if options.mix == "catalog":
        return catalog_recipe(options.epochs, seed), options.start or "residual"
    if options.recipe == "original":
        return original_recipe(options.network or "base", options.epochs, seed), options.start
    return recipe_of(options.network or "base", options.epochs, seed, options.teachers), options.start


def _by_file(file: Path, options: RetrainOptions) -> tuple[Recipe, str | None]:
    written = recipe_file.read(file)
    if options.mix == "catalog" or options.network not in (None, written.network):
        raise click.UsageError(f"{file} is a recipe for the network {written.network} and the mix {written.mix}.")
    return override(written, options.epochs, options.seed, options.teachers), options.start or written.start or None


def _with_what_was_given(recipe: Recipe, options: RetrainOptions) -> Recipe:
    """Return the recipe with what options say in place of its own."""
    recipe = with_changes(recipe, options.batch_size, options.lr)
    if options.augment is not None:
        recipe = with_augmentations(recipe, options.augment)
    return replace(
        recipe,
        ensemble=options.ensemble or recipe.ensemble,
        class_weighted=recipe.class_weighted if options.class_weights is None else options.class_weights,
        patience=options.patience or recipe.patience,
    )


def _floor(options: RetrainOptions) -> float:
    """Return the least held-out accuracy that is expected of what was asked for."""
    if options.own:
        return 0.0
    return 0.8 if options.recipe == "original" else 0.9
