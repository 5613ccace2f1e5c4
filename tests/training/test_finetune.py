"""`fmtag retrain --data` on labelled photos of one's own: what is learnt, left out, refused, and kept from being replaced."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from PIL import Image
from training_helpers import PRODUCTS, drawn, folder_of

from tagger.cli.main import main
from tagger.data.photo_dataset import PhotoSplit, load_photo_dataset
from tagger.errors import DatasetError, TrainingError
from tagger.inference.tagger import Tagger
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.training.finetune import finetune, load_photos_to_learn
from tagger.training.recipe import Cycle, Recipe
from tagger.training.recipes import own_recipe
from tagger.training.settings import TrainSettings

RECIPE = Recipe((Cycle(epochs=6, warmup_steps=5),), batch_size=16, balanced=True, averaging=0.9)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More threads only wait for each other on so few pictures."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of hats and scarves."""
    return folder_of(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a bundle that was taught them, begun with a small untrained one."""
    root = tmp_path_factory.mktemp("made")
    start = save_bundle(root / "start", NetworkConfig((8, 16)))
    settings = TrainSettings(root / "new", RECIPE, photos, start=str(start))
    finetune(settings, load_photos_to_learn(settings))
    return root / "new"


def names(part: PhotoSplit) -> set[str]:
    return {f"{shown.label}/{Path(str(shown.item.place)).name}" for shown in part.photos}


def test_the_bundle_tags_with_the_labels_of_the_photos(made: Path, tmp_path: Path) -> None:
    """Photos that it has never seen get the labels it was taught; in no group that the start knows they are "other"."""
    for number, label in enumerate(("hat", "scarf")):
        drawn(label, 5000 + number).save(tmp_path / f"{label}.png")
    tags = list(Tagger(str(made), device="cpu").tag([tmp_path / "hat.png", tmp_path / "scarf.png"]))
    assert ["hat", "scarf"] == [tag.ranked[0][0] for tag in tags]
    assert ["other", "other"] == [tag.group for tag in tags]


def test_figures_and_history_lie_beside_the_bundle(made: Path) -> None:
    """An epoch is a row, what was not learnt has all figures, and evaluate finds the card's figures on the test photos."""
    history = list(csv.DictReader((made / "history.csv").read_text().splitlines()))
    assert [str(epoch) for epoch in range(1, 7)] == [row["epoch"] for row in history]
    figures = json.loads((made / "metrics.json").read_text())
    card = bundle.load(str(made)).card
    assert {"hat", "scarf"} == set(figures["test"]["per_class"])
    assert figures["test"]["accuracy"] == card.metrics["test"]["accuracy"]
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(made / "test.csv"), "--model", str(made), "--out", str(made / "again.json")])
    assert not caught.value.code
    again = json.loads((made / "again.json").read_text())
    assert (card.metrics["test"]["n"], card.metrics["test"]["accuracy"]) == (again["n"], again["accuracy"])


def test_parts_are_disjoint_and_stay_what_they_are(photos: Path, tmp_path: Path) -> None:
    """No photo is in two parts, and none changes its part when others come."""
    before = load_photo_dataset(str(photos))
    parts = [names(part) for part in (before.training, before.held_out, before.test)]
    assert 2 * PRODUCTS == sum(map(len, parts)) == len(set().union(*parts))
    after = load_photo_dataset(str(folder_of(tmp_path / "more", PRODUCTS + 20)))
    for part, grown in zip(parts, (after.training, after.held_out, after.test), strict=True):
        assert part <= names(grown)


def test_photos_of_one_product_are_never_in_two_parts(photos: Path, tmp_path: Path) -> None:
    """A table's column group holds photos together."""
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "label", "group"))
        for label in ("hat", "scarf"):
            for number in range(PRODUCTS):
                writer.writerow((photos / label / f"{number:03}.png", label, f"{label}-{number // 4}"))
    found = load_photo_dataset(str(tmp_path / "table.csv"))
    products = [{shown.product for shown in part.photos} for part in (found.training, found.held_out, found.test)]
    assert 20 == len(set().union(*products)) == sum(map(len, products))


