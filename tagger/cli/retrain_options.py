"""Resolve the options of `fmtag retrain` and `fmtag finetune` into training settings; reject contradictory ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import click

from tagger.catalog.settings import SourceSettings
from tagger.data import fashion_mnist
from tagger.photos.settings import DecodeSettings
from tagger.settings import SMALL_MODEL, Device
from tagger.training import recipe_file
from tagger.training.fusion_settings import FusionSettings
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

FLOOR = 0.9
"""Least held-out accuracy on Fashion-MNIST, well below what any modern recipe reaches."""

FLOOR_OF_ORIGINAL_RECIPES = 0.8


@dataclass(frozen=True)
class TrainingOptions:
    """The options that `fmtag finetune` and `fmtag retrain` share; None where one is left to the recipe."""

    out: Path
    name: str | None
    network: NetworkName | None
    lr: float | None
    start: str | None
    pretrained: Path | None
    teachers: tuple[str, ...]
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
    reading: SourceSettings
    label_column: str | None
    device: Device
    workers: int | None
    decoding: DecodeSettings


@dataclass(frozen=True)
class FinetuneOptions(TrainingOptions):
    """The options of `fmtag finetune`."""

    data: Path
    """Labelled photos: a folder or a table."""


@dataclass(frozen=True)
class RetrainOptions(TrainingOptions):
    """The options of `fmtag retrain`."""

    data: Path | None
    mix: Mix
    recipe: RecipeName | Path
    photos: Path | None
    calibrated_by: str | None
    backbone: Path | None

    @cached_property
    def own(self) -> bool:
        """Whether the data are labelled photos, as for `fmtag finetune`."""
        return self.data is not None and not fashion_mnist.contains_fashion_mnist(self.data)


def resolve_finetune(options: FinetuneOptions) -> TrainSettings:
    """Return the settings of a training on labelled photos; raises `click.UsageError` where options contradict each other."""
    if fashion_mnist.contains_fashion_mnist(options.data):
        raise click.UsageError(f"{options.data} holds Fashion-MNIST, not photos; use `fmtag retrain --data` for it.")
    if options.network is not None and options.start is not None:
        raise click.UsageError("--network starts from random weights and --from from those of a bundle; give one of them.")
    _check_pretrained(options)
    seed = options.seed or Recipe.seed
    recipe = own_recipe(options.network, options.epochs, seed, options.teachers, options.pretrained is not None)
    start = options.start or (None if options.network else SMALL_MODEL)
    return _settings(options, recipe, start, options.data, floor=0.0)


def resolve(options: RetrainOptions) -> TrainSettings:
    """Return the settings of a training on Fashion-MNIST, on the mix, or on labelled photos as `resolve_finetune` does.

    Raises `click.UsageError` where options contradict each other.
    """
    if options.own:
        return resolve_finetune(_as_finetune(options))
    for sentence in _contradictions(options):
        raise click.UsageError(sentence)
    _check_pretrained(options)
    recipe, start = _recipe_and_start(options)
    floor = FLOOR_OF_ORIGINAL_RECIPES if options.recipe == "original" else FLOOR
    settings = _settings(options, recipe, start, options.data, floor)
    return replace(settings, photos=options.photos, calibrated_by=options.calibrated_by)


def resolve_fusion(options: RetrainOptions) -> FusionSettings:
    """Return the settings of `--backbone`; raises `click.UsageError` where options do not apply or are missing."""
    if options.mix != "catalog" or options.photos is None:
        raise click.UsageError("--backbone needs --mix catalog and --photos DIR; add them.")
    given = [name for name in _OF_TRAINING if getattr(options, name) not in (None, (), False)]
    given += ["recipe"] if options.recipe != "modern" else []
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{names} does not apply with --backbone, which trains no network; leave it out.")
    return FusionSettings(
        out=options.out,
        backbone=options.backbone or Path(),
        photos=options.photos,
        start=options.start or SMALL_MODEL,
        data=options.data,
        name=options.name,
        seed=options.seed or Recipe.seed,
    )


_OF_TRAINING = (
    "network",
    "lr",
    "pretrained",
    "epochs",
    "batch_size",
    "augment",
    "ensemble",
    "class_weights",
    "patience",
    "floor",
    "resume",
    "calibrated_by",
)
"""Options that train a network."""


def _as_finetune(options: RetrainOptions) -> FinetuneOptions:
    """Return the same options as those of `fmtag finetune`, which has none that apply to Fashion-MNIST only."""
    if options.mix != "fashion-mnist" or options.recipe != "modern" or options.photos or options.calibrated_by is not None:
        raise click.UsageError(
            "--mix, --recipe, --photos and --calibrated-by do not apply to labelled photos of your own; leave them out."
        )
    values = {name: value for name, value in vars(options).items() if name in FinetuneOptions.__dataclass_fields__}
    return FinetuneOptions(**values)


def _contradictions(options: RetrainOptions) -> Iterator[str]:
    """Yield a sentence for each combination of options for Fashion-MNIST and the mix that cannot be had."""
    catalog = options.mix == "catalog"
    if options.photos is not None and not catalog:
        yield "--photos applies to --mix catalog only; add that, or leave --photos out."
    if catalog and options.class_weights:
        yield "--class-weights does not apply to --mix catalog, which is already balanced."
    if options.network is not None and (options.start is not None or catalog):
        yield "--network starts from random weights, --from and --mix catalog from those of a bundle; give one of them."
    if options.teachers and catalog:
        yield "--distill-from does not apply to --mix catalog, whose soft targets come from the mix itself; leave it out."
    if (options.ensemble or 1) > 1 and catalog:
        yield "--ensemble does not apply to --mix catalog, which is one network; leave it out."
    if options.recipe == "original" and (options.teachers or options.network not in NETWORKS_WITH_ORIGINAL_RECIPE):
        names = ", ".join(NETWORKS_WITH_ORIGINAL_RECIPE)
        yield f"--recipe original needs --network with one of {names}, and no --distill-from."


def _check_pretrained(options: TrainingOptions) -> None:
    if options.pretrained is not None and options.network not in TORCHVISION_NETWORKS:
        raise click.UsageError(f"--pretrained needs --network with one of {', '.join(TORCHVISION_NETWORKS)}.")


def _recipe_and_start(options: RetrainOptions) -> tuple[Recipe, str | None]:
    """Return the recipe with the wanted epochs, and the bundle to start from; None for random weights."""
    seed = options.seed or Recipe.seed
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
        raise click.UsageError(
            f"{file} is a recipe for the network {written.network} and the mix {written.mix}; leave --network and --mix out."
        )
    return override(written, options.epochs, options.seed, options.teachers), options.start or written.start or None


def _settings(options: TrainingOptions, recipe: Recipe, start: str | None, data: Path | None, floor: float) -> TrainSettings:
    """Return the settings; `floor` is that of the data where no option gives another."""
    return TrainSettings(
        out=options.out,
        recipe=_overridden(recipe, options),
        data=data,
        name=options.name,
        floor=floor if options.floor is None else options.floor,
        resume=options.resume,
        start=start,
        pretrained=options.pretrained,
        tolerance=options.tolerance,
        force=options.force,
        reading=options.reading,
        label_column=options.label_column,
        workers=options.workers,
        decoding=options.decoding,
        device=options.device,
    )


def _overridden(recipe: Recipe, options: TrainingOptions) -> Recipe:
    """Return the recipe with the values of options in place of its own."""
    recipe = with_changes(recipe, options.batch_size, options.lr)
    if options.augment is not None:
        recipe = with_augmentations(recipe, options.augment)
    return replace(
        recipe,
        ensemble=options.ensemble or recipe.ensemble,
        class_weighted=recipe.class_weighted if options.class_weights is None else options.class_weights,
        patience=options.patience or recipe.patience,
    )
