"""`fmtag tune`: real studies of short trials on made-up pictures, stopped and gone on with, and the recipe file they write."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROOT, save_bundle

from tagger.cli.main import main
from tagger.cli.retrain_options import RetrainOptions, resolve
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.splits import validation_split
from tagger.errors import ConfigurationError, FmtagError, LockedError, OutputError, TrainingError, TuningError
from tagger.lock import file_lock
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.training import recipe_file
from tagger.training import tune as tune_room
from tagger.training.recipe import NETWORKS, NETWORKS_WITH_ORIGINAL_RECIPE, Cycle, NetworkName, Recipe
from tagger.training.recipes import original_recipe, override, recipe_of
from tagger.training.settings import TuneSettings
from tagger.training.trainer import EpochMetrics
from tagger.training.tune import StudyResult, TrialMetrics, suggest, tune, values_of, with_values

optuna = pytest.importorskip("optuna")

HELD_OUT, IMAGES = 100, 400
"""Fewer than a search asks for, which then has all of them."""


def bars(count: int) -> Images:
    """Return noisy pictures with a bright bar in the place of their class."""
    labels = np.arange(count) % 10
    pixels = np.random.default_rng(0).integers(0, 120, (count, 1, 28, 28), np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def training_images(split: str, folder: Path | None = None) -> Images:
    """Stand for `dataset.fashion_mnist`, whose test set no search may open."""
    assert split == "train"
    return bars(HELD_OUT + IMAGES)


def put_in_place(patch: pytest.MonkeyPatch) -> None:
    """Put the made-up pictures in Fashion-MNIST's place; one thread, as more only wait for each other."""
    patch.setattr(fashion_mnist, "load_fashion_mnist", training_images)
    patch.setattr(splits, "validation_split", lambda pictures: validation_split(pictures, HELD_OUT))
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Made-up pictures, in one thread."""
    before = torch.get_num_threads()
    put_in_place(monkeypatch)
    yield
    torch.set_num_threads(before)


def asked(folder: Path, teacher: Path, **more: Any) -> TuneSettings:
    """Return the settings of a search that takes seconds, whose recipe is `recipe.json` in the folder."""
    options = {"network": "linear-conv", "trials": 4, "epochs": 2, "images": 1_000, "teachers": (str(teacher),)} | more
    return TuneSettings(folder / "recipe.json", **options)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, small_bundle: Path) -> tuple[Path, StudyResult, list[TrialMetrics]]:
    """The folder of a search that nothing has interrupted, what it found, and its trials."""
    folder, trials = tmp_path_factory.mktemp("searched"), []
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch)
        found = tune(asked(folder, small_bundle), lambda done, best: trials.append(done))
    return folder, found, trials


def study_of(folder: Path) -> list[tuple[str, dict[str, Any], float | None]]:
    """Return state, parameters and loss of each trial in a folder's study that was not interrupted."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'recipe.sqlite'}")
    trials = optuna.load_study(study_name="fmtag", storage=storage).trials
    storage.engine.dispose()
    return [(trial.state.name, trial.params, trial.value) for trial in trials if trial.state.name != "FAIL"]


def timeless(trials: list[TrialMetrics]) -> list[TrialMetrics]:
    return [replace(trial, seconds=0) for trial in trials]


def said_by(wrong: type[FmtagError], call: Callable[[], object]) -> str:
    """Return the one sentence with which something is refused."""
    with pytest.raises(wrong) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def command(*arguments: str | Path) -> int:
    """Return the exit code of the command, called in this process."""
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    return int(caught.value.code or 0)


# The search


