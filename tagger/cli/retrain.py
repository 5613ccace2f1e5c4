"""`fmtag retrain`: train a network on Fashion-MNIST or on the photo mix."""

import os
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import click

from tagger.cli.finetune import train_on_photos
from tagger.cli.options import PLACE, Invocation, option
from tagger.cli.terminal import say
from tagger.cli.training_options import (
    with_class_weights,
    with_floor,
    with_hyperparameters,
    with_network,
    with_output_bundle,
    with_photos_and_device,
    with_pretrained,
    with_replacement,
    with_start,
    with_teachers,
)
from tagger.training.fusion_settings import FusionSettings
from tagger.training.recipe import MIXES, RECIPES, Recipe, RecipeName


def recipe_or_file(context: click.Context, parameter: click.Parameter, value: str) -> RecipeName | Path:
    """Return a recipe's name, or the path of a file that holds one."""
    for name in RECIPES:
        if value == name:
            return name
    if not os.path.isfile(value):  # unlike Path's, false for names that no file can have
        raise click.BadParameter(f"{value!r} is none of {', '.join(RECIPES)}, and no file.", context, parameter)
    return Path(value)


def fuse(settings: FusionSettings) -> None:
    """Learn the fusion of `--backbone`, and print what it is worth on the pictures that calibrate it."""
    from tagger.models.card import bundle_folder
    from tagger.training.fusion import train_fusion

    bundle_folder(str(settings.out))
    written = train_fusion(settings, partial(say, err=True))
    measured = written.card.metrics["calibration"]
    say(
        f"{written.model} is written to {settings.out}: macro accuracy {measured['macro_accuracy']:.3f} on {measured['n']:,} "
        f"photos that calibrate it. Measure it: fmtag evaluate PHOTOS --model {shlex.quote(str(settings.out))}"
    )


@click.command()
@with_output_bundle
@option(
    "--data",
    type=PLACE,
    metavar="SOURCE",
    help="Folder of Fashion-MNIST's four files; or labelled photos, which is the same as `fmtag finetune SOURCE`.",
)
@option("--mix", type=click.Choice(MIXES), default=Recipe.mix, show_default=True, help="Images to train on.")
@option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of labelled photos for --mix catalog, such as the clothing dataset (CC0-1.0).",
)
@option(
    "--backbone",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --mix catalog: fuse the network of --from, unchanged, with this pretrained backbone, instead of training one.",
)
@with_network("base")
@option(
    "--recipe",
    callback=recipe_or_file,
    default="modern",
    show_default=True,
    metavar="modern|original|FILE.json",
    help="Hyperparameters: fmtag's, those of the project that the network comes from, or a file that `fmtag tune` wrote.",
)
@with_start("none; for --mix catalog residual, with --backbone and for labelled photos catalog-small", "--start")
@with_pretrained
@with_teachers("those of the recipe")
@option(
    "--calibrated-by",
    metavar="MODEL",
    help="Train on all 60,000 images, and take temperature and thresholds from a bundle of the same recipe that held some out.",
)
@with_hyperparameters(", or the recipe file's")
@with_class_weights("--no-class-weights; for labelled photos --class-weights")
@with_floor("0.9; for --recipe original 0.8, for labelled photos 0")
@with_replacement
@with_photos_and_device
@click.pass_obj
def retrain(invocation: Invocation, /, **options: Any) -> None:
    """Train a network on Fashion-MNIST or on the photo mix, and write it as a bundle.

    The bundle is calibrated on held-out images and measured on the test set; metrics.json, history.csv and report/report.html
    are written beside it. A bundle in the folder is replaced only by one that is not worse. With labelled photos as --data,
    the command is an alias of `fmtag finetune`. With --backbone only the fusion is fitted, in minutes.
    """
    from tagger.cli.retrain_options import RetrainOptions, resolve, resolve_fusion
    from tagger.cli.training_output import print_epoch, report_training
    from tagger.evaluation.evaluate import evaluate_test_set
    from tagger.evaluation.settings import EvaluateSettings
    from tagger.training.pretrain import pretrain
    from tagger.training.publish import check_destination

    given = RetrainOptions(**options)
    if given.backbone is not None:
        fuse(resolve_fusion(given))
        return
    settings = resolve(given)
    if given.own:
        train_on_photos(settings, invocation.command)
        return
    check_destination(settings, given.recipe if isinstance(given.recipe, Path) else None)
    trained = pretrain(settings, print_epoch, partial(say, err=True))
    test_set = EvaluateSettings((), model=settings.out, data=settings.data)
    report_training(trained, settings.out, evaluate_test_set(test_set), invocation.command)
