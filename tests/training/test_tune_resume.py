"""`fmtag tune` continues an interrupted study to the same result."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from tune_helpers import data as data  # a fixture that is used by its name
from tune_helpers import options_of, settings_for, study_of, timeless
from tune_helpers import searched as searched

from tagger.errors import TuningError
from tagger.training import recipe_file
from tagger.training import tune as tune_module
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.tune import CHECKPOINT_SUFFIX, StudyResult, TrialMetrics, study_beside, tune

WAITING = "in the third trial"

CHILD = f"""
import signal, sys, time
from dataclasses import replace
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
sys.path[:0] = [{str(ROOT / "tests")!r}]
import pytest
import tune_helpers
from tagger.training import tune
from tagger.cli.main import main
tune_helpers.put_in_place(pytest.MonkeyPatch())
own, trainings = tune.train, []

def train(job):
    trainings.append(1)
    def waiting(metrics):
        job.on_epoch(metrics)
        if len(trainings) == 3:
            print({WAITING!r}, flush=True)
            time.sleep(120)
    return own(replace(job, on_epoch=waiting))

tune.train = train
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_interrupted_search_has_the_same_result(
    searched: tuple[Path, StudyResult, list[TrialMetrics]], tmp_path: Path, small_bundle: Path, how: signal.Signals
) -> None:
    """Interrupted in a trial, a search has written the best so far, and continues to exactly the same trials and recipe."""
    settings = settings_for(tmp_path, small_bundle)
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
    notes: list[str] = []
    found = tune(settings, lambda done, best: trials.append(done), notes.append)
    assert [3, 4] == [trial.number for trial in trials]
    assert "2 trials already" in notes[0]
    assert ["recipe.json", "recipe.sqlite"] == sorted(file.name for file in tmp_path.iterdir())
    assert study_of(searched[0]) == study_of(tmp_path)
    assert searched[1].recipe == found.recipe
    assert timeless(searched[2][2:]) == timeless(trials)


class PowerCutError(Exception):
    """What ends a search in the middle of a trial."""


@pytest.mark.slow
def test_the_sampler_continues_after_an_interruption(
    tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the sampler uses earlier trials, and some are pruned, an interrupted search has the same result."""
    trainings = 0

    def quick(job: TrainingJob) -> None:
        nonlocal trainings
        recipe = job.recipe
        trainings += 1
        for epoch in range(1, recipe.epochs + 1):
            loss = recipe.shift + 10 * abs(recipe.sgd_lr - 0.2) / epoch
            job.on_epoch(EpochMetrics(epoch, recipe.epochs, 1.0, 0.5, loss, 0.0, 0.0))
            if trainings == 34:
                raise PowerCutError

    monkeypatch.setattr(tune_module, "train", quick)
    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    straight, stopped = (settings_for(tmp_path / name, small_bundle, trials=20, epochs=3) for name in ("straight", "stopped"))
    trials: list[TrialMetrics] = []
    tune(straight, lambda done, best: trials.append(done))
    assert {"", "behind the others"} == {trial.why for trial in trials}
    with pytest.raises(PowerCutError):  # in the fourteenth of the second
        tune(stopped)
    tune(stopped)
    assert study_of(tmp_path / "straight") == study_of(tmp_path / "stopped")
    assert recipe_file.read(straight.out) == recipe_file.read(stopped.out)


def test_the_study_beside_a_recipe(tmp_path: Path) -> None:
    """It has the recipe's name, shortened where its own files would not fit; beside standard output there is none."""
    assert study_beside(tmp_path / "mine.json") == tmp_path / "mine.sqlite"
    assert len(study_beside(tmp_path / f"{'n' * 250}.json").name) + len(CHECKPOINT_SUFFIX) == 255
    with pytest.raises(TuningError, match=r"/dev/stdout is no file .* give --study FILE.sqlite, too\."):
        study_beside(Path("/dev/stdout"))
