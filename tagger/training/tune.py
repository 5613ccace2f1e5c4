"""Search for a better recipe: short trials, judged on what is held out, in a study that can be gone on with."""

import hashlib
import math
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import LedgerError, LockedError, TrainingError, TuningError
from tagger.files import remove_leftovers
from tagger.lock import file_lock
from tagger.models import bundle
from tagger.models.card import files_of
from tagger.training import recipe_file
from tagger.training.compatibility import check_teacher
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.recipe import Recipe
from tagger.training.recipes import SHAPES, recipe_of
from tagger.training.settings import TuneSettings
from tagger.training.trainer import train

if TYPE_CHECKING:
    import optuna

STUDY = "fmtag"
"""The study's name in its file."""

OF_CYCLE = ("erase_share", "erase_side", "label_smoothing", "distillation")
"""What is searched of the first cycle; all else is the recipe's own."""

WARMUP = 20
"""Share of a trial's steps, as a divisor, in which the learning rates rise at most: with the warm-up of a full training, short
trials would end before the peak, and find rates that are too high."""

PRUNED_FROM = 2
"""The first epoch after which a trial that is behind may end."""


@dataclass(frozen=True)
class TrialMetrics:
    """How a trial ended: figures of its last epoch, by the averaged weights, on the held-out images."""

    number: int
    """Counted from 1, which is the recipe as it stands; trials that were interrupted do not count."""
    loss: float | None
    """Cross-entropy in nats; None where there was not even one epoch."""
    accuracy: float | None
    epochs: int
    seconds: float
    why: str
    """Why it ended early; empty where it did not."""


@dataclass(frozen=True)
class StudyResult:
    """What a study has found."""

    recipe: Recipe
    """The network's own, in all its epochs, with the values of the best trial."""
    best: TrialMetrics
    first: TrialMetrics
    """The recipe as it stands."""
    trials: int
    held_out: int
    """Images that judged."""


def tune(
    settings: TuneSettings,
    report: Callable[[TrialMetrics, TrialMetrics], None] = lambda done, best: None,
    tell: Callable[[str], None] = lambda text: None,
) -> StudyResult:
    """Go on with the study until it has `settings.trials` trials, and return the best, whose recipe is in `settings.out`.

    `report` gets each trial that ends, and the best so far. The test set is never opened. A study that is stopped loses no more
    than the trial in hand, and ends as if it had not been. Raises `TuningError` where the study cannot be gone on with,
    `LockedError` where another search has it, `TrainingError` where the recipe as it stands cannot be trained or a teacher has
    other labels.
    """
    path = settings.study or (settings.out.with_suffix(".sqlite") if settings.out.name else settings.out)
    checkpoint, lock = (Path(f"{path}.{end}") for end in ("checkpoint.pt", "lock"))
    check_output_paths(
        [Output("--out", settings.out), *(Output("--study", file) for file in (path, checkpoint, lock))],
        [
            *(Input("a file of a teacher", file) for name in settings.teachers for file in files_of(name)),
            *fashion_mnist_files(settings.data),
        ],
    )
    _library()
    with _exclusive(path, lock):
        in_full = recipe_of(settings.network, None, settings.seed, settings.teachers)
        base = _short(recipe_of(settings.network, settings.epochs, settings.seed, settings.teachers), settings.images)
        loaded = [bundle.load(name) for name in base.teachers]
        for teacher in loaded:
            check_teacher(teacher.model, teacher.card, LABELS)
        whole = fashion_mnist.load_fashion_mnist("train", settings.data)
        pictures, held_out = splits.validation_split(whole)
        pictures = pictures.take(_chosen(len(pictures), settings))
        teachers = [_Remembered(teacher.network()) for teacher in loaded]

        def judged(recipe: Recipe, watch: Callable[[EpochMetrics], None]) -> None:
            try:
                shape = SHAPES[recipe.network]
                train(TrainingJob(recipe, shape, pictures, held_out, checkpoint, on_epoch=watch, teachers=teachers))
            finally:
                checkpoint.unlink(missing_ok=True)

        for file in (checkpoint, settings.out):
            remove_leftovers(file)
        checkpoint.unlink(missing_ok=True)
        about = _about(settings, base, [teacher.model for teacher in loaded], whole)
        with _opened(path) as study:
            _check_about(study, about, path)
            _forget_interrupted(study)
            if count := len(_ended(study)):
                tell(f"{path} has {count} trials already; this goes on to {max(count, settings.trials)}.")
            while len(_ended(study)) < settings.trials:
                done = _trial(study, base, judged)
                found = _found(study, in_full, len(held_out))
                report(done, found.best)
                if found.best.number == done.number:
                    _write(settings, found, about)
            found = _found(study, in_full, len(held_out))
            _write(settings, found, about)  # once more, with the number of trials that it is the best of
        return found


