"""`fmtag retrain` from data to bundle, on made-up pictures in Fashion-MNIST's place."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tagger import bundle, dataset
from tagger.cli import main
from tagger.dataset import LABELS, Pictures, hold_out
from tagger.errors import TrainingError
from tagger.predict import Predictor
from tagger.retrain import CHECKPOINT, retrain
from tagger.settings import Cycle, Recipe, TrainSettings

TRAINED_ON, HELD_OUT, TESTED = 200, 60, 100
RECIPE = Recipe((Cycle(epochs=2, small_epochs=1, warmup_steps=2),), batch_size=20, averaging=0.5)


def bars(count: int) -> Pictures:
    """Return pictures with a bright bar in the place of their class."""
    labels = np.arange(count) % len(LABELS)
    pixels = np.zeros((count, 1, 28, 28), np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(labels))


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a few made-up pictures in Fashion-MNIST's place; one thread, as more only wait for each other on so few."""
    sizes = {"train": HELD_OUT + TRAINED_ON, "test": TESTED}
    monkeypatch.setattr(dataset, "fashion_mnist", lambda split, folder=None: bars(sizes[split]))
    monkeypatch.setattr(dataset, "hold_out", lambda pictures: hold_out(pictures, HELD_OUT))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_retrain_writes_a_bundle_that_says_all(tmp_path: Path) -> None:
    """The bundle loads, tags, and its card holds what a reader needs to judge it and to make it again."""
    made = retrain(TrainSettings(tmp_path / "shop", RECIPE, name="bars"))
    loaded = bundle.load(str(tmp_path / "shop"))
    card = loaded.card
    assert made.bundle.model == loaded.model
    assert loaded.model.startswith("bars@")
    assert ("bars", LABELS) == (card.name, tuple(card.labels))
    assert (HELD_OUT, TESTED) == (card.figures["held_out"]["n"], card.figures["test"]["n"])
    assert TRAINED_ON == card.figures["trained_on"]
    assert 0 == card.recipe["seed"]
    assert 2 == card.recipe["cycles"][0]["epochs"]
    assert dataset.checksums() == dict(card.data)
    assert 0.5 <= card.min_confidence <= 1
    assert card.temperature > 0
    probabilities = Predictor(loaded, "cpu")(list(bars(10).pixels[:, 0].numpy()))
    assert np.allclose(1, probabilities.sum(axis=1), atol=1e-5)
    assert not (tmp_path / "shop" / CHECKPOINT).exists()


def test_the_cards_figures_are_those_of_the_bundle(tmp_path: Path) -> None:
    """What the card says of the test set is what the written bundle scores on it."""
    retrain(TrainSettings(tmp_path, RECIPE))
    loaded = bundle.load(str(tmp_path))
    test = bars(TESTED)
    tags = Predictor(loaded, "cpu")(list(test.pixels[:, 0].numpy())).argmax(axis=1)
    assert loaded.card.figures["test"]["accuracy"] == pytest.approx((tags == test.labels.numpy()).mean(), abs=1e-6)


def test_a_bundle_below_the_floor_is_refused(tmp_path: Path) -> None:
    """Below the floor no bundle is written, one sentence says so, and nothing is lost: a lower floor takes it at once."""
    with pytest.raises(TrainingError, match=r"below the floor of 1\.0000") as caught:
        retrain(TrainSettings(tmp_path, RECIPE, floor=1.0))
    assert "\n" not in str(caught.value)
    assert [CHECKPOINT] == [file.name for file in tmp_path.iterdir()]
    epochs: list[int] = []
    retrain(TrainSettings(tmp_path, RECIPE, resume=True), lambda figures: epochs.append(figures.epoch))
    assert [] == epochs
    assert bundle.load(str(tmp_path)).card.name == tmp_path.name


def test_a_refused_bundle_leaves_the_old_one(tmp_path: Path) -> None:
    """A training that ends below the floor leaves the bundle that was in the folder as it was."""
    retrain(TrainSettings(tmp_path, RECIPE))
    before = bundle.load(str(tmp_path)).model
    with pytest.raises(TrainingError):
        retrain(TrainSettings(tmp_path, RECIPE, floor=1.0))
    assert before == bundle.load(str(tmp_path)).model


def test_the_command_reports_each_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says after each epoch how training stands and how long it will take, and ends with the bundle's figures."""
    options = "--epochs 2 --batch-size 50 --seed 5 --floor 0"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    said = "".join(capsys.readouterr())
    assert "epoch 1/2" in said
    assert "epoch 2/2" in said
    assert "left" in said
    card = json.loads((tmp_path / "new" / "card.json").read_text())
    assert 5 == card["recipe"]["seed"]
    assert f"{card['figures']['test']['accuracy']:.4f}" in said
