"""Study files: which are opened, which are refused, and who may use them at a time."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, exit_code
from recipe_helpers import refusal, with_earlier_names
from tune_helpers import HELD_OUT, IMAGES, bars, options_of, optuna, settings_for, study_of
from tune_helpers import data as data  # a fixture that is used by its name
from tune_helpers import searched as searched

from tagger.data import fashion_mnist
from tagger.errors import LockedError, OutputError, TuningError
from tagger.lock import file_lock
from tagger.training.tune import StudyResult, TrialMetrics, tune


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
    """A study with other settings is refused in a sentence that says which differ, and stays unchanged."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    if part == "data":
        monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(HELD_OUT + IMAGES - 10))
    message = refusal(TuningError, lambda: tune(settings_for(folder, small_bundle, trials=9, **changed)))
    assert str(folder / "recipe.sqlite") in message
    assert f"({part}" in message
    assert study_of(searched[0]) == study_of(folder)
    assert (searched[0] / "recipe.json").read_bytes() == (folder / "recipe.json").read_bytes()


def test_a_study_is_used_by_one_search_at_a_time(
    tmp_path: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study in use by another search is refused with exit code 4, in a sentence that names it."""
    with file_lock(tmp_path / "recipe.sqlite.lock"):
        assert str(tmp_path / "recipe.sqlite") in refusal(LockedError, lambda: tune(settings_for(tmp_path, small_bundle)))
        assert 4 == exit_code(*options_of(settings_for(tmp_path, small_bundle)))
    assert "Another search" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["ledger", "noise"])
def test_other_files_are_left_unchanged(tmp_path: Path, small_bundle: Path, content: str) -> None:
    """Another SQLite file, or one that is none, is refused as --study and keeps its bytes."""
    study = tmp_path / "study.sqlite"
    ledger = (ROOT / "tests" / "fixtures" / "ledger-1.sqlite").read_bytes()
    study.write_bytes(ledger if content == "ledger" else b"no database at all" * 99)
    before = study.read_bytes()
    assert str(study) in refusal(TuningError, lambda: tune(settings_for(tmp_path, small_bundle, study=study)))
    assert before == study.read_bytes()


def test_impossible_paths_are_refused_at_once(tmp_path: Path, small_bundle: Path) -> None:
    """A recipe or a study in a missing folder, and both in one file, are refused before the first trial."""
    refusal(OutputError, lambda: tune(settings_for(tmp_path / "none", small_bundle)))
    refusal(OutputError, lambda: tune(settings_for(tmp_path, small_bundle, study=tmp_path / "none" / "study.sqlite")))
    refusal(OutputError, lambda: tune(settings_for(tmp_path, small_bundle, study=tmp_path / "recipe.json")))
    assert [] == list(tmp_path.iterdir())


def test_a_missing_optuna_is_named(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Optuna the message has the command that installs it, and nothing is written."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'fmtag[tune]'" in refusal(TuningError, lambda: tune(settings_for(tmp_path, small_bundle)))
    assert [] == list(tmp_path.iterdir())


def test_a_study_begun_under_earlier_names_goes_on(
    searched: tuple[Path, StudyResult, list[TrialMetrics]], tmp_path: Path, small_bundle: Path
) -> None:
    """A study whose stored recipe has the earlier names of fields is the same study, to the same result."""
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'recipe.sqlite'}")
    study = optuna.load_study(study_name="fmtag", storage=storage)
    shared = study.user_attrs["about"]
    recipe = with_earlier_names(shared["recipe"])
    assert "averaging" in recipe
    study.set_user_attr("about", shared | {"recipe": recipe})
    storage.engine.dispose()
    assert tune(settings_for(folder, small_bundle)) == searched[1]
    changed = shared | {"recipe": recipe | {"averaging": 0.5}}
    study.set_user_attr("about", changed)
    storage.engine.dispose()
    assert "(recipe)" in refusal(TuningError, lambda: tune(settings_for(folder, small_bundle)))
