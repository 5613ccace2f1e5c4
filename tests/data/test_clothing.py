"""Folders of labelled photos are read in both layouts, and bad tables are refused in one sentence."""
# ruff: noqa: SIM300 - the expected value stands first

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tagger.data.clothing import LABEL_CLASSES, LABEL_TABLES, ClothingPhoto, read_clothing_photos, table_checksum
from tagger.data.labels import LABELS, NONE
from tagger.errors import DatasetError


def write_table(path: Path, *rows: Sequence[object]) -> None:
    """Write a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_labels_csv_is_read(tmp_path: Path) -> None:
    """`labels.csv` names files relative to its folder, with label and group; other columns do not matter."""
    write_table(
        tmp_path / "labels.csv",
        ("kind", "path", "label", "group"),
        ("x", "a.jpg", "Bag", "1"),
        ("y", "sub/b.png", "T-shirt/top", "2"),
        ("z", "c.jpg", "OOD", "2"),
    )
    assert [
        ClothingPhoto(tmp_path / "a.jpg", LABELS.index("Bag"), "1"),
        ClothingPhoto(tmp_path / "sub" / "b.png", LABELS.index("T-shirt/top"), "2"),
        ClothingPhoto(tmp_path / "c.jpg", NONE, "2"),
    ] == read_clothing_photos(tmp_path)


@pytest.mark.parametrize("place", ["images", "images_original", "."])
def test_the_clothing_datasets_layout_is_read(tmp_path: Path, place: str) -> None:
    """`images.csv` names photos without their suffix, in the folder `images`, `images_original` or its own."""
    (tmp_path / place).mkdir(exist_ok=True)
    write_table(
        tmp_path / "images.csv",
        ("image", "sender_id", "label", "kids"),
        ("ea7b6656-3f84-4eb3", "124", "Not sure", "False"),
        ("ea2ffd4d-9b25-4ca8", "124", "T-Shirt", "False"),
        ("3b86d877-2b9e-4c8b", "88", "Skirt", "True"),
    )
    assert [
        ClothingPhoto(tmp_path / place / "ea2ffd4d-9b25-4ca8.jpg", LABELS.index("T-shirt/top"), "124"),
        ClothingPhoto(tmp_path / place / "3b86d877-2b9e-4c8b.jpg", NONE, "88"),
    ] == read_clothing_photos(tmp_path)


def test_labels_csv_comes_first(tmp_path: Path) -> None:
    """Where a folder holds both tables, `labels.csv` is read."""
    write_table(tmp_path / "images.csv", ("image", "sender_id", "label"), ("a", "1", "Hat"))
    write_table(tmp_path / "labels.csv", ("path", "group", "label"), ("b.jpg", "1", "Bag"))
    assert [tmp_path / "b.jpg"] == [photo.file for photo in read_clothing_photos(tmp_path)]


def test_unknown_labels_are_left_out(tmp_path: Path) -> None:
    """Photos with a label of no known class are left out, all others are returned in their order."""
    labels = [*LABEL_CLASSES, "Not sure", "Other", "", "bag", "Skip"]
    write_table(
        tmp_path / "labels.csv", ("path", "label", "group"), *((f"{at}.jpg", label, at) for at, label in enumerate(labels))
    )
    assert [(tmp_path / f"{at}.jpg", LABEL_CLASSES[label]) for at, label in enumerate(LABEL_CLASSES)] == [
        (photo.file, photo.label) for photo in read_clothing_photos(tmp_path)
    ]


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """A table with a byte order mark, as spreadsheets write it, is read alike."""
    (tmp_path / "labels.csv").write_text("path,label,group\r\na.jpg,Bag,1\r\n", encoding="utf-8-sig", newline="")
    assert 1 == len(read_clothing_photos(tmp_path))


BAD: dict[str, tuple[str, bytes]] = {
    "no table": ("other.csv", b"path,label,group\na.jpg,Bag,1\n"),
    "empty table": ("labels.csv", b""),
    "header alone": ("labels.csv", b"path,label,group\n"),
    "no group": ("labels.csv", b"path,label\na.jpg,Bag\n"),
    "no label": ("images.csv", b"image,sender_id\na,1\n"),
    "another header": ("images.csv", b"path,label,group\na.jpg,Bag,1\n"),
    "no known label": ("labels.csv", b"path,label,group\na.jpg,Sock,1\nb.jpg,Glove,1\n"),
    "not UTF-8": ("labels.csv", b"path,label,group\n\xff\xfe\x00\x80.jpg,Bag,1\n"),
    "an image": ("labels.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))),
    "short rows": ("labels.csv", b"label,path,group\nBag\n"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_tables_are_refused(tmp_path: Path, bad: str) -> None:
    """A folder whose table is missing, empty, of other columns, of no known label or damaged is refused in one sentence."""
    name, content = BAD[bad]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_clothing_photos(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing folder is refused with its name."""
    with pytest.raises(DatasetError, match="none"):
        read_clothing_photos(tmp_path / "none")


def test_the_clothing_datasets_labels_map_to_classes() -> None:
    """Labels of garments that Fashion-MNIST has under another name get its class; shorts, skirts and hats get none."""
    names = [*LABELS, "none of these"]
    mapped = {label: names[index] for label, index in LABEL_CLASSES.items() if label not in LABELS}
    assert {
        "T-Shirt": "T-shirt/top",
        "Polo": "T-shirt/top",
        "Top": "T-shirt/top",
        "Undershirt": "T-shirt/top",
        "Pants": "Trouser",
        "Hoodie": "Pullover",
        "Longsleeve": "Pullover",
        "Blazer": "Coat",
        "Outwear": "Coat",
        "Blouse": "Shirt",
        "Body": "none of these",
        "Hat": "none of these",
        "Shorts": "none of these",
        "Skirt": "none of these",
        "OOD": "none of these",
    } == mapped
    assert list(range(len(LABELS))) == [LABEL_CLASSES[label] for label in LABELS]


def test_the_tables_checksum_is_that_of_the_table_read(tmp_path: Path) -> None:
    """The checksum is that of `labels.csv`, or of `images.csv` where there is no other; without a table it is refused."""
    assert ("labels.csv", "images.csv") == LABEL_TABLES
    with pytest.raises(DatasetError, match=r"neither labels\.csv nor images\.csv"):
        table_checksum(tmp_path)
    for name in reversed(LABEL_TABLES):
        (tmp_path / name).write_text(name)
        assert {name: hashlib.sha256(name.encode()).hexdigest()} == table_checksum(tmp_path)
