"""The settings of the commands that train."""

from pathlib import Path

from tagger.settings import DEVICES, TRAINING_DEVICES
from tagger.training.recipes import recipe_of
from tagger.training.settings import TrainSettings, TuneSettings


def test_training_devices_are_devices() -> None:
    """Training runs on a subset of the devices that tag, "auto" first."""
    assert set(TRAINING_DEVICES) < set(DEVICES)
    assert TRAINING_DEVICES[0] == "auto"


def test_defaults_replace_no_better_bundle() -> None:
    """Without options a bundle is not replaced by a worse one, and training begins anew."""
    settings = TrainSettings(Path("mine"), recipe_of("tiny"))
    assert (settings.force, settings.resume) == (False, False)
    assert 0 < settings.tolerance < 0.1
    assert settings.start is settings.pretrained is settings.calibrated_by is None


def test_a_search_is_short_by_default() -> None:
    """A search of a small network takes minutes: few epochs, a part of the images."""
    settings = TuneSettings(Path("recipe.json"))
    assert settings.epochs < 10
    assert settings.images < 55_000
    assert settings.study is None
    assert settings.teachers == ()
