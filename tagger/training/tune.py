"""Hyperparameter search: short trials, ranked by the validation loss, in an Optuna study that can be continued."""

import hashlib
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tagger import __version__
from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import TrainingError, TuningError
from tagger.file_names import LONGEST_NAME, with_ending
from tagger.files import remove_leftovers
from tagger.models import bundle
from tagger.models.card import files_of
from tagger.streams import is_stream
from tagger.training import recipe_file
from tagger.training.compatibility import check_teacher
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.recipe import Recipe
from tagger.training.recipes import SHAPES, recipe_of
from tagger.training.search_space import params_to_recipe, recipe_to_params, suggest_recipe
from tagger.training.settings import TuneSettings
from tagger.training.study import (
    check_settings,
    ended_trials,
    exclusive,
    fail_interrupted_trials,
    import_optuna,
    open_study,
)
from tagger.training.trainer import train

if TYPE_CHECKING:
    import optuna

CHECKPOINT_SUFFIX = ".checkpoint.pt"
"""Of the file beside a study that holds the trial that is running."""

WARMUP_DIVISOR = 20
"""The warm-up of a trial takes at most this part of its steps. With the warm-up of a full training, short trials would end
before the peak of the learning rates, and favour rates that are too high."""

Objective = Callable[[Recipe, Callable[[EpochMetrics], None]], None]
"""Trains with a recipe and passes the metrics of each epoch on."""


@dataclass(frozen=True)
class TrialMetrics:
    """Result of a trial: metrics of the averaged network on the validation images after its last epoch."""

    number: int
    """Counted from 1, which is the unchanged recipe; trials that were interrupted do not count."""
    loss: float | None
    """Cross-entropy in nats; None where not even one epoch was completed."""
    accuracy: float | None
    """0..1"""
    epochs: int
    seconds: float
    why: str
    """Why the trial was stopped early; empty where it was not."""


@dataclass(frozen=True)
class StudyResult:
    """Result of a study."""

    recipe: Recipe
    """The network's recipe in all its epochs, with the parameters of the best trial."""
    best: TrialMetrics
    first: TrialMetrics
    """The trial of the unchanged recipe."""
    trials: int
    held_out: int
    """Number of validation images."""


def tune(
    settings: TuneSettings,
    report: Callable[[TrialMetrics, TrialMetrics], None] = lambda done, best: None,
    tell: Callable[[str], None] = lambda text: None,
) -> StudyResult:
    """Run trials until the study has `settings.trials`, and write the recipe of the best one to `settings.out`.

    `report` is called with each trial that ends and the best so far, `tell` with notes for the user. The test set is never
    read. An interrupted search loses only the running trial, and when continued ends with the same result as without the
    interruption. Raises `TuningError` where the study cannot be continued, `LockedError` where another search uses it, and
    `TrainingError` where the unchanged recipe cannot be trained or a teacher has other labels.
    """
    path = settings.study or study_beside(settings.out)
    checkpoint, lock = (Path(f"{path}{end}") for end in (CHECKPOINT_SUFFIX, ".lock"))
    check_output_paths(
        [Output("--out", settings.out), *(Output("--study", file, "database") for file in (path, checkpoint, lock))],
        [
            *(Input("a file of a teacher", file) for name in settings.teachers for file in files_of(name)),
            *fashion_mnist_files(settings.data),
        ],
    )
    import_optuna()
    with exclusive(path, lock):
        full_recipe = recipe_of(settings.network, None, settings.seed, settings.teachers)
        base = _with_short_warmup(
            recipe_of(settings.network, settings.epochs, settings.seed, settings.teachers), settings.images
        )
        teachers = [bundle.load(name) for name in base.teachers]
        for teacher in teachers:
            check_teacher(teacher.model, teacher.card, LABELS)
        images = fashion_mnist.load_fashion_mnist("train", settings.data)
        training, validation = splits.validation_split(images)
        objective = _objective(training.take(_subset(len(training), settings)), validation, teachers, checkpoint)
        for file in (checkpoint, settings.out):
            remove_leftovers(file)
        checkpoint.unlink(missing_ok=True)
        shared = _shared_settings(settings, base, [teacher.model for teacher in teachers], images)
        with open_study(path) as study:
            check_settings(study, shared, path)
            fail_interrupted_trials(study)
            if count := len(ended_trials(study)):
                tell(f"{path} has {count} trials already; the search continues to {max(count, settings.trials)}.")
            while len(ended_trials(study)) < settings.trials:
                done = _run_trial(study, base, objective)
                result = _study_result(study, full_recipe, len(validation))
                report(done, result.best)
                if result.best.number == done.number:
                    _write(settings, result, shared)
            result = _study_result(study, full_recipe, len(validation))
            _write(settings, result, shared)  # again, with the final number of trials
        return result


def _objective(training: Images, validation: Images, teachers: Sequence[bundle.Bundle], checkpoint: Path) -> Objective:
    """Return the function that trains a trial's recipe; its checkpoint does not outlive the trial."""
    networks = [_CachedTeacher(teacher.network()) for teacher in teachers]

    def objective(recipe: Recipe, report: Callable[[EpochMetrics], None]) -> None:
        try:
            shape = SHAPES[recipe.network]
            train(TrainingJob(recipe, shape, training, validation, checkpoint, on_epoch=report, teachers=networks))
        finally:
            checkpoint.unlink(missing_ok=True)

    return objective


