"""Labelled photos are loaded and split by product; what cannot be used is left out with a note, or refused."""
# ruff: noqa: SIM300 - the expected value stands first

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_photo
from PIL import Image

from tagger.catalog.settings import SourceSettings
from tagger.data.photo_dataset import (
    MIN_PRODUCTS_TO_SPLIT,
    TEST,
    TEST_SHARE,
    TRAINING,
    VALIDATION,
    VALIDATION_SHARE,
    PhotoDataset,
    PhotoSplit,
    load_photo_dataset,
    split_as_csv,
    split_of,
)
from tagger.errors import DatasetError, SourceError

COUNT = 30
"""Photos per label."""

SPLITS = ("training", "validation", "test")


def write_label(folder: Path, count: int, first: int) -> None:
    """Write that many photos of different products into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw_photo(first + number, (60, 80)).save(folder / f"{number:03}.png")


def write_folder(root: Path, count: int = COUNT) -> Path:
    """Write a folder with a subfolder per label, and return it."""
    for at, label in enumerate(("hat", "scarf")):
        write_label(root / label, count, 1000 * at)
    return root


def write_table(path: Path, rows: Sequence[Sequence[object]]) -> str:
    """Write a table of image, label and product, and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "label", "group"), *rows])
    return str(path)


def names(split: PhotoSplit) -> set[str]:
    """Return the labels and file names of a split's photos."""
    return {f"{photo.label}/{Path(str(photo.item.place)).name}" for photo in split.photos}


