"""`fmtag retrain` from data to bundle, on made-up pictures in Fashion-MNIST's place."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_photo, save_bundle
from pretrain_helpers import HELD_OUT, RECIPE, TESTED, TRAINED_ON, bars
from pretrain_helpers import data as data  # a fixture that is used by its name

from tagger.cli.main import main
from tagger.cli.training_output import print_epoch, print_trained
from tagger.data import fashion_mnist
from tagger.data.clothing import read_clothing_photos
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import DatasetError, TrainingError
from tagger.inference.predictor import Predictor
from tagger.metrics.calibration import PHOTO_PRECISION, PRECISIONS
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters
from tagger.models.torchvision_backbones import BUILDERS
from tagger.records import ProductImage
from tagger.synthesis import mix
from tagger.training.pretrain import pretrain
from tagger.training.publish import TrainedBundle
from tagger.training.recipes import SHAPES, catalog_recipe
from tagger.training.settings import TrainSettings
from tagger.training.trainer import EpochMetrics


def garments(pictures: Images, native: bool = True) -> list[ProductImage]:
    """Return pictures as the garments that a predictor takes."""
    return [ProductImage(some, found=True, native=native) for some in pictures.pixels[:, 0].numpy()]


def test_retrain_writes_a_bundle_that_says_all(tmp_path: Path) -> None:
    """The bundle loads, tags, and its card holds what a reader needs to judge it and to make it again."""
    made = pretrain(TrainSettings(tmp_path / "shop", RECIPE, name="bars"))
    loaded = bundle.load(str(tmp_path / "shop"))
    card = loaded.card
    assert made.bundle.model == loaded.model
    assert loaded.model.startswith("bars@")
    assert ("bars", LABELS) == (card.name, tuple(card.labels))
    assert (HELD_OUT, TESTED) == (card.metrics["held_out"]["n"], card.metrics["test"]["n"])
    assert TRAINED_ON == card.metrics["trained_on"]
    assert 0 == card.recipe["seed"]
    assert 2 == card.recipe["cycles"][0]["epochs"]
    assert fashion_mnist.fashion_mnist_checksums() == dict(card.data)
    assert 0.5 <= card.min_confidence <= 1
    assert card.temperature > 0
    probabilities = Predictor(loaded, "cpu")(garments(bars(10)))
    assert np.allclose(1, probabilities.sum(axis=1), atol=1e-5)
    assert not (tmp_path / "shop" / "checkpoint.pt").exists()


def test_the_cards_figures_are_those_of_the_bundle(tmp_path: Path) -> None:
    """What the card says of the test set is what the written bundle scores on it."""
    pretrain(TrainSettings(tmp_path, RECIPE))
    loaded = bundle.load(str(tmp_path))
    test = bars(TESTED)
    tags = Predictor(loaded, "cpu")(garments(test)).argmax(axis=1)
    assert loaded.card.metrics["test"]["accuracy"] == pytest.approx((tags == test.labels.numpy()).mean(), abs=1e-6)


def test_a_bundle_below_the_floor_is_refused(tmp_path: Path) -> None:
    """Below the floor no bundle is written, one sentence says so, and nothing is lost: a lower floor takes it at once."""
    with pytest.raises(TrainingError, match=r"below the floor of 1\.0000") as caught:
        pretrain(TrainSettings(tmp_path, RECIPE, floor=1.0))
    assert "\n" not in str(caught.value)
    assert ["checkpoint.pt"] == [file.name for file in tmp_path.iterdir()]
    epochs: list[int] = []
    pretrain(TrainSettings(tmp_path, RECIPE, resume=True), lambda figures: epochs.append(figures.epoch))
    assert [] == epochs
    assert bundle.load(str(tmp_path)).card.name == tmp_path.name


def test_a_refused_bundle_leaves_the_old_one(tmp_path: Path) -> None:
    """A training that ends below the floor leaves the bundle that was in the folder as it was."""
    pretrain(TrainSettings(tmp_path, RECIPE))
    before = bundle.load(str(tmp_path)).model
    with pytest.raises(TrainingError):
        pretrain(TrainSettings(tmp_path, RECIPE, floor=1.0))
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


def test_the_command_makes_an_ensemble_with_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--ensemble` makes one bundle of several networks, `--augment` says what becomes of pictures, and a report lies there."""
    options = "--network tiny --distill-from base --epochs 1 --batch-size 50 --floor 0 --ensemble 2 --augment flip,cutout"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    made = bundle.load(str(tmp_path / "new"))
    recipe = made.card.recipe
    assert (2, replace(SHAPES["tiny"], members=2)) == (recipe["ensemble"], made.card.network)
    assert (True, 0, 0.5) == (recipe["mirrored"], recipe["shift"], recipe["cycles"][0]["erase_share"])
    assert np.allclose(1, Predictor(made, "cpu")(garments(bars(10))).sum(axis=1), atol=1e-5)
    report = tmp_path / "new" / "report" / "report.html"
    assert str(report) in capsys.readouterr().out
    assert made.model in report.read_text()
    assert [] == list((tmp_path / "new").glob("checkpoint*"))
    with (tmp_path / "new" / "history.csv").open() as file:
        assert ["1", "2"] == [row["epoch"] for row in csv.DictReader(file)]


