"""Training on the mix for photos, from Fashion-MNIST, photos and drawings to a bundle with two heads."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_photo, save_bundle
from pretrain_helpers import HELD_OUT, TESTED, TRAINED_ON, bars, product_images
from pretrain_helpers import data as data  # a fixture that is used by its name

from tagger.cli.main import main
from tagger.data import fashion_mnist
from tagger.data.clothing import read_clothing_photos
from tagger.data.labels import LABELS
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import DatasetError, TrainingError
from tagger.inference.predictor import Predictor
from tagger.metrics.calibration import PHOTO_PRECISION, PRECISIONS
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.synthesis import mix
from tagger.training.pretrain import pretrain
from tagger.training.recipes import catalog_recipe
from tagger.training.settings import TrainSettings

SENDERS = 14

CATALOG = replace(catalog_recipe(1, seed=3), batch_size=20, ema_decay=0.5)


@dataclass(frozen=True)
class Shop:
    """What a bundle for photos is trained on, and such a bundle."""

    start: Path
    photos: Path
    """Folder of two photos of each of `SENDERS` senders."""
    made: bundle.Bundle
    notes: list[str]


def write_photos(folder: Path, senders: int = SENDERS) -> Path:
    """Write a folder of two photos per sender, with its table of labels, and return it."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "group"])
        for number in range(2 * senders):
            draw_photo(number, (90, 120)).save(folder / f"{number}.jpg")
            table.writerow([f"{number}.jpg", [*LABELS, "Skirt"][number % 11], number // 2])
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A tiny start, a folder of photos, and the bundle trained on both."""
    folder = tmp_path_factory.mktemp("shop")
    start = save_bundle(folder / "start", NetworkConfig(widths=(8, 16)))
    photos, notes = write_photos(folder / "photos"), []
    pretrain(TrainSettings(folder / "new", CATALOG, start=str(start), photos=photos), notify=notes.append)
    return Shop(start, photos, bundle.load(str(folder / "new")), notes)


def same_weights(first: bundle.Bundle, second: bundle.Bundle) -> bool:
    return first.weights.keys() == second.weights.keys() and all(
        np.array_equal(first.weights[name], second.weights[name]) for name in first.weights
    )


def test_a_mix_makes_a_bundle_with_two_heads(shop: Shop) -> None:
    """The bundle has the start's shape and a head for photos, which can also predict none of the labels."""
    card = shop.made.card
    assert NetworkConfig(widths=(8, 16), photo_classes=11) == card.network
    predict = Predictor(shop.made, "cpu")
    assert np.allclose(1, predict(product_images(bars(10))).sum(axis=1), atol=1e-5)
    of_photos = predict(product_images(bars(10), native=False)).sum(axis=1)
    assert (of_photos < 1).all()
    assert (of_photos > 0).all()


def test_the_card_of_a_mix_describes_it(shop: Shop) -> None:
    """The card names the mix and the start, holds the checksum of the photos' table, and counts the training images."""
    card = shop.made.card
    assert ("catalog", bundle.load(str(shop.start)).model) == (card.recipe["mix"], card.recipe["start"])
    assert (3, 1) == (card.recipe["seed"], card.recipe["cycles"][0]["epochs"])
    table = hashlib.sha256((shop.photos / "labels.csv").read_bytes()).hexdigest()
    assert fashion_mnist.fashion_mnist_checksums() | {"labels.csv": table} == card.data
    learnt = [photo for photo in read_clothing_photos(shop.photos) if not kept_for_reporting("photos", photo.group)]
    learnt = [photo for photo in learnt if not kept_for_calibration("photos", photo.group)]
    assert 2 * TRAINED_ON + mix.TIMES_PHOTO * len(learnt) + 100 == card.metrics["trained_on"]
    assert (HELD_OUT, TESTED) == (card.metrics["held_out"]["n"], card.metrics["test"]["n"])


def test_thresholds_rise_with_precision(shop: Shop) -> None:
    """A higher precision has no lower threshold; the default is that of the precision that the recipe names."""
    card = shop.made.card
    thresholds = [card.threshold(precision) for precision in sorted(PRECISIONS)]
    assert len(card.precisions) == len(thresholds) == len(PRECISIONS)
    assert sorted(thresholds) == thresholds
    assert all(0.5 <= threshold <= 1 for threshold in thresholds)
    assert card.threshold(PHOTO_PRECISION) == card.min_confidence
    assert PHOTO_PRECISION == card.recipe["threshold_precision"]
    assert card.photo_temperature > 0


def test_the_metrics_of_a_mix_are_those_of_the_bundle(shop: Shop) -> None:
    """The test accuracy in the card is that of the written bundle on Fashion-MNIST's own images."""
    test = bars(TESTED)
    tags = Predictor(shop.made, "cpu")(product_images(test)).argmax(axis=1)
    assert shop.made.card.metrics["test"]["accuracy"] == pytest.approx((tags == test.labels.numpy()).mean(), abs=1e-6)


def test_a_mix_leaves_the_bundle_alone_in_its_folder(shop: Shop) -> None:
    """No checkpoint stays behind."""
    folder = shop.start.parent / "new"
    weights = next(folder.glob("weights-*")).name
    assert ["card.json", "history.csv", "metrics.json", weights] == sorted(file.name for file in folder.iterdir())


def test_a_note_counts_the_photos(shop: Shop) -> None:
    """A note counts the photos to train and to calibrate on; none of them is one kept for reporting."""
    groups = {str(number) for number in range(SENDERS) if not kept_for_reporting("photos", str(number))}
    kept = {group for group in groups if kept_for_calibration("photos", group)}
    assert kept
    assert f"{2 * len(groups - kept)} photos to train on, {2 * len(kept)} to calibrate on" in shop.notes[0]


@pytest.mark.slow
def test_photos_kept_for_reporting_are_never_opened(shop: Shop, tmp_path: Path) -> None:
    """Without the photos kept for reporting, and interrupted at that, the same weights result."""
    photos = Path(shutil.copytree(shop.photos, tmp_path / "photos"))
    for photo in read_clothing_photos(photos):
        if kept_for_reporting("photos", photo.group):
            photo.file.unlink()
    settings = TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start), photos=photos, floor=1.0)
    with pytest.raises(TrainingError, match="floor"):
        pretrain(settings)
    epochs: list[int] = []
    again = pretrain(replace(settings, floor=0.0, resume=True), lambda metrics: epochs.append(metrics.epoch)).bundle
    assert [] == epochs
    assert same_weights(shop.made, again)
    took = {"seconds": shop.made.card.metrics["seconds"]}
    assert shop.made.card == replace(again.card, metrics={**again.card.metrics, **took})