def _short(recipe: Recipe, images: int) -> Recipe:
    """Return the recipe of a trial, whose warm-up is no longer than the trial can bear."""
    first = recipe.cycles[0]
    steps = max(1, first.epochs * images // recipe.batch_size // WARMUP)
    return replace(recipe, cycles=(replace(first, warmup_steps=min(first.warmup_steps, steps)), *recipe.cycles[1:]))


def values_of(recipe: Recipe) -> dict[str, Any]:
    """Return what the search would choose, as it stands in a recipe."""
    own = ("muon_lr", "sgd_lr", "weight_decay", "batch_size", "shift", "mirrored")
    first = recipe.cycles[0]
    of_cycle = {name: getattr(first, name) for name in OF_CYCLE if name != "distillation" or first.distillation}
    return {name: getattr(recipe, name) for name in own} | of_cycle


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return a recipe with what the search has chosen, in three digits: more would only look precise."""
    rounded: dict[str, Any] = {
        name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in values.items()
    }
    of_cycle = {name: rounded.pop(name) for name in OF_CYCLE if name in rounded}
    return replace(recipe, cycles=(replace(recipe.cycles[0], **of_cycle), *recipe.cycles[1:]), **rounded)


def suggest(trial: "optuna.trial.BaseTrial", taught: bool) -> None:
    """Choose all that is searched; with `taught`, also the share of what teachers say."""
    trial.suggest_float("muon_lr", 0.004, 0.1, log=True)
    trial.suggest_float("sgd_lr", 0.02, 0.5, log=True)
    trial.suggest_float("weight_decay", 5e-5, 5e-3, log=True)
    trial.suggest_categorical("batch_size", (64, 128, 256))
    trial.suggest_int("shift", 0, 3)
    trial.suggest_categorical("mirrored", (True, False))
    trial.suggest_float("erase_share", 0.0, 0.8)
    trial.suggest_int("erase_side", 5, 17, step=2)  # a square has a middle, so that even sides are the next odd ones
    trial.suggest_float("label_smoothing", 0.0, 0.15)
    if taught:
        trial.suggest_float("distillation", 0.1, 0.95)


def _trial(
    study: "optuna.Study", base: Recipe, judged: Callable[[Recipe, Callable[[EpochMetrics], None]], None]
) -> TrialMetrics:
    """Train by the next recipe, keep in the study how it ended, and return that."""
    optuna = _library()
    ended = len(_ended(study))
    if not ended and not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        study.enqueue_trial(values_of(base))
    # A seed a trial, so that one that was interrupted, and all after it, come out as if it had not been.
    study.sampler = optuna.samplers.TPESampler(seed=(base.seed * 1_000_003 + ended) % 2**32)
    trial = study.ask()
    suggest(trial, base.cycles[0].distillation > 0)
    seen: list[EpochMetrics] = []

    def watch(metrics: EpochMetrics) -> None:
        seen.append(metrics)
        if metrics.held_out_loss is None or not math.isfinite(metrics.held_out_loss):
            raise TrainingError("The held-out loss is no longer a number.")
        trial.report(metrics.held_out_loss, metrics.epoch)
        if metrics.epoch < metrics.epochs and trial.should_prune():
            raise optuna.TrialPruned

    started, why = time.monotonic(), ""
    try:
        judged(with_values(base, trial.params), watch)
    except optuna.TrialPruned:
        why = "behind the others"
    except TrainingError as error:
        if not ended:  # then there would be nothing to compare with
            raise
        why = str(error)
    accuracy = seen[-1].held_out_accuracy if seen else None
    seconds = time.monotonic() - started
    for name, value in {"number": ended + 1, "accuracy": accuracy, "seconds": seconds, "epochs": len(seen), "why": why}.items():
        trial.set_user_attr(name, value)
    if why:
        return _trial_metrics(study.tell(trial, state=optuna.trial.TrialState.PRUNED))
    return _trial_metrics(study.tell(trial, seen[-1].held_out_loss))


def _found(study: "optuna.Study", in_full: Recipe, held_out: int) -> StudyResult:
    """Return the best of the trials that went to their end, of equal ones the first, as a recipe for a full training."""
    trials = _ended(study)
    best = min((trial for trial in trials if not trial.user_attrs["why"]), key=lambda trial: trial.value or 0.0)
    return StudyResult(
        with_values(in_full, best.params), _trial_metrics(best), _trial_metrics(trials[0]), len(trials), held_out
    )


def _ended(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return the trials that count, in their order: all but those that were interrupted."""
    states = _library().trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))


def _trial_metrics(trial: "optuna.trial.FrozenTrial") -> TrialMetrics:
    answers = trial.user_attrs
    return TrialMetrics(
        answers["number"], trial.value, answers["accuracy"], answers["epochs"], answers["seconds"], answers["why"]
    )


