"""`fmtag finetune`: train on labelled photos of one's own."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.options import Invocation
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
from tagger.settings import SMALL_MODEL

if TYPE_CHECKING:
    from tagger.training.settings import TrainSettings


@click.command()
@click.argument("photos", type=click.Path(path_type=Path))
@with_output_bundle
@with_start(f"{SMALL_MODEL}; with --network, random weights")
@with_network("none")
@with_pretrained
@with_teachers("none")
@with_hyperparameters()
@with_class_weights("--class-weights")
@with_floor("0")
@with_replacement
@with_photos_and_device
@click.pass_obj
def finetune(invocation: Invocation, /, photos: Path, **options: Any) -> None:
    """Train on PHOTOS, labelled photos of your own, with any labels, and write a bundle.

    PHOTOS is a folder with one subfolder per class, or a table with an image and a label column. About 15 % of the products are
    held out for calibration, and another 15 % are used only for testing. metrics.json, history.csv, test.csv and
    report/report.html are written beside the bundle. A bundle in the folder is replaced only by one that is not worse.
    """
    from tagger.cli.retrain_options import FinetuneOptions, resolve_finetune

    train_on_photos(resolve_finetune(FinetuneOptions(data=photos, **options)), invocation.command)


def train_on_photos(settings: "TrainSettings", command: str) -> None:
    """Train on the labelled photos `settings.data`, write the bundle and its report, and print its metrics.

    `command` is the command line, which the report names.
    """
    from tagger.cli.progress import progress_bar
    from tagger.cli.training_output import print_epoch, report_training
    from tagger.evaluation.evaluate import evaluate
    from tagger.evaluation.settings import EvaluateSettings
    from tagger.models.side_files import TEST
    from tagger.training.finetune import finetune as train
    from tagger.training.finetune import load_photos_to_learn
    from tagger.training.publish import check_destination

    check_destination(settings)
    with progress_bar("photos") as progress:
        photos = load_photos_to_learn(settings, progress)
    trained = train(settings, photos, print_epoch, partial(say, err=True))
    test_photos = EvaluateSettings(
        (str(settings.out / TEST),), model=settings.out, workers=settings.workers, decoding=settings.decoding
    )
    report_training(trained, settings.out, evaluate(test_photos), command)