def test_a_mix_without_photos(shop: Shop, tmp_path: Path) -> None:
    """Without photos there is a bundle too, and a note on what it lacks."""
    notes: list[str] = []
    made = pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start)), notify=notes.append).bundle
    assert 11 == made.card.network.photo_classes
    assert 2 * TRAINED_ON + 100 == made.card.metrics["trained_on"]
    assert fashion_mnist.fashion_mnist_checksums() == made.card.data
    assert any("--photos" in text for text in notes)


def test_a_mix_starts_from_a_mix(shop: Shop, tmp_path: Path) -> None:
    """A bundle with two heads is a start as well, also for the mix."""
    made = pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start.parent / "new"))).bundle
    assert shop.made.card.network == made.card.network
    assert shop.made.model == made.card.recipe["start"]


def test_a_mix_needs_a_start(tmp_path: Path) -> None:
    """The mix without a network to start from is refused in one sentence, and nothing is written."""
    with pytest.raises(TrainingError, match="--start") as caught:
        pretrain(TrainSettings(tmp_path / "new", CATALOG))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_too_few_senders_are_refused(shop: Shop, tmp_path: Path) -> None:
    """A folder with too few senders for all parts is refused in one sentence that names it."""
    photos = write_photos(tmp_path / "photos", 1)
    with pytest.raises(TrainingError, match="too few") as caught:
        pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start), photos=photos))
    assert str(photos) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_table_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A folder of photos without labels is refused before any training."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(DatasetError, match=r"labels\.csv"):
        pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start), photos=tmp_path / "photos"))


@pytest.mark.slow
def test_the_command_trains_on_the_mix(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fmtag retrain --mix catalog` trains the very bundle that the library trains."""
    options = [
        "--mix",
        "catalog",
        "--start",
        shop.start,
        "--photos",
        shop.photos,
        "--epochs",
        1,
        "--batch-size",
        20,
        "--seed",
        3,
    ]
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), "--floor", "0", *map(str, options)])
    printed = capsys.readouterr()
    assert not caught.value.code
    assert "photos to train on" in printed.err
    made = bundle.load(str(tmp_path / "new"))
    assert made.model in printed.out
    assert shop.made.card.recipe | {"ema_decay": 0.999} == made.card.recipe