def test_a_search_writes_the_best_recipe(searched: tuple[Path, StudyResult, list[TrialMetrics]], small_bundle: Path) -> None:
    """The file is the network's recipe in all its epochs, with the best trial's values, and says how that was found."""
    folder, found, trials = searched
    assert [1, 2, 3, 4] == [trial.number for trial in trials]
    complete = [trial for trial in trials if not trial.why]
    assert found.best == min(complete, key=lambda trial: trial.loss or 0)
    assert found.recipe == recipe_file.read(folder / "recipe.json")
    as_it_stands = recipe_of("linear-conv", teachers=(str(small_bundle),))
    assert as_it_stands == with_values(found.recipe, values_of(as_it_stands))
    said = json.loads((folder / "recipe.json").read_text())["found"]
    assert (4, found.best.number, HELD_OUT, 1_000, 2) == tuple(
        said[name] for name in ("trials", "trial", "n", "images", "epochs")
    )
    assert (found.best.loss, found.best.accuracy) == (said["held_out_loss"], said["held_out_accuracy"])
    assert [bundle.load(str(small_bundle)).model] == said["study"]["teachers"]


def test_the_first_trial_is_the_recipe_as_it_stands(searched: tuple[Path, StudyResult, list[TrialMetrics]]) -> None:
    """Trial 1 has the present recipe's values, so that what is found is always compared with it; the others have their own."""
    folder, found, trials = searched
    tried = [values for _, values, _ in study_of(folder)]
    assert values_of(recipe_of("linear-conv", 2)) == tried[0]
    assert len({json.dumps(values) for values in tried}) == len(trials)
    assert found.first == trials[0]


def test_nothing_else_is_left(searched: tuple[Path, StudyResult, list[TrialMetrics]]) -> None:
    """Recipe and study are all that a search leaves: no checkpoint, no lock."""
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in searched[0].iterdir())


def test_the_loss_is_the_averaged_networks_on_what_is_held_out(tmp_path: Path, small_bundle: Path) -> None:
    """A trial's loss is the last epoch's held-out loss of a training by its recipe, whose warm-up a trial can bear."""
    last: list[EpochMetrics] = []

    def watched(recipe: Recipe, *given: Any, report: Any, **more: Any) -> Any:
        assert 1 <= recipe.cycles[0].warmup_steps < 2 * 300 // 64
        result = own(recipe, *given, report=report, **more)
        last.append(result[1][-1])
        return result

    with pytest.MonkeyPatch.context() as patch:
        own = tune_room.train
        patch.setattr(tune_room, "train", watched)
        found = tune(asked(tmp_path, small_bundle, trials=1))
    assert (last[0].held_out_loss, last[0].held_out_accuracy) == (found.best.loss, found.best.accuracy)


