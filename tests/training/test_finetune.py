"""Training on labelled photos of one's own: the bundle, its labels and metrics, and what is refused."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import json
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from training_helpers import drawn, folder_of

from tagger.cli.main import main
from tagger.data.labels import LABELS
from tagger.data.photo_dataset import PhotoSplit
from tagger.errors import TrainingError
from tagger.inference.tagger import Tagger
from tagger.metrics.calibration import MIN_CALIBRATION_PHOTOS
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.training.finetune import _with_labels, finetune, load_photos_to_learn
from tagger.training.recipe import Cycle, Recipe
from tagger.training.recipes import own_recipe
from tagger.training.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe((Cycle(epochs=6, warmup_steps=5),), batch_size=16, class_weighted=True, ema_decay=0.9)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of hats and scarves."""
    return folder_of(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle trained on them, from a small untrained one."""
    root = tmp_path_factory.mktemp("made")
    start = save_bundle(root / "start", NetworkConfig((8, 16)))
    settings = TrainSettings(root / "new", RECIPE, photos, start=str(start))
    finetune(settings, load_photos_to_learn(settings))
    return root / "new"


def names(part: PhotoSplit) -> set[str]:
    """Return the photos of a part, each by its class and file."""
    return {f"{shown.label}/{Path(str(shown.item.place)).name}" for shown in part.photos}


def test_the_bundle_tags_with_the_labels_of_the_photos(made: Path, tmp_path: Path) -> None:
    """Photos that it was not trained on get its labels; those have the group "other", as no bundle knows them."""
    for number, label in enumerate(("hat", "scarf")):
        drawn(label, 5000 + number).save(tmp_path / f"{label}.png")
    tags = list(Tagger(str(made), device="cpu").tag([tmp_path / "hat.png", tmp_path / "scarf.png"]))
    assert ["hat", "scarf"] == [tag.ranked[0][0] for tag in tags]
    assert ["other", "other"] == [tag.group for tag in tags]


def test_metrics_and_history_lie_beside_the_bundle(made: Path) -> None:
    """`history.csv` has a row per epoch, `metrics.json` all metrics, and evaluate finds the card's on the test photos."""
    history = list(csv.DictReader((made / "history.csv").read_text().splitlines()))
    assert [str(epoch) for epoch in range(1, 7)] == [row["epoch"] for row in history]
    metrics = json.loads((made / "metrics.json").read_text())
    card = bundle.load(str(made)).card
    assert {"hat", "scarf"} == set(metrics["test"]["per_class"])
    assert metrics["test"]["accuracy"] == card.metrics["test"]["accuracy"]
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(made / "test.csv"), "--model", str(made), "--out", str(made / "again.json")])
    assert not caught.value.code
    again = json.loads((made / "again.json").read_text())
    assert (card.metrics["test"]["n"], card.metrics["test"]["accuracy"]) == (again["n"], again["accuracy"])


def test_a_worse_bundle_is_not_published(made: Path, photos: Path, tmp_path: Path) -> None:
    """The better bundle stays and a sentence says at what it is better; `force` replaces it, which the card records."""
    out = tmp_path / "new"
    settings = TrainSettings(out, RECIPE, photos, start=str(made))
    finetune(settings, load_photos_to_learn(settings))
    before = bundle.load(str(out)).model
    weak = Recipe((Cycle(epochs=1, peak_lr_scale=1e-6),), batch_size=16, network="residual")
    worse = TrainSettings(out, weak, photos)
    with pytest.raises(TrainingError, match=r"worse than .* on the .* held-out images") as caught:
        finetune(worse, load_photos_to_learn(worse))
    assert "--force" in str(caught.value)
    assert before == bundle.load(str(out)).model
    forced = TrainSettings(out, weak, photos, resume=True, force=True)
    finetune(forced, load_photos_to_learn(forced))
    assert "worse than" in bundle.load(str(out)).card.metrics["forced"]


def test_bundles_of_other_labels_are_not_compared(photos: Path, tmp_path: Path) -> None:
    """A bundle of other labels is replaced by `force` alone."""
    out = save_bundle(tmp_path / "ten", NetworkConfig((8, 16)))
    settings = TrainSettings(out, own_recipe(None, 1), photos, start=str(out))
    with pytest.raises(TrainingError, match="other labels"):
        finetune(settings, load_photos_to_learn(settings))


def test_a_teacher_has_the_same_labels(made: Path, photos: Path, tmp_path: Path) -> None:
    """A bundle of these labels can be distilled, and another one is refused by name."""
    taught = TrainSettings(tmp_path / "a", own_recipe("linear-conv", 1, teachers=(str(made),)), photos)
    assert "new@" in str(finetune(taught, load_photos_to_learn(taught)).bundle.card.recipe["teachers"])
    refused = TrainSettings(tmp_path / "b", own_recipe("linear-conv", 1, teachers=("tiny",)), photos)
    with pytest.raises(TrainingError, match=r"tiny@.* cannot teach hat, scarf"):
        finetune(refused, load_photos_to_learn(refused))


def test_the_command_trains_on_a_folder(made: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command trains the bundle, and its card holds the recipe."""
    options = f"--data {photos} --out {tmp_path / 'shop'} --from {made} --epochs 3 --patience 2"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", *options.split()])
    assert not caught.value.code
    card = bundle.load(str(tmp_path / "shop")).card
    assert ("hat", "scarf") == card.labels
    assert (True, 2) == (card.recipe["class_weighted"], card.recipe["patience"])
    assert "held_out  accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("options", ["--mix catalog", "--recipe original --network strided", "--calibrated-by base"])
def test_options_of_fashion_mnist_are_wrong_usage(options: str, photos: Path, tmp_path: Path) -> None:
    """Options that do not apply to photos of one's own are exit 2."""
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--data", str(photos), "--out", str(tmp_path / "new"), *options.split()])
    assert 2 == caught.value.code


def test_a_small_held_out_part_is_noted(photos: Path, tmp_path: Path) -> None:
    """Where few photos are held out, a note says how many, and how many are needed for a reliable confidence."""
    notes: list[str] = []
    settings = TrainSettings(tmp_path / "new", own_recipe("linear-conv", 1), photos)
    dataset = load_photos_to_learn(settings)
    finetune(settings, dataset, notify=notes.append)
    assert f"Only {len(names(dataset.validation))} photos are held out" in notes[-1]
    assert str(MIN_CALIBRATION_PHOTOS) in notes[-1]


def test_heads_are_taken_over_by_label(tmp_path: Path) -> None:
    """The start's rows of the head go to the labels that it has, wherever they stand; a new label gets random ones."""
    start = save_bundle(tmp_path / "start", NetworkConfig((8, 16), photo_classes=11))
    parent = bundle.load(str(start))
    network = _with_labels(parent, ("hat", "Bag", "Dress"), seed=3)
    old = parent.network().photo_head
    assert old is not None
    assert (3, 0) == (network.config.classes, network.config.photo_classes)
    for row, label in ((1, "Bag"), (2, "Dress")):
        assert torch.equal(old.weight[LABELS.index(label)], network.head.weight[row])
        assert torch.equal(old.bias[LABELS.index(label)], network.head.bias[row])
    again, other = (_with_labels(parent, ("hat", "Bag", "Dress"), seed=seed) for seed in (3, 4))
    assert torch.equal(again.head.weight[0], network.head.weight[0])
    assert not torch.equal(other.head.weight[0], network.head.weight[0])
