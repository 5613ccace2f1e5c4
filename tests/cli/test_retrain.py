"""`fmtag retrain`: which training its options start, and which of them contradict each other."""

from pathlib import Path

import pytest
from helpers import assert_one_sentence, run_cli

from tagger.training.recipe import Recipe
from tagger.training.settings import TrainSettings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[TrainSettings]:
    """Collect the settings of trainings, without training."""
    seen: list[TrainSettings] = []

    def record(settings: TrainSettings, *rest: object) -> None:
        seen.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("tagger.training.pretrain.pretrain", record)
    monkeypatch.setattr("tagger.training.finetune.load_photos_to_learn", record)
    return seen


def settings_of(started: list[TrainSettings], *options: str) -> TrainSettings:
    """Return the settings of the training that the options start."""
    result = run_cli("retrain", *options)
    assert result.code == 130, result.err
    return started.pop()


def test_recipes_of_the_networks(started: list[TrainSettings], tmp_path: Path) -> None:
    """Without options `base` is trained by its own recipe; options change the recipe; an original recipe has a lower floor."""
    out = ("--out", str(tmp_path / "new"))
    plain = settings_of(started, *out)
    assert (plain.recipe.network, plain.start, plain.floor, plain.recipe.seed) == ("base", None, 0.9, Recipe.seed)
    assert plain.out == tmp_path / "new"
    changed = settings_of(
        started, *out, "--network", "tiny", "--epochs", "3", "--batch-size", "32", "--lr", "0.05", "--seed", "7"
    )
    recipe = changed.recipe
    assert (recipe.network, recipe.epochs, recipe.batch_size, recipe.sgd_lr, recipe.seed) == ("tiny", 3, 32, 0.05, 7)
    assert recipe.muon_lr == pytest.approx(Recipe.muon_lr * 0.05 / Recipe.sgd_lr)
    original = settings_of(started, *out, "--network", "strided", "--recipe", "original", "--augment", "flip, cutout")
    assert (original.recipe.optimizer, original.floor, original.recipe.alternating_flip, original.recipe.shift) == (
        "adam",
        0.8,
        True,
        0,
    )
    assert settings_of(started, *out, "--floor", "0.5").floor == 0.5


def test_the_mix_starts_from_a_bundle(started: list[TrainSettings], tmp_path: Path) -> None:
    """`--mix catalog` starts from `residual` or from another bundle, by either name of the option, with photos if given."""
    out = ("--out", str(tmp_path / "new"), "--mix", "catalog")
    assert settings_of(started, *out).start == "residual"
    assert settings_of(started, *out, "--from", "base").start == "base"
    assert settings_of(started, *out, "--start", "base").start == "base"
    assert settings_of(started, *out, "--photos", str(tmp_path)).photos == tmp_path


def test_labelled_photos_start_the_same_training_as_finetune(started: list[TrainSettings], tmp_path: Path) -> None:
    """`retrain --data PHOTOS` resolves to the very settings of `finetune PHOTOS`."""
    options = ["--out", str(tmp_path / "new"), "--epochs", "5", "--ensemble", "2", "--patience", "3", "--no-class-weights"]
    (tmp_path / "photos").mkdir()
    alias = settings_of(started, "--data", str(tmp_path / "photos"), *options)
    assert run_cli("finetune", tmp_path / "photos", *options).code == 130
    assert started.pop() == alias
    assert (alias.start, alias.floor, alias.recipe.class_weighted, alias.recipe.ensemble) == ("catalog-small", 0.0, False, 2)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("--photos .", ["--photos", "--mix catalog"]),
        ("--mix catalog --class-weights", ["--class-weights does not apply to --mix catalog, which is already balanced."]),
        ("--mix catalog --network tiny", ["--network", "--mix catalog"]),
        ("--network tiny --from base", ["--network", "--from"]),
        ("--mix catalog --distill-from base", ["--distill-from", "--mix catalog"]),
        ("--mix catalog --ensemble 2", ["--ensemble", "--mix catalog"]),
        ("--network tiny --pretrained {file}", ["--pretrained", "resnet18"]),
        ("--recipe original", ["--recipe original", "strided"]),
        ("--recipe original --network strided --distill-from base", ["--recipe original", "--distill-from"]),
        ("--recipe nowhere.json", ["'nowhere.json'", "modern, original"]),
        ("--augment flip,spin", ["'spin'"]),
        ("--data {folder} --mix catalog", ["--mix", "labelled photos"]),
        ("--data {folder} --recipe original --network strided", ["--recipe", "labelled photos"]),
        ("--data {folder} --calibrated-by base", ["--calibrated-by", "labelled photos"]),
        ("--data {folder} --photos {folder}", ["--photos", "labelled photos"]),
        ("--ensemble 33", ["--ensemble"]),
        ("--tolerance 1.5", ["--tolerance"]),
    ],
)
def test_contradictory_options_are_refused(
    started: list[TrainSettings], tmp_path: Path, options: str, parts: list[str]
) -> None:
    """What cannot be had together is wrong usage, named in one sentence before any training."""
    (tmp_path / "file").write_text("")
    given = options.format(file=tmp_path / "file", folder=tmp_path).split()
    assert_one_sentence(run_cli("retrain", "--out", tmp_path / "new", *given), 2, *parts)
    assert not started
    assert not (tmp_path / "new").exists()