def test_teachers_are_asked_once(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second trial does not compute again what the teacher says of the same pictures."""
    asks: list[int] = []
    own = bundle.Bundle.network

    def counted(loaded: bundle.Bundle) -> Any:
        network = own(loaded)
        network.register_forward_hook(lambda *_: asks.append(1))
        return network

    monkeypatch.setattr(bundle.Bundle, "network", counted)
    tune(asked(tmp_path, small_bundle, trials=3))
    assert 2 == len(asks)  # the pictures, and their mirror images


@pytest.mark.parametrize("network", NETWORKS)
def test_every_recipe_lies_within_what_is_searched(network: NetworkName) -> None:
    """The values of each network's recipe, with teachers or without, are among those that a trial may choose."""
    for recipe in (recipe_of(network, 4), recipe_of(network, 4, teachers=("residual",)), recipe_of(network)):
        values = values_of(recipe)
        study = optuna.create_study()
        study.enqueue_trial(values)
        trial = study.ask()
        suggest(trial, bool(recipe.cycles[0].distillation))
        assert values == trial.params
        assert recipe == with_values(recipe, values)


def test_a_trial_that_is_behind_ends_early(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruned trial counts, is not the best, says why, and leaves no checkpoint."""
    pruner = optuna.pruners.PercentilePruner(0.1, n_startup_trials=1)
    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **_: pruner)
    trials: list[TrialMetrics] = []
    found = tune(asked(tmp_path, small_bundle, trials=5), lambda done, best: trials.append(done))
    pruned = [trial for trial in trials if trial.why]
    assert pruned
    assert {("behind the others", 1)} == {(trial.why, trial.epochs) for trial in pruned}
    assert not found.best.why
    assert 5 == found.trials
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in tmp_path.iterdir())


def failing_at(numbers: set[int], error: Exception) -> Callable[..., Any]:
    """Return a `train` that fails in the trainings of these numbers, counted from 1."""
    own, count = tune_room.train, 0

    def train(*given: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count in numbers:
            raise error
        return own(*given, **more)

    return train


def test_a_trial_that_cannot_be_trained_counts(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial whose loss is no number ends, and the search goes on; where the recipe as it stands fails, so does the search."""
    trials: list[TrialMetrics] = []
    monkeypatch.setattr(tune_room, "train", failing_at({2}, TrainingError("The loss is no longer a number.")))
    tune(asked(tmp_path, small_bundle, trials=3), lambda done, best: trials.append(done))
    assert ["", "The loss is no longer a number.", ""] == [trial.why for trial in trials]
    assert trials[1].loss is None
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(tune_room, "train", failing_at({1}, TrainingError("The loss is no longer a number.")))
    said_by(TrainingError, lambda: tune(asked(tmp_path / "other", small_bundle)))
    assert not (tmp_path / "other" / "recipe.json").exists()


# Stopped, and gone on with


WAITING = "in the third trial"

CHILD = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "training")!r}]
import pytest
import test_tune
from tagger.training import tune
from tagger.cli.main import main
test_tune.put_in_place(pytest.MonkeyPatch())
own, trainings = tune.train, []

def train(*given, report, **more):
    trainings.append(1)
    def waiting(figures):
        report(figures)
        if len(trainings) == 3:
            print({WAITING!r}, flush=True)
            time.sleep(120)
    return own(*given, report=waiting, **more)

tune.train = train
main()
"""


def options_of(settings: TuneSettings) -> list[str]:
    """Return the command line of a search."""
    named = {"network": settings.network, "trials": settings.trials, "epochs": settings.epochs, "out": settings.out}
    named |= {"images": settings.images, "distill-from": settings.teachers[0]}
    return ["tune", *(str(part) for name, value in named.items() for part in (f"--{name}", value))]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_stopped_search_ends_as_if_it_had_not_been(
    searched: tuple[Path, StudyResult, list[TrialMetrics]], tmp_path: Path, small_bundle: Path, how: signal.Signals
) -> None:
    """Stopped in a trial, a search has the best of those before in its file, and goes on to the very same trials and recipe."""
    settings = asked(tmp_path, small_bundle)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *options_of(settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == WAITING
        before = recipe_file.read(settings.out)
        child.send_signal(how)
        errors = child.communicate(timeout=60)[1]
    assert ["trial 1/4", "trial 2/4"] == [line.split("  ")[0] for line in errors.splitlines()[:2]]
    if how == signal.SIGINT:
        assert 130 == child.returncode
        assert errors.splitlines()[2].startswith("Interrupted; the trials that have ended are kept")
        assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in tmp_path.iterdir())
    assert before == recipe_file.read(settings.out)
    trials: list[TrialMetrics] = []
    told: list[str] = []
    found = tune(settings, lambda done, best: trials.append(done), told.append)
    assert [3, 4] == [trial.number for trial in trials]
    assert "2 trials already" in told[0]
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in tmp_path.iterdir())
    assert study_of(searched[0]) == study_of(tmp_path)
    assert searched[1].recipe == found.recipe
    assert timeless(searched[2][2:]) == timeless(trials)


class PowerCutError(Exception):
    """What ends a search in the middle of a trial."""


@pytest.mark.slow
def test_what_is_learnt_of_earlier_trials_outlives_a_stop(
    tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the trials before are what the next is chosen by, and some are pruned, a stopped search ends like another too."""
    trainings = 0

    def quick(recipe: Recipe, *given: Any, report: Any, **more: Any) -> None:
        nonlocal trainings
        trainings += 1
        for epoch in range(1, recipe.epochs + 1):
            loss = recipe.shift + 10 * abs(recipe.sgd_lr - 0.2) / epoch
            report(EpochMetrics(epoch, recipe.epochs, 1.0, 0.5, loss, 0.0, 0.0))
            if trainings == 34:
                raise PowerCutError

    monkeypatch.setattr(tune_room, "train", quick)
    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    straight, stopped = (asked(tmp_path / name, small_bundle, trials=20, epochs=3) for name in ("straight", "stopped"))
    trials: list[TrialMetrics] = []
    tune(straight, lambda done, best: trials.append(done))
    assert {"", "behind the others"} == {trial.why for trial in trials}
    with pytest.raises(PowerCutError):  # in the fourteenth of the second
        tune(stopped)
    tune(stopped)
    assert study_of(tmp_path / "straight") == study_of(tmp_path / "stopped")
    assert recipe_file.read(straight.out) == recipe_file.read(stopped.out)