def test_a_folder_named_like_the_test_set_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is of the test set, also where a folder of its name lies in the working folder."""
    (tmp_path / "fashion-mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", "new", *"--epochs 1 --batch-size 50 --floor 0".split()])
    assert not caught.value.code
    assert (tmp_path / "new" / "report" / "report.html").exists()


def test_a_bundle_begins_with_a_file_of_weights(tmp_path: Path) -> None:
    """The card names the file that training began with, by its hash, and the weights are in the first step's network."""
    torch.manual_seed(3)
    weights = BUILDERS["mobilenet-v3"]().state_dict()
    torch.save(weights, tmp_path / "mobile.pth")
    recipe = replace(RECIPE, network="mobilenet-v3", sgd_lr=1e-9, muon_lr=1e-9, averaging=0.0)
    made = pretrain(TrainSettings(tmp_path / "new", recipe, pretrained=tmp_path / "mobile.pth")).bundle
    assert str(made.card.recipe["start"]).startswith("mobile.pth@")
    assert torch.allclose(weights["features.1.block.0.0.weight"], made.weights["stages.1.block.0.0.weight"], atol=1e-3)


def test_another_network_by_its_own_recipe(tmp_path: Path) -> None:
    """A network that comes from elsewhere, trained by its project's recipe, is a bundle that says probabilities."""
    options = "--network linear-conv --recipe original --epochs 1 --batch-size 20 --lr 0.002 --floor 0"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    made = bundle.load(str(tmp_path / "new"))
    assert ("plain", 0.002, "adam", 20) == (
        made.card.network.family,
        *(made.card.recipe[name] for name in ("sgd_lr", "optimizer", "batch_size")),
    )
    said = Predictor(made, "cpu")(garments(bars(5)))
    assert np.allclose(1, said.sum(1), atol=1e-4)


# The mix of catalog ------------------------------------------------------------------------------------------------


SENDERS = 14
CATALOG = replace(catalog_recipe(1, seed=3), batch_size=20, averaging=0.5)


@dataclass(frozen=True)
class Shop:
    """What a bundle for photos is made of, and such a bundle."""

    start: Path
    photos: Path
    """Two photos of each of `SENDERS`."""
    made: bundle.Bundle
    told: list[str]


def write_photos(folder: Path, senders: int = SENDERS) -> Path:
    """Write a folder of two photos a sender, with its table of labels, and return it."""
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
    """A tiny start, a folder of photos, and the bundle that both make."""
    folder = tmp_path_factory.mktemp("shop")
    start = save_bundle(folder / "start", NetworkConfig(widths=(8, 16)))
    photos, told = write_photos(folder / "photos"), []
    pretrain(TrainSettings(folder / "new", CATALOG, start=str(start), photos=photos), tell=told.append)
    return Shop(start, photos, bundle.load(str(folder / "new")), told)


