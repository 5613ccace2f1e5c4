"""`fmtag tune`: search for better hyperparameters."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.exit_codes import EXIT_SIGNAL
from tagger.cli.options import FILE, MAX_EPOCHS, MAX_SEED, option, with_debug, with_fashion_mnist
from tagger.cli.terminal import say
from tagger.cli.training_options import with_teachers
from tagger.errors import Interrupted
from tagger.training.recipe import NETWORKS
from tagger.training.settings import TuneSettings

if TYPE_CHECKING:
    from tagger.training.tune import StudyResult, TrialMetrics


@click.command()
@option("--out", type=FILE, required=True, metavar="FILE.json", help="Recipe file to write.")
@option("--network", type=click.Choice(NETWORKS), default=TuneSettings.network, show_default=True, help="Network to train.")
@option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    default=TuneSettings.trials,
    show_default=True,
    help="Total number of trials, earlier ones included.",
)
@option(
    "--epochs",
    type=click.IntRange(1, MAX_EPOCHS),
    default=TuneSettings.epochs,
    show_default=True,
    help="Number of passes over the images per trial.",
)
@option(
    "--images",
    type=click.IntRange(1_000, 55_000),
    default=TuneSettings.images,
    show_default=True,
    help="Number of training images per trial, the same in all trials, chosen by the seed.",
)
@option("--seed", type=click.IntRange(0, MAX_SEED), default=TuneSettings.seed, show_default=True, help="Random seed.")
@with_teachers("those of the network's recipe")
@option("--study", type=FILE, metavar="FILE.sqlite", help="File of the trials.  [default: beside --out, same name]")
@with_fashion_mnist
@with_debug
def tune(**options: Any) -> int:
    """Search for better hyperparameters by short trials, and write the best as a file for `fmtag retrain --recipe`.

    The defaults are for two cores: a small network, few epochs, a third of the images. Learning rates, weight decay, batch
    size, shifts, mirroring, cutout, label smoothing and the weight of distillation are searched. The objective is the loss on
    5,000 held-out training images; the test set is never opened. The same command, run again, continues the study. Exit code
    4: another search is using it.
    """
    from tagger.signals import SignalGuard
    from tagger.training.tune import tune as search

    settings = TuneSettings(**options)
    try:
        with SignalGuard().listening():
            found = search(settings, lambda done, best: print_trial(done, best, settings.trials), partial(say, err=True))
    except Interrupted as stop:
        say("Interrupted; the trials that have ended are kept, and the same command goes on after them.", err=True)
        return EXIT_SIGNAL + stop.signal
    print_tuned(found, settings.out)
    return 0


def print_trial(done: "TrialMetrics", best: "TrialMetrics", trials: int) -> None:
    """Print one line on standard error: a trial that has ended, and the best so far."""
    metrics = "" if done.loss is None else f"loss {done.loss:.4f}  accuracy {done.accuracy:.4f}  "
    early = f"  ended after epoch {done.epochs}: {done.why}" if done.why else ""
    own = "  the recipe as it stands" if done.number == 1 else ""
    say(
        f"trial {done.number}/{trials}  {metrics}{done.seconds:.0f} s  best {best.loss:.4f} (trial {best.number}){early}{own}",
        err=True,
    )


def print_tuned(found: "StudyResult", out: Path) -> None:
    """Print the best of a study, how much better it is than the recipe as it stands, and the command that trains with it."""
    best, first = found.best, found.first
    say(
        f"best of {found.trials}: trial {best.number}, held-out loss {best.loss:.4f}, accuracy {best.accuracy:.4f}, "
        f"n = {found.held_out:,}"
    )
    if best.number == first.number:
        say("That is the recipe as it stands: no trial was better.")
    else:
        less, more = (first.loss or 0) - (best.loss or 0), (best.accuracy or 0) - (first.accuracy or 0)
        say(
            f"The recipe as it stands: {first.loss:.4f}, {first.accuracy:.4f}. "
            f"The loss is {less:.4f} lower, the accuracy {more:+.4f}."
        )
    command = shlex.join(["fmtag", "retrain", "--recipe", str(out), "--out", f"my-{found.recipe.network}"])
    say(f"Train by it, in {found.recipe.epochs} epochs: {command}")