def test_more_trials_go_on_with_the_study(searched: tuple[Path, StudyResult, list[TrialMetrics]], tmp_path: Path) -> None:
    """The same command with more trials makes those that are lacking; with no more, none, and it says the same again."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "more"))
    teacher = Path(searched[1].recipe.teachers[0])
    trials: list[TrialMetrics] = []
    again = tune(asked(folder, teacher), lambda done, best: trials.append(done))
    assert [] == trials
    assert searched[1] == again
    assert 5 == tune(asked(folder, teacher, trials=5), lambda done, best: trials.append(done)).trials
    assert [5] == [trial.number for trial in trials]


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"network": "conv-dropout"}, "network linear-conv, not conv-dropout"),
        ({"epochs": 3}, "epochs 2, not 3"),
        ({"images": 200}, "images 1000, not 200"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"teachers": ("tiny",)}, "teachers"),
        ({}, "data"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_refused(
    searched: tuple[Path, StudyResult, list[TrialMetrics]],
    tmp_path: Path,
    small_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    part: str,
) -> None:
    """A study whose trials would not compare is refused in a sentence that says what is another, and stays as it was."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    if part == "data":
        monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(HELD_OUT + IMAGES - 10))
    said = said_by(TuningError, lambda: tune(asked(folder, small_bundle, trials=9, **changed)))
    assert str(folder / "recipe.sqlite") in said
    assert f"({part}" in said
    assert study_of(searched[0]) == study_of(folder)
    assert (searched[0] / "recipe.json").read_bytes() == (folder / "recipe.json").read_bytes()


