"""`fmtag tune`: studies of short trials on synthetic images, and the recipe file that they write."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import exit_code
from recipe_helpers import refusal
from tune_helpers import HELD_OUT, options_of, optuna, settings_for, study_of
from tune_helpers import data as data  # a fixture that is used by its name
from tune_helpers import searched as searched

from tagger.errors import TrainingError
from tagger.models import bundle
from tagger.training import recipe_file
from tagger.training import tune as tune_module
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.recipes import recipe_of
from tagger.training.search_space import params_to_recipe, recipe_to_params
from tagger.training.tune import StudyResult, TrialMetrics, tune


def test_a_search_writes_the_best_recipe(searched: tuple[Path, StudyResult, list[TrialMetrics]], small_bundle: Path) -> None:
    """The file is the network's recipe in all its epochs with the best trial's parameters, and the metrics of the search."""
    folder, found, trials = searched
    assert [1, 2, 3, 4] == [trial.number for trial in trials]
    complete = [trial for trial in trials if not trial.why]
    assert found.best == min(complete, key=lambda trial: trial.loss or 0)
    assert found.recipe == recipe_file.read(folder / "recipe.json")
    unchanged = recipe_of("linear-conv", teachers=(str(small_bundle),))
    assert unchanged == params_to_recipe(found.recipe, recipe_to_params(unchanged))
    metadata = json.loads((folder / "recipe.json").read_text())["found"]
    assert (4, found.best.number, HELD_OUT, 1_000, 2) == tuple(
        metadata[name] for name in ("trials", "trial", "n", "images", "epochs")
    )
    assert (found.best.loss, found.best.accuracy) == (metadata["held_out_loss"], metadata["held_out_accuracy"])
    assert [bundle.load(str(small_bundle)).model] == metadata["study"]["teachers"]


def test_the_first_trial_is_the_unchanged_recipe(searched: tuple[Path, StudyResult, list[TrialMetrics]]) -> None:
    """Trial 1 has the unchanged recipe's parameters, as a baseline; all other trials have different ones."""
    folder, found, trials = searched
    params = [values for _, values, _ in study_of(folder)]
    assert recipe_to_params(recipe_of("linear-conv", 2)) == params[0]
    assert len({json.dumps(values) for values in params}) == len(trials)
    assert found.first == trials[0]


def test_only_recipe_and_study_remain(searched: tuple[Path, StudyResult, list[TrialMetrics]]) -> None:
    """A search leaves the recipe and the study: no checkpoint, no lock."""
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in searched[0].iterdir())


def test_the_loss_is_the_held_out_loss_of_the_last_epoch(tmp_path: Path, small_bundle: Path) -> None:
    """A trial's loss is the held-out loss of the averaged network after the last epoch; its warm-up is short."""
    last: list[EpochMetrics] = []

    def watched(job: TrainingJob) -> Any:
        assert 1 <= job.recipe.cycles[0].warmup_steps < 2 * 300 // 64
        result = own(job)
        last.append(result[1][-1])
        return result

    with pytest.MonkeyPatch.context() as patch:
        own = tune_module.train
        patch.setattr(tune_module, "train", watched)
        found = tune(settings_for(tmp_path, small_bundle, trials=1))
    assert (last[0].held_out_loss, last[0].held_out_accuracy) == (found.best.loss, found.best.accuracy)


def test_teachers_compute_their_outputs_once(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second trial reuses the outputs of the teacher for the same images."""
    calls: list[int] = []
    own = bundle.Bundle.network

    def counted(loaded: bundle.Bundle) -> Any:
        network = own(loaded)
        network.register_forward_hook(lambda *_: calls.append(1))
        return network

    monkeypatch.setattr(bundle.Bundle, "network", counted)
    tune(settings_for(tmp_path, small_bundle, trials=3))
    assert 2 == len(calls)  # the images, and their mirror images


@pytest.mark.slow
def test_a_trial_that_is_behind_is_pruned(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruned trial counts, is not the best, has its reason, and leaves no checkpoint."""
    pruner = optuna.pruners.PercentilePruner(0.1, n_startup_trials=1)
    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **_: pruner)
    trials: list[TrialMetrics] = []
    found = tune(settings_for(tmp_path, small_bundle, trials=5), lambda done, best: trials.append(done))
    pruned = [trial for trial in trials if trial.why]
    assert pruned
    assert {("behind the others", 1)} == {(trial.why, trial.epochs) for trial in pruned}
    assert not found.best.why
    assert 5 == found.trials
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in tmp_path.iterdir())


def failing_at(numbers: set[int], error: Exception) -> Callable[..., Any]:
    """Return a `train` that fails in the trainings of these numbers, counted from 1."""
    own, count = tune_module.train, 0

    def train(job: TrainingJob) -> Any:
        nonlocal count
        count += 1
        if count in numbers:
            raise error
        return own(job)

    return train


def test_a_trial_that_cannot_be_trained_counts(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial whose loss is not a number ends, and the search continues; if the unchanged recipe fails, so does the search."""
    trials: list[TrialMetrics] = []
    monkeypatch.setattr(tune_module, "train", failing_at({2}, TrainingError("The loss is no longer a number.")))
    tune(settings_for(tmp_path, small_bundle, trials=3), lambda done, best: trials.append(done))
    assert ["", "The loss is no longer a number.", ""] == [trial.why for trial in trials]
    assert trials[1].loss is None
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(tune_module, "train", failing_at({1}, TrainingError("The loss is no longer a number.")))
    refusal(TrainingError, lambda: tune(settings_for(tmp_path / "other", small_bundle)))
    assert not (tmp_path / "other" / "recipe.json").exists()


def test_more_trials_continue_the_study(searched: tuple[Path, StudyResult, list[TrialMetrics]], tmp_path: Path) -> None:
    """The same command with more trials runs the missing ones; with no more it runs none, and has the same result."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "more"))
    teacher = Path(searched[1].recipe.teachers[0])
    trials: list[TrialMetrics] = []
    again = tune(settings_for(folder, teacher), lambda done, best: trials.append(done))
    assert [] == trials
    assert searched[1] == again
    assert 5 == tune(settings_for(folder, teacher, trials=5), lambda done, best: trials.append(done)).trials
    assert [5] == [trial.number for trial in trials]


def test_the_command_prints_each_trial_and_the_gain(
    tmp_path: Path, small_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line per trial on standard error and none of Optuna's; at the end the best, the gain, and the command that trains."""
    out = tmp_path / "my recipe #1?.json"
    assert 0 == exit_code(*options_of(replace(settings_for(tmp_path, small_bundle, trials=3), out=out)))
    printed = capfd.readouterr()
    lines = printed.err.splitlines()
    assert ["trial 1/3", "trial 2/3", "trial 3/3"] == [line.split("  ")[0] for line in lines]
    assert lines[0].endswith("the recipe as it stands")
    best = min(float(line.split("loss ")[1].split()[0]) for line in lines)
    assert f"best {best:.4f}" in lines[-1]
    assert f"held-out loss {best:.4f}" in printed.out
    assert "as it stands" in printed.out
    assert f"fmtag retrain --recipe '{out}' --out my-linear-conv" in printed.out