def same_weights(first: bundle.Bundle, second: bundle.Bundle) -> bool:
    return first.weights.keys() == second.weights.keys() and all(
        torch.equal(first.weights[name], second.weights[name]) for name in first.weights
    )


def test_a_mix_makes_a_bundle_with_two_heads(shop: Shop) -> None:
    """The bundle has the start's shape with a head for photos, which also says that a photo shows none of the labels."""
    card = shop.made.card
    assert NetworkConfig(widths=(8, 16), photo_classes=11) == card.network
    predict = Predictor(shop.made, "cpu")
    assert np.allclose(1, predict(garments(bars(10))).sum(axis=1), atol=1e-5)
    of_photos = predict(garments(bars(10), native=False)).sum(axis=1)
    assert (of_photos < 1).all()
    assert (of_photos > 0).all()


def test_the_card_of_a_mix_says_what_it_was_made_of(shop: Shop) -> None:
    """The card names the mix and the start, holds the checksum of the photos' table, and counts the pictures."""
    card = shop.made.card
    assert ("catalog", bundle.load(str(shop.start)).model) == (card.recipe["mix"], card.recipe["start"])
    assert (3, 1) == (card.recipe["seed"], card.recipe["cycles"][0]["epochs"])
    table = hashlib.sha256((shop.photos / "labels.csv").read_bytes()).hexdigest()
    assert fashion_mnist.fashion_mnist_checksums() | {"labels.csv": table} == card.data
    learnt = [photo for photo in read_clothing_photos(shop.photos) if not kept_for_reporting("photos", photo.group)]
    learnt = [photo for photo in learnt if not kept_for_calibration("photos", photo.group)]
    assert 2 * TRAINED_ON + mix.TIMES_PHOTO * len(learnt) + 100 == card.metrics["trained_on"]
    assert (HELD_OUT, TESTED) == (card.metrics["held_out"]["n"], card.metrics["test"]["n"])


def test_the_table_of_precisions_rises(shop: Shop) -> None:
    """More precision asks for no lower a threshold; the default is the one for the precision that the recipe names."""
    card = shop.made.card
    thresholds = [card.threshold(precision) for precision in sorted(PRECISIONS)]
    assert len(card.precisions) == len(thresholds) == len(PRECISIONS)
    assert sorted(thresholds) == thresholds
    assert all(0.5 <= threshold <= 1 for threshold in thresholds)
    assert card.threshold(PHOTO_PRECISION) == card.min_confidence
    assert PHOTO_PRECISION == card.recipe["threshold_precision"]
    assert card.photo_temperature > 0


def test_the_figures_of_a_mix_are_those_of_the_bundle(shop: Shop) -> None:
    """What the card says of the test set is what the written bundle scores on it, as Fashion-MNIST's own pictures."""
    test = bars(TESTED)
    tags = Predictor(shop.made, "cpu")(garments(test)).argmax(axis=1)
    assert shop.made.card.metrics["test"]["accuracy"] == pytest.approx((tags == test.labels.numpy()).mean(), abs=1e-6)


def test_a_mix_leaves_the_bundle_alone_in_its_folder(shop: Shop) -> None:
    """Neither checkpoint nor judge stays behind."""
    folder = shop.start.parent / "new"
    weights = next(folder.glob("weights-*")).name
    assert ["card.json", "history.csv", "metrics.json", weights] == sorted(file.name for file in folder.iterdir())


def test_it_is_told_how_many_photos_there_are(shop: Shop) -> None:
    """Who waits is told how many photos are learnt from and kept to calibrate by; none of them is one kept for reporting."""
    groups = {str(number) for number in range(SENDERS) if not kept_for_reporting("photos", str(number))}
    kept = {group for group in groups if kept_for_calibration("photos", group)}
    assert kept
    assert f"{2 * len(groups - kept)} photos to learn from, {2 * len(kept)} to calibrate by" in shop.told[0]