def test_two_searches_do_not_meet(tmp_path: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study that another search has is refused with exit code 4, in a sentence that names it."""
    with file_lock(tmp_path / "recipe.sqlite.lock"):
        assert str(tmp_path / "recipe.sqlite") in said_by(LockedError, lambda: tune(asked(tmp_path, small_bundle)))
        assert 4 == command(*options_of(asked(tmp_path, small_bundle)))
    assert "Another search" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["ledger", "noise"])
def test_a_file_that_is_no_study_is_left_alone(tmp_path: Path, small_bundle: Path, content: str) -> None:
    """Another SQLite file, or none, given as --study is refused and keeps its bytes."""
    study = tmp_path / "study.sqlite"
    ledger = (ROOT / "tests" / "fixtures" / "ledger-1.sqlite").read_bytes()
    study.write_bytes(ledger if content == "ledger" else b"no database at all" * 99)
    before = study.read_bytes()
    assert str(study) in said_by(TuningError, lambda: tune(asked(tmp_path, small_bundle, study=study)))
    assert before == study.read_bytes()


def test_places_that_cannot_be_are_refused_at_once(tmp_path: Path, small_bundle: Path) -> None:
    """A recipe in no folder, a study in none, and both in one file, are refused before the first trial."""
    said_by(OutputError, lambda: tune(asked(tmp_path / "none", small_bundle)))
    said_by(OutputError, lambda: tune(asked(tmp_path, small_bundle, study=tmp_path / "none" / "study.sqlite")))
    said_by(OutputError, lambda: tune(asked(tmp_path, small_bundle, study=tmp_path / "recipe.json")))
    assert [] == list(tmp_path.iterdir())


def test_a_missing_optuna_is_named(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Optuna the message is the command that installs it, and nothing is written."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'fmtag[tune]'" in said_by(TuningError, lambda: tune(asked(tmp_path, small_bundle)))
    assert [] == list(tmp_path.iterdir())


def test_the_command_says_each_trial_and_what_was_gained(
    tmp_path: Path, small_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line a trial on standard error and none of Optuna's; at the end the best, the gain, and how to train by it."""
    out = tmp_path / "my recipe #1?.json"
    assert 0 == command(*options_of(replace(asked(tmp_path, small_bundle, trials=3), out=out)))
    said = capfd.readouterr()
    lines = said.err.splitlines()
    assert ["trial 1/3", "trial 2/3", "trial 3/3"] == [line.split("  ")[0] for line in lines]
    assert lines[0].endswith("the recipe as it stands")
    best = min(float(line.split("loss ")[1].split()[0]) for line in lines)
    assert f"best {best:.4f}" in lines[-1]
    assert f"held-out loss {best:.4f}" in said.out
    assert "as it stands" in said.out
    assert f"fmtag retrain --recipe '{out}' --out my-linear-conv" in said.out


# The recipe file


def written(path: Path, recipe: Recipe | None = None) -> dict[str, Any]:
    """Write a recipe file and return its content, to be changed."""
    recipe_file.write(path, recipe or recipe_of("tiny"), {"trials": 3})
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("network", NETWORKS)
def test_a_recipe_comes_back_as_it_was(tmp_path: Path, network: NetworkName) -> None:
    """What is written is read, the same to the last digit, for all that fmtag trains by."""
    recipes = [recipe_of(network), recipe_of(network, 3, 7), replace(recipe_of(network), sgd_lr=0.1 + 0.2)]
    for recipe in [*recipes, original_recipe(network)] if network in NETWORKS_WITH_ORIGINAL_RECIPE else recipes:
        recipe_file.write(tmp_path / "recipe.json", recipe, {})
        assert recipe == recipe_file.read(tmp_path / "recipe.json")


def test_every_number_has_its_limits() -> None:
    """No number of a recipe is taken unchecked."""
    numbers = {field.name for kind in (Cycle, Recipe) for field in fields(kind) if field.type in (int, float)}
    assert numbers == set(recipe_file.LIMITS)


def test_a_person_may_edit(tmp_path: Path) -> None:
    """Whole numbers for others, no word on how it was found, and a mark at the file's beginning do no harm."""
    path = tmp_path / "recipe.json"
    content = written(path)
    content["recipe"]["cycles"][0]["peak_lr_scale"] = 1
    del content["found"]
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert recipe_of("tiny") == recipe_file.read(path)
    assert isinstance(recipe_file.read(path).cycles[0].peak_lr_scale, float)


@pytest.mark.parametrize(
    ("at", "value", "part"),
    [
        ("sgd_lr", "fast", 'recipe.sgd_lr must be a number, not "fast"'),
        ("sgd_lr", True, "recipe.sgd_lr must be a number, not true"),
        ("sgd_lr", -0.1, "recipe.sgd_lr must be from"),
        ("sgd_lr", float("nan"), "recipe.sgd_lr must be from"),
        ("sgd_lr", float("inf"), "recipe.sgd_lr must be from"),
        ("sgd_lr", 10**400, "recipe.sgd_lr must be from"),
        ("batch_size", 64.0, "recipe.batch_size must be a whole number, not 64.0"),
        ("batch_size", 0, "recipe.batch_size must be from 2"),
        ("mirrored", 1, "recipe.alternating_flip must be true or false, not 1"),
        ("network", "huge", "recipe.network must be one of base, tiny"),
        ("network", ["tiny"], "recipe.network must be one of base, tiny"),
        ("optimizer", None, "recipe.optimizer must be one of muon, sgd, adam, not null"),
        ("mix", "catalog", "recipe.mix must be 'fashion-mnist'"),
        ("teachers", "residual", "recipe.teachers must be a list"),
        ("teachers", [1], "recipe.teachers[0] must be a text"),
        ("teachers", [], "recipe.cycles cannot be trained with"),
        ("cycles", [], "recipe.cycles cannot be trained with"),
        ("cycles", [3], "recipe.cycles[0] must be an object"),
        ("momentum", 0.9, "recipe.momentum is unknown"),
        ("shift", ..., "recipe.shift is missing"),
        (0, {"epochs": 0}, "recipe.cycles[0].epochs must be from 1"),
        (0, {"low_resolution_epochs": 131}, "recipe.cycles[0].low_resolution_epochs must not be more than"),
        (0, {"warmup_steps": 0}, "recipe.cycles[0].warmup_steps must be from 1"),
        (0, {"cutout_probability": 1.5}, "recipe.cycles[0].cutout_probability must be from 0 to 1, not 1.5"),
        (0, {"eraser": 1}, "recipe.cycles[0].eraser is unknown"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, at: str | int, value: Any, part: str) -> None:
    """A field that is missing, unknown, of another type or impossible is one sentence that names the file and the field."""
    path = tmp_path / "recipe.json"
    content = written(path)
    recipe = content["recipe"]
    if value is ...:
        del recipe[at]
    elif isinstance(at, int):
        recipe["cycles"][at] |= value
    else:
        recipe[at] = value
    path.write_text(json.dumps(content))
    said = said_by(ConfigurationError, lambda: recipe_file.read(path))
    assert said.startswith(f"{path}: {part}")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "as JSON"),
        ("{'kind': 1}", "as JSON"),
        ("[" * 100_000, "as JSON"),
        ("[]", "is no recipe"),
        ('{"kind": "fmtag-bundle", "format": 1}', "is no recipe"),
        ('{"kind": "fmtag-recipe", "format": 2}', "newer fmtag"),
        ('{"kind": "fmtag-recipe", "format": true, "recipe": {}}', "format must be 1"),
        ('{"kind": "fmtag-recipe", "recipe": {}}', "format must be 1"),
        ('{"kind": "fmtag-recipe", "format": 1}', "recipe is missing"),
        ('{"kind": "fmtag-recipe", "format": 1, "recipe": {}, "recipes": 1}', "recipes is unknown"),
        ('{"kind": "fmtag-recipe", "format": 1, "recipe": 7}', "recipe must be an object, not 7"),
    ],
    ids=range(11),
)
def test_other_files_are_refused(tmp_path: Path, content: str, part: str) -> None:
    """What is no recipe file, or a newer one, is refused in one sentence that names it."""
    path = tmp_path / "recipe.json"
    path.write_text(content)
    said = said_by(ConfigurationError, lambda: recipe_file.read(path))
    assert said.startswith(str(path))
    assert part in said
    said_by(ConfigurationError, lambda: recipe_file.read(tmp_path))


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A recipe for a folder that is not there is one sentence."""
    said_by(OutputError, lambda: recipe_file.write(tmp_path / "none" / "recipe.json", recipe_of("tiny"), {}))


# Training by a recipe file


@pytest.fixture
def with_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `retrain` have its test set."""
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(HELD_OUT + IMAGES))