def _write(settings: TuneSettings, found: StudyResult, about: Mapping[str, Any]) -> None:
    """Replace the recipe file by the best so far."""
    optuna = _library()
    answers = {
        "trials": found.trials,
        "trial": found.best.number,
        "held_out_loss": found.best.loss,
        "held_out_accuracy": found.best.accuracy,
        "n": found.held_out,
        "as_it_stands": {"held_out_loss": found.first.loss, "held_out_accuracy": found.first.accuracy},
        "images": about["images"],
        "epochs": settings.epochs,
        "study": dict(about),
        "versions": {
            "fmtag": version("fmtag"),
            "torch": torch.__version__,
            "optuna": optuna.__version__,
            "python": platform.python_version(),
        },
    }
    recipe_file.write(settings.out, found.recipe, answers)


def _chosen(count: int, settings: TuneSettings) -> Tensor:
    """Return which of the training images all trials learn."""
    # RandomState's stream is frozen by numpy's compatibility policy; torch.randperm's is not.
    return torch.from_numpy(np.random.RandomState(settings.seed).permutation(count)[: settings.images])


class _Remembered(nn.Module):
    """A teacher that is asked about the same pictures in every trial, and computes its answers in the first alone.

    That would take longer than a trial of a small network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.answers: dict[bytes, Tensor] = {}

    def forward(self, pixels: Tensor) -> Tensor:
        key = hashlib.sha256(pixels.numpy().tobytes()).digest()
        if key not in self.answers:
            self.answers[key] = self.network(pixels)
        return self.answers[key]


def _about(settings: TuneSettings, base: Recipe, teachers: Sequence[str], whole: Images) -> dict[str, Any]:
    """Return what has to be the same for trials to be compared."""
    data = hashlib.sha256(whole.pixels.numpy().tobytes() + whole.labels.numpy().tobytes())
    return {
        "network": settings.network,
        "epochs": settings.epochs,
        "images": settings.images,
        "seed": settings.seed,
        "teachers": list(teachers),
        "data": data.hexdigest(),
        "recipe": _as_json(base),
    }


def _as_json(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as it comes back from a file, with lists, and without the names by which the user calls teachers."""
    cycles = [asdict(cycle) for cycle in recipe.cycles]
    return asdict(recipe) | {"cycles": cycles, "teachers": []}


def _check_about(study: "optuna.Study", about: dict[str, Any], path: Path) -> None:
    """Keep in a new study what its trials share; raises `TuningError` where an older one's is something else."""
    begun = study.user_attrs.get("about")
    if begun is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("about", about)
        return
    others = [name for name in about if begun is None or begun.get(name) != about[name]]
    named = [f"{name} {begun.get(name)}, not {about[name]}" for name in others if begun and name not in ("data", "recipe")]
    if others:
        raise TuningError(
            f"The study {path} was begun with other settings ({'; '.join(named or others)}); give the same ones, or another "
            "--study."
        )


def _forget_interrupted(study: "optuna.Study") -> None:
    """Mark the trial that was in hand when a search was killed as failed, so that it is made again."""
    states = _library().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)


@contextmanager
def _exclusive(path: Path, lock: Path) -> Iterator[None]:
    """Let no other search have the study while the block lasts."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lock, option="--study"))
        except LockedError as error:
            raise LockedError(f"Another search goes on in {path}; wait for its end, or stop it.") from error
        except LedgerError as error:
            raise TuningError(str(error)) from error
        yield


@contextmanager
def _opened(path: Path) -> "Iterator[optuna.Study]":
    """Give the study in a file, made where there is none; whatever is wrong with the file is one sentence."""
    optuna = _library()
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    _refuse_others(path)
    try:
        url = URL.create("sqlite", database=str(path.resolve())).render_as_string()
        try:
            storage = optuna.storages.RDBStorage(url)
        except RuntimeError as error:
            raise TuningError(f"{path} is another Optuna's; give --study another file.") from error
        try:
            yield optuna.create_study(
                storage=storage,
                study_name=STUDY,
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_warmup_steps=PRUNED_FROM),
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (SQLAlchemyError, optuna.exceptions.OptunaError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TuningError(f"The study {path} cannot be read or written ({reason}); give --study another file.") from error


def _refuse_others(path: Path) -> None:
    """Raise `TuningError` for a file that is no study: Optuna would build its tables into any SQLite file."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as file:
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise TuningError(f"{path} is no study, or damaged ({error}); give --study another file.") from error
    if tables and tables.isdisjoint(("studies", "version_info")):
        raise TuningError(f"{path} is no study, but another SQLite file; give --study another.")


def _library() -> Any:
    """Return Optuna, kept from logging; raises `TuningError` where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise TuningError("The search needs Optuna; install it with pip install 'fmtag[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