def test_photos_kept_for_reporting_are_never_opened(shop: Shop, tmp_path: Path) -> None:
    """Without the photos kept for reporting, and interrupted at that, the same weights come out."""
    photos = Path(shutil.copytree(shop.photos, tmp_path / "photos"))
    for photo in read_clothing_photos(photos):
        if kept_for_reporting("photos", photo.group):
            photo.file.unlink()
    settings = TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start), photos=photos, floor=1.0)
    with pytest.raises(TrainingError, match="floor"):
        pretrain(settings)
    epochs: list[int] = []
    again = pretrain(replace(settings, floor=0.0, resume=True), lambda figures: epochs.append(figures.epoch)).bundle
    assert [] == epochs
    assert same_weights(shop.made, again)
    took = {"seconds": shop.made.card.metrics["seconds"]}
    assert shop.made.card == replace(again.card, metrics={**again.card.metrics, **took})


def test_a_mix_without_photos(shop: Shop, tmp_path: Path) -> None:
    """Without photos a bundle comes out too, and who waits is told what it lacks."""
    told: list[str] = []
    made = pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start)), tell=told.append).bundle
    assert 11 == made.card.network.photo_classes
    assert 2 * TRAINED_ON + 100 == made.card.metrics["trained_on"]
    assert fashion_mnist.fashion_mnist_checksums() == made.card.data
    assert any("--photos" in text for text in told)


def test_a_mix_may_begin_with_a_mix(shop: Shop, tmp_path: Path) -> None:
    """A bundle with two heads is a start as well, also for the mix."""
    made = pretrain(TrainSettings(tmp_path / "new", CATALOG, start=str(shop.start.parent / "new"))).bundle
    assert shop.made.card.network == made.card.network
    assert shop.made.model == made.card.recipe["start"]


def test_a_mix_needs_a_start(tmp_path: Path) -> None:
    """The mix without a network to begin with is refused in one sentence, and nothing is written."""
    with pytest.raises(TrainingError, match="--start") as caught:
        pretrain(TrainSettings(tmp_path / "new", CATALOG))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_too_few_senders_are_refused(shop: Shop, tmp_path: Path) -> None:
    """A folder whose senders are too few for halves and calibration is refused in one sentence that names it."""
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


def test_fashion_mnist_may_begin_with_a_bundle(shop: Shop, tmp_path: Path) -> None:
    """Fashion-MNIST alone is learnt from a start too: one head, in the start's shape, which the card names."""
    made = pretrain(TrainSettings(tmp_path, RECIPE, start=str(shop.start))).bundle
    assert NetworkConfig(widths=(8, 16)) == made.card.network
    assert ("fashion-mnist", bundle.load(str(shop.start)).model) == (made.card.recipe["mix"], made.card.recipe["start"])
    thresholds = [made.card.threshold(precision) for precision in sorted(PRECISIONS)]
    assert sorted(thresholds) == thresholds