def one_cycle(teacher: Path) -> Recipe:
    return Recipe(
        (Cycle(4, low_resolution_epochs=2, distillation=0.4),), 50, network="linear-conv", teachers=(str(teacher),), seed=5
    )


@pytest.mark.usefixtures("with_test_set")
def test_retrain_trains_by_the_file(tmp_path: Path, small_bundle: Path) -> None:
    """The bundle's card has the file's recipe; what is given beside the file comes before it, and all else stays."""
    other = save_bundle(tmp_path / "other", NetworkConfig(widths=(8, 16), blocks=1))
    path, recipe = tmp_path / "recipe.json", one_cycle(small_bundle)
    recipe_file.write(path, recipe, {})
    base = ("retrain", "--recipe", path, "--floor", 0)
    assert 0 == command(*base, "--out", tmp_path / "one")
    expected = json.loads(json.dumps(written(path, recipe)["recipe"])) | {"teachers": [bundle.load(str(small_bundle)).model]}
    card = bundle.load(str(tmp_path / "one")).card
    assert expected == {name: card.recipe[name] for name in expected}
    assert "plain" == card.network.family
    beside = (
        "--epochs",
        2,
        "--seed",
        0,
        "--batch-size",
        100,
        "--lr",
        0.05,
        "--network",
        "linear-conv",
        "--distill-from",
        other,
    )
    assert 0 == command(*base, *beside, "--out", tmp_path / "two")
    card = bundle.load(str(tmp_path / "two")).card
    cycle = expected["cycles"][0] | {"epochs": 2, "low_resolution_epochs": 1}
    changed = {"cycles": [cycle], "seed": 0, "batch_size": 100, "sgd_lr": 0.05, "muon_lr": 0.01}
    expected |= changed | {"teachers": [bundle.load(str(other)).model]}
    assert expected == {name: card.recipe[name] for name in expected}


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (["--network", "tiny"], 2, "recipe for the network linear-conv"),
        (["--mix", "catalog"], 2, "the mix fashion-mnist"),
        (["--recipe", "nowhere.json"], 2, "'nowhere.json' is none of modern, original, and no file"),
        (["--recipe", "broken.json"], 1, "broken.json cannot be read as JSON"),
    ],
)
def test_what_does_not_go_with_a_file_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    part: str,
) -> None:
    """Another network or mix than the file's, no file, or a broken one: one sentence, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    recipe_file.write(Path("recipe.json"), replace(one_cycle(Path("tiny"))), {})
    Path("broken.json").write_text("{")
    assert code == command("retrain", "--recipe", "recipe.json", "--out", "new", *options)
    assert part in capsys.readouterr().err.strip().splitlines()[-1]
    assert not Path("new").exists()


@pytest.mark.parametrize(("ensemble", "members"), [(None, 3), (1, 1), (2, 2)])
def test_a_files_ensemble_may_be_overruled(tmp_path: Path, ensemble: int | None, members: int) -> None:
    """A file's number of networks holds where none is asked for, and one may be asked for as well as several."""
    file = tmp_path / "recipe.json"
    recipe_file.write(file, replace(one_cycle(Path("tiny")), ensemble=3), {})
    left_open = dict.fromkeys(field.name for field in fields(RetrainOptions))
    asked = RetrainOptions(
        **left_open | {"out": tmp_path, "mix": "fashion-mnist", "recipe": file, "ensemble": ensemble, "teachers": ()}
    )
    assert members == resolve(asked).recipe.ensemble


def test_teachers_need_a_share() -> None:
    """Teachers beside a recipe that has no share for them would teach nothing, and are refused; with one they are taken."""
    said_by(ConfigurationError, lambda: override(Recipe((Cycle(2),)), teachers=("tiny",)))
    recipe = Recipe((Cycle(2, distillation=0.5),), teachers=("residual",))
    assert replace(recipe, teachers=("tiny",)) == override(recipe, teachers=("tiny",))
    assert recipe == override(recipe)