def test_what_is_odd_is_said_by_name(tmp_path: Path) -> None:
    """Empty classes, unreadable photos, ones without a product, lonely and rare labels, spellings: named, the rest learnt."""
    root = folder_of(tmp_path / "photos")
    for label in ("empty", "lonely", "Hat", "belt"):
        (root / label).mkdir()
    drawn("hat", 7001).save(root / "lonely" / "one.png")
    drawn("hat", 7002).save(root / "Hat" / "cased.png")
    for number in range(3):
        drawn("scarf", 8000 + number).save(root / "belt" / f"{number}.png")
    (root / "hat" / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (100, 100), (255, 255, 255)).save(root / "hat" / "blank.png")
    found = load_photo_dataset(str(root), known=("scarf", "hat"))
    said = "\n".join(found.notes)
    assert ("scarf", "hat", "belt") == found.labels
    for part in (
        "empty",
        "hat/broken.png",
        "hat/blank.png",
        "'lonely'",
        "'Hat' as 'hat'",
        "New to the bundle",
        "belt: fewer than",
    ):
        assert part in said
    assert 3 == sum(shown.label == "belt" for shown in found.training.photos)


def test_one_class_is_refused(tmp_path: Path) -> None:
    """A single label tells nothing apart; the error says what was left out that might have been another."""
    root = folder_of(tmp_path / "photos", 3)
    for file in (root / "scarf").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match=r"1 label that can be learnt from \(hat\)") as caught:
        load_photo_dataset(str(root))
    assert "Subfolders without a photo, so no classes (1): scarf" in str(caught.value)


def test_too_few_photos_are_refused(tmp_path: Path) -> None:
    """Where nothing could be held out, nothing is trained."""
    with pytest.raises(DatasetError, match="too few photos"):
        load_photo_dataset(str(folder_of(tmp_path / "photos", 3)))


def test_a_worse_bundle_replaces_none(made: Path, photos: Path, tmp_path: Path) -> None:
    """The better bundle stays, a sentence says which class it is better at, and force overrules and stands in the card."""
    out = tmp_path / "new"
    settings = TrainSettings(out, RECIPE, photos, start=str(made))
    finetune(settings, load_photos_to_learn(settings))
    before = bundle.load(str(out)).model
    weak = Recipe((Cycle(epochs=1, peak=1e-6),), batch_size=16, network="residual")
    worse = TrainSettings(out, weak, photos)
    with pytest.raises(TrainingError, match=r"worse than .* on the .* held-out pictures") as caught:
        finetune(worse, load_photos_to_learn(worse))
    assert "--force" in str(caught.value)
    assert before == bundle.load(str(out)).model
    forced = TrainSettings(out, weak, photos, resume=True, force=True)
    finetune(forced, load_photos_to_learn(forced))
    assert "worse than" in bundle.load(str(out)).card.metrics["forced"]


def test_bundles_of_other_labels_are_not_compared(photos: Path, tmp_path: Path) -> None:
    """A bundle of other labels is replaced by force alone."""
    out = save_bundle(tmp_path / "ten", NetworkConfig((8, 16)))
    settings = TrainSettings(out, own_recipe(None, 1), photos, start=str(out))
    with pytest.raises(TrainingError, match="other labels"):
        finetune(settings, load_photos_to_learn(settings))


def test_a_teacher_has_the_same_labels(made: Path, photos: Path, tmp_path: Path) -> None:
    """What was taught these labels may teach them, and another bundle is refused by name."""
    taught = TrainSettings(tmp_path / "a", own_recipe("linear-conv", 1, teachers=(str(made),)), photos)
    assert "new@" in str(finetune(taught, load_photos_to_learn(taught)).bundle.card.recipe["teachers"])
    refused = TrainSettings(tmp_path / "b", own_recipe("linear-conv", 1, teachers=("tiny",)), photos)
    with pytest.raises(TrainingError, match=r"tiny@.* cannot teach hat, scarf"):
        finetune(refused, load_photos_to_learn(refused))


def test_the_command_learns_a_folder(made: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command makes the bundle, and its card says how."""
    options = f"--data {photos} --out {tmp_path / 'shop'} --from {made} --epochs 3 --patience 2"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", *options.split()])
    assert not caught.value.code
    card = bundle.load(str(tmp_path / "shop")).card
    assert ("hat", "scarf") == card.labels
    assert (True, 2) == (card.recipe["balanced"], card.recipe["patience"])
    assert "held_out  accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("options", ["--mix catalog", "--recipe original --network strided", "--calibrated-by base"])
def test_what_is_for_fashion_mnist_alone_is_wrong_usage(options: str, photos: Path, tmp_path: Path) -> None:
    """Options that own photos cannot have are exit 2."""
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--data", str(photos), "--out", str(tmp_path / "new"), *options.split()])
    assert 2 == caught.value.code