def test_the_command_makes_a_mix(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fmtag retrain --mix catalog` makes the very bundle that the library makes."""
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
    said = capsys.readouterr()
    assert not caught.value.code
    assert "photos to learn from" in said.err
    made = bundle.load(str(tmp_path / "new"))
    assert made.model in said.out
    assert shop.made.card.recipe | {"averaging": 0.999} == made.card.recipe


def test_the_command_trains_a_named_network_from_teachers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--network` trains that shape, taught by the bundles named; the card says which, and an unknown one is refused."""
    teachers = [str(save_bundle(tmp_path / name, NetworkConfig(widths=(8, 16)))) for name in ("one", "other")]
    options = ["--network", "tiny", "--epochs", "1", "--batch-size", "50", "--floor", "0"]
    asked = ["retrain", "--out", str(tmp_path / "new"), *options, "--distill-from", teachers[0], "--distill-from"]
    with pytest.raises(SystemExit) as caught:
        main([*asked, str(tmp_path / "nobody")])
    assert 1 == caught.value.code
    assert "nobody" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([*asked, teachers[1]])
    assert not caught.value.code
    card = bundle.load(str(tmp_path / "new")).card
    assert SHAPES["tiny"] == card.network
    assert ("tiny", [bundle.load(name).model for name in teachers]) == (card.recipe["network"], card.recipe["teachers"])


def test_a_twin_lets_all_images_be_learnt(tmp_path: Path) -> None:
    """With a bundle of the same recipe to calibrate by, all images are learnt; temperature and thresholds are its own."""
    twin = pretrain(TrainSettings(tmp_path / "twin", RECIPE)).bundle
    said: list[EpochMetrics] = []
    settings = TrainSettings(tmp_path / "all", replace(RECIPE, seed=1), calibrated_by=str(tmp_path / "twin"), floor=1.0)
    made = pretrain(settings, said.append).bundle
    assert TRAINED_ON + HELD_OUT == made.card.metrics["trained_on"]
    assert "held_out" not in made.card.metrics
    assert [None, None] == [figures.held_out_accuracy for figures in said]
    assert (twin.card.temperature, twin.card.min_confidence) == (made.card.temperature, made.card.min_confidence)
    assert twin.card.precisions == made.card.precisions
    assert (twin.model, 1) == (made.card.recipe["calibrated_by"], made.card.recipe["seed"])
    print_epoch(said[0])
    print_trained(TrainedBundle(made, said))


@pytest.mark.parametrize("other", ["recipe", "mix", "all images"])
def test_only_a_twin_calibrates(tmp_path: Path, shop: Shop, other: str) -> None:
    """A bundle of another recipe, or that has seen all images itself, is no twin; the mix takes none; one clear sentence."""
    pretrain(TrainSettings(tmp_path / "twin", RECIPE))
    asked = TrainSettings(tmp_path / "new", RECIPE, calibrated_by=str(tmp_path / "twin"))
    if other == "recipe":
        asked = replace(asked, recipe=replace(RECIPE, shift=1))
    elif other == "mix":
        asked = replace(asked, recipe=CATALOG, start=str(shop.start))
    else:
        pretrain(replace(asked, out=tmp_path / "whole"))
        asked = replace(asked, calibrated_by=str(tmp_path / "whole"))
    with pytest.raises(TrainingError, match="--calibrated-by") as caught:
        pretrain(asked)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_tiny_is_within_its_limits() -> None:
    """`tiny` has at most 100,000 parameters and 12 million multiply-accumulates, `base` 0.31 and 40 million."""
    for name, parameters, macs in (("tiny", 100_000, 12_000_000), ("base", 310_000, 40_000_000)):
        network = Network(SHAPES[name])
        assert count_parameters(network) <= parameters
        assert count_macs(network) <= macs


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--photos", "."], "--photos"),
        (["--photos", ".", "--mix", "fashion-mnist"], "--mix catalog"),
        (["--photos", "nowhere", "--mix", "catalog"], "--photos"),
        (["--mix", "everything"], "--mix"),
        (["--network", "huge"], "'base', 'tiny', 'residual'"),
        (["--network", "tiny", "--start", "base"], "--network"),
        (["--network", "tiny", "--mix", "catalog"], "--network"),
        (["--distill-from", "base", "--mix", "catalog"], "--distill-from"),
        (["--ensemble", "2", "--mix", "catalog"], "--ensemble"),
        (["--ensemble", "0"], "--ensemble"),
        (["--augment", "flip,twist"], "'twist'"),
        (["--pretrained", "nowhere.pth", "--network", "resnet18"], "--pretrained"),
        (["--pretrained", __file__, "--network", "tiny"], "resnet18, mobilenet-v3, efficientnet-b0"),
        (["--pretrained", __file__], "resnet18, mobilenet-v3, efficientnet-b0"),
    ],
)
def test_wrong_usage_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], part: str) -> None:
    """Options that do not go together, or a mix or a network that there is not, are exit 2 and nothing is written."""
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options])
    assert 2 == caught.value.code
    assert part in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "new").exists()