def study_beside(out: Path) -> Path:
    """Return the study's file beside a recipe file; raises `TuningError` where that is standard output or the like."""
    if is_stream(out):
        raise TuningError(f"{out} is no file that the trials could be kept beside; give --study FILE.sqlite, too.")
    if not out.name:
        return out
    return out.with_name(with_ending(out.stem, ".sqlite", LONGEST_NAME - len(CHECKPOINT_SUFFIX)))


def _with_short_warmup(recipe: Recipe, images: int) -> Recipe:
    """Return the recipe of a trial, its warm-up limited by `WARMUP_DIVISOR`."""
    first = recipe.cycles[0]
    steps = max(1, first.epochs * images // recipe.batch_size // WARMUP_DIVISOR)
    return replace(recipe, cycles=(replace(first, warmup_steps=min(first.warmup_steps, steps)), *recipe.cycles[1:]))


def _run_trial(study: "optuna.Study", base: Recipe, objective: Objective) -> TrialMetrics:
    """Train with the next recipe, store the outcome in the study, and return it."""
    optuna = import_optuna()
    ended = len(ended_trials(study))
    if not ended and not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        study.enqueue_trial(recipe_to_params(base))
    # One seed per trial, so that an interrupted trial and all after it have the same result as without the interruption.
    study.sampler = optuna.samplers.TPESampler(seed=(base.seed * 1_000_003 + ended) % 2**32)
    trial = study.ask()
    suggest_recipe(trial, base.cycles[0].distillation > 0)
    history: list[EpochMetrics] = []

    def report(metrics: EpochMetrics) -> None:
        history.append(metrics)
        if metrics.held_out_loss is None or not math.isfinite(metrics.held_out_loss):
            raise TrainingError("The held-out loss is no longer a number.")
        trial.report(metrics.held_out_loss, metrics.epoch)
        if metrics.epoch < metrics.epochs and trial.should_prune():
            raise optuna.TrialPruned

    started, stop_reason = time.monotonic(), ""
    try:
        objective(params_to_recipe(base, trial.params), report)
    except optuna.TrialPruned:
        stop_reason = "behind the others"
    except TrainingError as error:
        if not ended:  # without a first trial there is nothing to compare with
            raise
        stop_reason = str(error)
    attributes = {
        "number": ended + 1,
        "accuracy": history[-1].held_out_accuracy if history else None,
        "seconds": time.monotonic() - started,
        "epochs": len(history),
        "why": stop_reason,
    }
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    if stop_reason:
        return _trial_metrics(study.tell(trial, state=optuna.trial.TrialState.PRUNED))
    return _trial_metrics(study.tell(trial, history[-1].held_out_loss))


def _study_result(study: "optuna.Study", full_recipe: Recipe, held_out: int) -> StudyResult:
    """Return the best of the completed trials, the first among equal ones, as a recipe for a full training."""
    trials = ended_trials(study)
    best = min((trial for trial in trials if not trial.user_attrs["why"]), key=lambda trial: trial.value or 0.0)
    recipe = params_to_recipe(full_recipe, best.params)
    return StudyResult(recipe, _trial_metrics(best), _trial_metrics(trials[0]), len(trials), held_out)


def _trial_metrics(trial: "optuna.trial.FrozenTrial") -> TrialMetrics:
    stored = trial.user_attrs
    return TrialMetrics(stored["number"], trial.value, stored["accuracy"], stored["epochs"], stored["seconds"], stored["why"])


def _write(settings: TuneSettings, result: StudyResult, shared: Mapping[str, Any]) -> None:
    """Replace the recipe file by the best recipe so far, with the metrics and settings of the search."""
    optuna = import_optuna()
    metadata = {
        "trials": result.trials,
        "trial": result.best.number,
        "held_out_loss": result.best.loss,
        "held_out_accuracy": result.best.accuracy,
        "n": result.held_out,
        "as_it_stands": {"held_out_loss": result.first.loss, "held_out_accuracy": result.first.accuracy},
        "images": shared["images"],
        "epochs": settings.epochs,
        "study": dict(shared),
        "versions": {
            "fmtag": __version__,
            "torch": torch.__version__,
            "optuna": optuna.__version__,
            "python": platform.python_version(),
        },
    }
    recipe_file.write(settings.out, result.recipe, metadata)


def _subset(count: int, settings: TuneSettings) -> Tensor:
    """Return the indices, of `count` training images, of those that all trials use."""
    # RandomState's stream is frozen by numpy's compatibility policy; torch.randperm's is not.
    return torch.from_numpy(np.random.RandomState(settings.seed).permutation(count)[: settings.images])


class _CachedTeacher(nn.Module):
    """A teacher that computes its outputs for the same images once, in the first trial.

    To compute them again would take longer than a trial of a small network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.outputs: dict[bytes, Tensor] = {}

    def forward(self, pixels: Tensor) -> Tensor:
        key = hashlib.sha256(pixels.numpy().tobytes()).digest()
        if key not in self.outputs:
            self.outputs[key] = self.network(pixels)
        return self.outputs[key]


def _shared_settings(settings: TuneSettings, base: Recipe, teachers: Sequence[str], images: Images) -> dict[str, Any]:
    """Return all settings and data that must be equal for trials to be comparable, as JSON values."""
    data = hashlib.sha256(images.pixels.numpy().tobytes() + images.labels.numpy().tobytes())
    # Teachers by the names of their bundles, not by those that the user gives them.
    recipe = asdict(base) | {"cycles": [asdict(cycle) for cycle in base.cycles], "teachers": []}
    return {
        "network": settings.network,
        "epochs": settings.epochs,
        "images": settings.images,
        "seed": settings.seed,
        "teachers": list(teachers),
        "data": data.hexdigest(),
        "recipe": recipe,
    }
