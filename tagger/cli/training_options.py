"""Options that `fmtag finetune` and `fmtag retrain` share."""

from collections.abc import Callable
from pathlib import Path

import click

from tagger.cli.options import (
    FOLDER,
    MAX_EPOCHS,
    MAX_SEED,
    Command,
    Finite,
    combined,
    option,
    with_debug,
    with_decoding,
    with_label_column,
    with_source_reading,
    with_training_device,
    with_workers,
)
from tagger.models.config import MAX_ENSEMBLE_MEMBERS
from tagger.training.recipe import AUGMENTATIONS, NETWORKS, TORCHVISION_NETWORKS, Augmentation, Recipe
from tagger.training.settings import TrainSettings


def augmentations(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Augmentation, ...] | None:
    """Return the augmentations in a list with commas; an empty tuple for the word none, None where nothing is given."""
    named = [] if value in (None, "none") else [name.strip() for name in str(value).split(",")]
    for name in named:
        if name not in AUGMENTATIONS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(AUGMENTATIONS)}.", context, parameter)
    return None if value is None else tuple(way for way in AUGMENTATIONS if way in named)


def with_class_weights(default: str) -> Callable[[Command], Command]:
    """Return the option that weights classes; `default` describes what holds where it is not given."""
    return option(
        "--class-weights/--no-class-weights",
        default=None,
        help=f"Weight classes by the inverse of their frequency.  [default: {default}]",
    )


def with_floor(default: str) -> Callable[[Command], Command]:
    """Return the option of the least accuracy; `default` describes what holds where it is not given."""
    return option(
        "--floor",
        type=Finite(0, 1),
        metavar="P",
        help=f"Least held-out accuracy for the bundle to be written.  [default: {default}]",
    )


def with_start(default: str, *more_names: str) -> Callable[[Command], Command]:
    """Return the option of the bundle to start from; `default` describes what holds where it is not given."""
    return option("--from", *more_names, "start", metavar="MODEL", help=f"Bundle to start from.  [default: {default}]")


def with_teachers(default: str) -> Callable[[Command], Command]:
    """Return the option of the bundles to distil from; `default` describes what holds where none is given."""
    return option(
        "--distill-from",
        "teachers",
        multiple=True,
        metavar="MODEL",
        help=f"Bundle to distil from, with the same labels in the same order; may be repeated.  [default: {default}]",
    )


def with_hyperparameters(or_file: str = "") -> Callable[[Command], Command]:
    """Return the options that override a recipe; `or_file` says that the default may be that of a recipe file."""
    return combined(
        option(
            "--epochs", type=click.IntRange(1, MAX_EPOCHS), help="Number of passes over the images.  [default: the recipe's]"
        ),
        option("--batch-size", type=click.IntRange(2, 65536), help="Number of images per step.  [default: the recipe's]"),
        option(
            "--lr",
            type=Finite(0, 1, min_open=True),
            help="Peak learning rate; Muon's is scaled by the same factor.  [default: the recipe's]",
        ),
        option("--seed", type=click.IntRange(0, MAX_SEED), help=f"Random seed.  [default: {Recipe.seed}{or_file}]"),
        option(
            "--augment",
            callback=augmentations,
            metavar="WAY,...",
            help=f"Augmentations: {', '.join(AUGMENTATIONS)} with commas between, or none.  [default: the recipe's]",
        ),
        option(
            "--ensemble",
            type=click.IntRange(1, MAX_ENSEMBLE_MEMBERS),
            metavar="N",
            help="Train N networks with consecutive seeds and merge them into one bundle, N times as large and as slow.  "
            f"[default: {Recipe.ensemble}{or_file}]",
        ),
        option(
            "--patience",
            type=click.IntRange(1, MAX_EPOCHS),
            metavar="N",
            help="Stop when N epochs brought no lower held-out loss, with the weights of the best epoch.",
        ),
    )


with_output_bundle = combined(
    option("--out", type=FOLDER, required=True, metavar="DIR", help="Folder of the new bundle."),
    option("--name", help="Name of the bundle.  [default: that of its folder]"),
)


def with_network(default: str) -> Callable[[Command], Command]:
    """Return the option of the network; `default` describes what holds where none is given."""
    return option("--network", type=click.Choice(NETWORKS), help=f"Network to train from random weights.  [default: {default}]")


with_pretrained = option(
    "--pretrained",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"File of torchvision's weights to start from, for --network {', '.join(TORCHVISION_NETWORKS)}.",
)

with_replacement = combined(
    option(
        "--tolerance",
        type=Finite(0, 1),
        metavar="P",
        default=TrainSettings.tolerance,
        show_default=True,
        help="Share of a class by which the new bundle may be less accurate than the one in the folder.",
    ),
    option("--force", is_flag=True, help="Replace the bundle in the folder even if the new one may be worse."),
    option("--resume", is_flag=True, help="Continue from the checkpoint in the folder."),
)

with_photos_and_device = combined(
    with_source_reading, with_label_column, with_training_device, with_workers, with_decoding, with_debug
)
"""Options of how photos are read, and of the device."""
