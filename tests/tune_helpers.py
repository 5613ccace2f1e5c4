"""Short searches for `fmtag tune` on synthetic images, shared by several test files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.splits import validation_split
from tagger.training.settings import TuneSettings
from tagger.training.tune import StudyResult, TrialMetrics, tune

optuna = pytest.importorskip("optuna")

HELD_OUT, IMAGES = 100, 400
"""Validation images, and training images: fewer than a search takes at most, so that trials use all of them."""


def bars(count: int) -> Images:
    """Return noisy images with a bright bar at a height that tells their class."""
    labels = np.arange(count) % 10
    pixels = np.random.default_rng(0).integers(0, 120, (count, 1, 28, 28), np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def training_images(split: str, folder: Path | None = None) -> Images:
    """Stand in for `load_fashion_mnist`; fails on the test set, which no search may read."""
    assert split == "train"
    return bars(HELD_OUT + IMAGES)


def put_in_place(patch: pytest.MonkeyPatch) -> None:
    """Replace Fashion-MNIST by the synthetic images; one thread, as more only wait for each other on networks so small."""
    patch.setattr(fashion_mnist, "load_fashion_mnist", training_images)
    patch.setattr(splits, "validation_split", lambda pictures: validation_split(pictures, HELD_OUT))
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Synthetic images in place of Fashion-MNIST, in one thread."""
    before = torch.get_num_threads()
    put_in_place(monkeypatch)
    yield
    torch.set_num_threads(before)


def settings_for(folder: Path, teacher: Path, **more: Any) -> TuneSettings:
    """Return the settings of a search of about a second, which writes `recipe.json` in the folder."""
    options = {"network": "linear-conv", "trials": 4, "epochs": 2, "images": 1_000, "teachers": (str(teacher),)} | more
    return TuneSettings(folder / "recipe.json", **options)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, small_bundle: Path) -> tuple[Path, StudyResult, list[TrialMetrics]]:
    """The folder of a search without interruption, its result, and its trials."""
    folder, trials = tmp_path_factory.mktemp("searched"), []
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch)
        found = tune(settings_for(folder, small_bundle), lambda done, best: trials.append(done))
    return folder, found, trials


def study_of(folder: Path) -> list[tuple[str, dict[str, Any], float | None]]:
    """Return state, parameters and loss of each trial in a folder's study that was not interrupted."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'recipe.sqlite'}")
    trials = optuna.load_study(study_name="fmtag", storage=storage).trials
    storage.engine.dispose()
    return [(trial.state.name, trial.params, trial.value) for trial in trials if trial.state.name != "FAIL"]


def timeless(trials: list[TrialMetrics]) -> list[TrialMetrics]:
    return [replace(trial, seconds=0) for trial in trials]


def options_of(settings: TuneSettings) -> list[str]:
    """Return the command line of a search."""
    named = {"network": settings.network, "trials": settings.trials, "epochs": settings.epochs, "out": settings.out}
    named |= {"images": settings.images, "distill-from": settings.teachers[0]}
    return ["tune", *(str(part) for name, value in named.items() for part in (f"--{name}", value))]