def splits_of(dataset: PhotoDataset) -> list[PhotoSplit]:
    """Return the three splits."""
    return [getattr(dataset, name) for name in SPLITS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of hats and scarves."""
    return write_folder(tmp_path_factory.mktemp("labelled") / "photos")


@pytest.fixture(scope="module")
def dataset(folder: Path) -> PhotoDataset:
    """Load it."""
    return load_photo_dataset(str(folder))


def test_splits_are_disjoint_and_complete(dataset: PhotoDataset) -> None:
    """Every photo is in one split, and every split has photos; there is nothing to note."""
    split_names = [names(split) for split in splits_of(dataset)]
    assert all(split_names)
    assert 2 * COUNT == sum(map(len, split_names)) == len(set().union(*split_names))
    assert ("hat", "scarf") == dataset.labels
    assert [] == dataset.notes


def test_no_photo_changes_its_split_when_photos_are_added(folder: Path, dataset: PhotoDataset, tmp_path: Path) -> None:
    """The split of a photo depends on its product alone."""
    grown = load_photo_dataset(str(write_folder(tmp_path / "more", COUNT + 10)))
    for before, after in zip(splits_of(dataset), splits_of(grown), strict=True):
        assert names(before) <= names(after)


def test_photos_of_a_product_share_a_split(folder: Path, tmp_path: Path) -> None:
    """The column `group` keeps photos of a product together, also those of different labels."""
    rows = [(folder / label / f"{at:03}.png", label, f"product {at // 3}") for label in ("hat", "scarf") for at in range(COUNT)]
    dataset = load_photo_dataset(write_table(tmp_path / "table.csv", rows))
    products = [{photo.product for photo in split.photos} for split in splits_of(dataset)]
    assert {f"product {at}" for at in range(10)} == set().union(*products)
    assert 10 == sum(map(len, products))


def test_a_split_follows_its_products_hash(dataset: PhotoDataset) -> None:
    """Without a column `group` the product is the image, and its hash chooses the split."""
    for number, split in enumerate(splits_of(dataset)):
        assert {number} == {split_of(photo.product) for photo in split.photos}


def test_the_splits_have_their_shares() -> None:
    """About 0.15 of the products are for validation, 0.15 for testing, the rest for training."""
    counts = Counter(split_of(f"product {number}") for number in range(4000))
    assert counts[VALIDATION] / 4000 == pytest.approx(VALIDATION_SHARE, abs=0.02)
    assert counts[TEST] / 4000 == pytest.approx(TEST_SHARE, abs=0.02)
    assert 4000 == counts[TRAINING] + counts[VALIDATION] + counts[TEST]


def test_the_hash_of_a_name_is_fixed() -> None:
    """Splits are the same in every version: what an earlier bundle was tested on is never trained on."""
    assert "0000100012100100010000000000010000000002" == "".join(str(split_of(str(number))) for number in range(40))
    assert split_of("caf\udce9") in (TRAINING, VALIDATION, TEST)


def test_a_split_gives_images_and_classes(dataset: PhotoDataset) -> None:
    """A split's product images, classes and tensors are in the order of its photos, with the labels' names."""
    split = dataset.validation
    assert len(split.photos) == len(split) == len(split.product_images)
    assert [photo.label for photo in split.photos] == [dataset.labels[index] for index in split.classes]
    assert np.int64 == split.classes.dtype
    images = split.images
    assert ((len(split), 1, 28, 28), torch.uint8) == (tuple(images.pixels.shape), images.pixels.dtype)
    assert np.array_equal(split.product_images[1].pixels, images.pixels[1, 0].numpy())
    assert split.classes.tolist() == images.labels.tolist()
    assert ("hat", "scarf") == images.names


def test_a_split_is_written_as_a_table(dataset: PhotoDataset, tmp_path: Path) -> None:
    """The CSV of a split names its files, labels and products, and can be loaded again."""
    (tmp_path / "test.csv").write_bytes(split_as_csv(dataset.test))
    rows = list(csv.DictReader((tmp_path / "test.csv").read_text(encoding="utf-8").splitlines()))
    assert [str(photo.item.place) for photo in dataset.test.photos] == [row["image"] for row in rows]
    assert [photo.label for photo in dataset.test.photos] == [row["label"] for row in rows]
    assert [photo.product for photo in dataset.test.photos] == [row["group"] for row in rows]


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    """Empty subfolders, unreadable photos, photos without a product, rare labels and spellings are noted by name."""
    root = write_folder(tmp_path / "photos")
    write_label(root / "lonely", 1, 7001)
    write_label(root / "Hat", 1, 7002)
    write_label(root / "belt", 3, 8000)
    (root / "empty").mkdir()
    (root / ".hidden").mkdir()
    (root / "hat" / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (60, 80), "white").save(root / "hat" / "blank.png")
    dataset = load_photo_dataset(str(root), known=("scarf", "hat"))
    assert ("scarf", "hat", "belt") == dataset.labels
    notes = "\n".join(dataset.notes)
    for part in (
        "Subfolders without a photo, so no classes (1): empty.",
        "Photos that cannot be read, left out (1): hat/broken.png.",
        "Photos in which no product stands out, left out (1): hat/blank.png.",
        "'lonely': fewer than 2 usable photos, left out.",
        "'Hat' as 'hat'",
        "New to the bundle that training starts from: belt.",
        "belt: fewer than 8 products, so all their photos are trained on",
    ):
        assert part in notes
    assert 3 == sum(photo.label == "belt" for photo in dataset.training.photos)
    assert 1 + COUNT == sum(photo.label == "hat" for split in splits_of(dataset) for photo in split.photos)


def test_photos_of_no_label_are_left_out(folder: Path, tmp_path: Path) -> None:
    """Photos with the label "-" show none of the labels, and are left out with a note."""
    rows = [(folder / label / f"{at:03}.png", label, "") for label in ("hat", "scarf") for at in range(1, COUNT)]
    rows += [(folder / "hat" / "000.png", "-", "")]
    dataset = load_photo_dataset(write_table(tmp_path / "table.csv", rows))
    assert ("hat", "scarf") == dataset.labels
    assert "Photos of none of the labels (-), left out: 1" in dataset.notes[0]


@pytest.mark.parametrize(("products", "split"), [(MIN_PRODUCTS_TO_SPLIT - 1, False), (MIN_PRODUCTS_TO_SPLIT, True)])
def test_a_label_of_few_products_is_not_split(folder: Path, tmp_path: Path, products: int, split: bool) -> None:
    """A label with fewer than eight products is trained on as a whole; one with eight is split."""
    named = [f"p{number}" for number in range(200)]
    chosen = [name for name in named if split_of(name) != TRAINING][:3] + [name for name in named if split_of(name) == TRAINING]
    rows = [(folder / "hat" / f"{at:03}.png", "hat", chosen[at % products]) for at in range(COUNT)]
    rows += [(folder / "scarf" / f"{at:03}.png", "scarf", "") for at in range(COUNT)]
    dataset = load_photo_dataset(write_table(tmp_path / "table.csv", rows))
    held_out = sum(photo.label == "hat" for photo in (*dataset.validation.photos, *dataset.test.photos))
    assert split == (held_out > 0)
    assert split == (not any("hat: fewer than" in note for note in dataset.notes))


def test_a_label_whose_products_are_all_held_out_is_trained_on(folder: Path, tmp_path: Path) -> None:
    """Where the hash would hold out all products of a label, all its photos are trained on."""
    held_out = [name for name in map(str, range(300)) if split_of(name) != TRAINING][: MIN_PRODUCTS_TO_SPLIT + 2]
    rows = [(folder / "hat" / f"{at:03}.png", "hat", held_out[at % len(held_out)]) for at in range(COUNT)]
    rows += [(folder / "scarf" / f"{at:03}.png", "scarf", "") for at in range(COUNT)]
    dataset = load_photo_dataset(write_table(tmp_path / "table.csv", rows))
    assert COUNT == sum(photo.label == "hat" for photo in dataset.training.photos)


def test_labels_are_checked_before_photos_are_opened(folder: Path) -> None:
    """`check` gets the labels first, and may raise; then every photo is counted."""

    def refuse(labels: Sequence[str]) -> None:
        assert ("scarf", "hat") == tuple(labels)
        raise DatasetError("refused")

    progress: list[tuple[int, int]] = []
    note = lambda done, total: progress.append((done, total))  # noqa: E731
    with pytest.raises(DatasetError, match="refused"):
        load_photo_dataset(str(folder), known=("scarf",), check=refuse, progress=note)
    assert [] == progress
    load_photo_dataset(str(folder), progress=note)
    assert [(done, 2 * COUNT) for done in range(1, 2 * COUNT + 1)] == progress


def test_folders_that_are_no_classes_are_not_noted(tmp_path: Path) -> None:
    """A folder of the system, or an excluded one, is no class without photos; one whose photos have no suffix is a class."""
    root = write_folder(tmp_path / "photos")
    for name in ("@eaDir", "drafts"):
        write_label(root / name, 1, 5000)
    for photo in list((root / "hat").iterdir()):
        photo.rename(photo.with_suffix(""))
    dataset = load_photo_dataset(str(root), reading=SourceSettings(exclude=("drafts/",)))
    assert ("hat", "scarf") == dataset.labels
    assert [] == dataset.notes


def test_one_label_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A single label cannot be learnt; the error says what was left out that might have been another."""
    write_label(tmp_path / "photos" / "hat", 3, 0)
    (tmp_path / "photos" / "scarf").mkdir()
    with pytest.raises(DatasetError, match=r"1 label that can be learnt \(hat\)") as caught:
        load_photo_dataset(str(tmp_path / "photos"))
    assert "Subfolders without a photo, so no classes (1): scarf" in str(caught.value)


def test_too_few_photos_are_refused(tmp_path: Path) -> None:
    """Where the validation split would be empty, the error says how many products are needed."""
    with pytest.raises(DatasetError, match="too few photos: the validation split would be empty; label at least 8 products"):
        load_photo_dataset(str(write_folder(tmp_path / "photos", 3)))


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    """A folder or table that does not exist is refused."""
    with pytest.raises((SourceError, DatasetError), match="none"):
        load_photo_dataset(str(tmp_path / "none"))
