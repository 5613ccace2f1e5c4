"""`fmtag retrain --recipe FILE`."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from helpers import exit_code, save_bundle
from tune_helpers import HELD_OUT, IMAGES, bars
from tune_helpers import data as data  # a fixture that is used by its name

from tagger.cli.retrain_options import RetrainOptions, resolve
from tagger.data import fashion_mnist
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.training import recipe_file
from tagger.training.recipe import Cycle, Recipe


@pytest.fixture
def with_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `retrain` a test set."""
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(HELD_OUT + IMAGES))


def one_cycle(teacher: Path) -> Recipe:
    return Recipe(
        (Cycle(4, low_resolution_epochs=2, distillation=0.4),), 50, network="linear-conv", teachers=(str(teacher),), seed=5
    )


@pytest.mark.slow
@pytest.mark.usefixtures("with_test_set")
def test_retrain_uses_the_recipe_of_the_file(tmp_path: Path, small_bundle: Path) -> None:
    """The bundle's card has the file's recipe; options override single fields."""
    other = save_bundle(tmp_path / "other", NetworkConfig(widths=(8, 16), blocks=1))
    path, recipe = tmp_path / "recipe.json", one_cycle(small_bundle)
    recipe_file.write(path, recipe, {})
    base = ("retrain", "--recipe", path, "--floor", 0)
    assert 0 == exit_code(*base, "--out", tmp_path / "one")
    expected = json.loads(path.read_text())["recipe"] | {"teachers": [bundle.load(str(small_bundle)).model]}
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
    assert 0 == exit_code(*base, *beside, "--out", tmp_path / "two")
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
def test_options_that_contradict_the_file_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    part: str,
) -> None:
    """Another network or mix than the file's, a missing or a broken file: one sentence, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    recipe_file.write(Path("recipe.json"), replace(one_cycle(Path("tiny"))), {})
    Path("broken.json").write_text("{")
    assert code == exit_code("retrain", "--recipe", "recipe.json", "--out", "new", *options)
    assert part in capsys.readouterr().err.strip().splitlines()[-1]
    assert not Path("new").exists()


@pytest.mark.parametrize(("ensemble", "members"), [(None, 3), (1, 1), (2, 2)])
def test_the_ensemble_of_the_file_can_be_overridden(tmp_path: Path, ensemble: int | None, members: int) -> None:
    """The file's number of networks is used unless the option gives one, or several."""
    file = tmp_path / "recipe.json"
    recipe_file.write(file, replace(one_cycle(Path("tiny")), ensemble=3), {})
    left_open = dict.fromkeys(field.name for field in fields(RetrainOptions))
    options = RetrainOptions(
        **left_open | {"out": tmp_path, "mix": "fashion-mnist", "recipe": file, "ensemble": ensemble, "teachers": ()}
    )
    assert members == resolve(options).recipe.ensemble
