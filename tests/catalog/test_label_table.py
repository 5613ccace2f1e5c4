"""A shop's table of labels: every photo once, one spelling per label, and notes on what was left out."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from catalog_helpers import touch, write, write_table

from tagger.catalog.label_table import (
    LabelledPhoto,
    LabelTable,
    canonical_labels,
    checksum,
    count_and_examples,
    first_few,
    read_label_table,
    spelling_notes,
    with_decisions,
)
from tagger.catalog.settings import SourceSettings
from tagger.errors import DatasetError, SourceError
from tagger.records import Item


def write_labels(path: Path, rows: list[list[str]]) -> str:
    """Write a CSV with paths and labels and return its path."""
    return str(write_table(path, ["path", "label"], rows))


def test_patterns_are_for_the_catalog(tmp_path: Path) -> None:
    """Patterns select files of the catalog's folder; its table of labels is read as a whole, unless it is the catalog."""
    touch(tmp_path, "a.jpg", "b.jpg")
    table, reading = write_labels(tmp_path / "t.csv", [["a.jpg", "Bag"], ["b.jpg", "Coat"]]), SourceSettings(exclude=("a*",))
    assert len(read_label_table(table, str(tmp_path), reading).photos) == 2
    with pytest.raises(SourceError, match="--exclude selects files of a folder"):
        read_label_table(table, table, reading)


def test_every_photo_is_read_once(tmp_path: Path) -> None:
    """Rows without a label are passed over, repeated ones count once, and contradictory ones are left out with a note."""
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    rows = [["a.jpg", "Bag"], ["link.jpg", "BAG"], ["b.jpg", "Bag"], ["b.jpg", "Coat"], ["c.jpg", " "], ["d.jpg", "-"]]
    table = read_label_table(write_labels(tmp_path / "t.csv", rows), "nowhere")
    assert {file.name: row.label for file, row in table.photos.items()} == {"a.jpg": "Bag", "d.jpg": "-"}
    assert table.notes == ["Photos with two different labels, left out (1): b.jpg."]


def test_labels_of_punctuation_alone_are_different(tmp_path: Path) -> None:
    """A photo labelled both + and ? has two labels, although neither has a letter."""
    rows = [["0.jpg", "+"], ["0.jpg", "?"], ["1.jpg", "+"], ["2.jpg", "?"]]
    table = read_label_table(write_labels(tmp_path / "t.csv", rows), "nowhere")
    assert sorted(row.label for row in table.photos.values()) == ["+", "?"]


def test_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    """The error names the table and both remedies."""
    with pytest.raises(DatasetError, match=r"t\.csv labels no photo; fill its label column in, or give a folder"):
        read_label_table(write_labels(tmp_path / "t.csv", [["a.jpg", ""]]), "nowhere")


def test_paths_start_from_the_catalog_first(tmp_path: Path) -> None:
    """A run's output names photos within the catalog, wherever it lies; other photos are beside the table."""
    touch(tmp_path, "catalog/a.jpg", "a.jpg", "b.jpg")
    table = write_labels(tmp_path / "tags.csv", [["a.jpg", "Bag"], ["b.jpg", "Bag"]])
    photos = read_label_table(table, str(tmp_path / "catalog")).photos
    assert set(photos) == {(tmp_path / name).resolve() for name in ("catalog/a.jpg", "b.jpg")}


def test_rows_that_cannot_be_used_are_noted(tmp_path: Path) -> None:
    """Addresses and impossible or endless paths are no photos; the rest of the table is read."""
    touch(tmp_path, "a.jpg")
    names = ["http://shop/b.jpg", "a\0.jpg", "\ud800.jpg", "d/" * 3000 + "a.jpg", "a.jpg"]
    lines = [json.dumps({"image": name, "label": "Dress"}) for name in names]
    table = read_label_table(str(write(tmp_path / "t.jsonl", "\n".join(lines))), str(tmp_path))
    assert (tmp_path / "a.jpg").resolve() in table.photos
    assert table.notes[0].startswith("Rows that cannot be used (3): http://shop/b.jpg: an address, not a file")


def test_product_and_flag_are_those_of_the_row(tmp_path: Path) -> None:
    """`group` of a table is the product; of a run's output the flag is kept instead."""
    table = write(tmp_path / "t.csv", "path,label,group\na.jpg,Bag,7\n")
    (photo,) = read_label_table(str(table), "nowhere").photos.values()
    assert (photo.label, photo.product, photo.flagged) == ("Bag", "7", False)
    table = write(tmp_path / "tags.csv", "path,tag,low_confidence,group,group_confidence\na.jpg,Bag,true,accessory,0.4\n")
    (photo,) = read_label_table(str(table), "nowhere").photos.values()
    assert (photo.label, photo.product, photo.flagged) == ("Bag", "", True)


def test_checksum_is_that_of_the_table_or_of_the_listing(tmp_path: Path) -> None:
    """A folder's checksum changes with its file names, wherever the folder lies; a table's with its content."""
    touch(tmp_path / "one" / "shop", "Bag/1.jpg", "Coat/2.jpg")
    touch(tmp_path / "two" / "shop", "Coat/2.jpg", "Bag/1.jpg")
    listing = hashlib.sha256(os.fsencode("Bag/1.jpg\nCoat/2.jpg")).hexdigest()
    assert checksum(str(tmp_path / "one" / "shop")) == checksum(str(tmp_path / "two" / "shop")) == {"shop/shop": listing}
    table = write(tmp_path / "one" / "shop" / "labels.csv", "path,label\n")
    assert checksum(str(tmp_path / "one" / "shop")) == {"shop/labels.csv": hashlib.sha256(table.read_bytes()).hexdigest()}


def test_labels_have_the_bundles_spelling_else_the_most_frequent() -> None:
    """Case, spaces and punctuation make no second label; labels of punctuation alone are left as they are."""
    labels = ["t shirt-top", "Hose", "HOSE", "HOSE", "+", "?"]
    spellings = canonical_labels(labels, ["T-shirt/top", "Bag"])
    assert spellings == {"t shirt-top": "T-shirt/top", "Hose": "HOSE", "HOSE": "HOSE", "+": "+", "?": "?"}
    (note,) = spelling_notes(spellings)
    assert note.endswith("count as one: 'Hose' as 'HOSE', 't shirt-top' as 'T-shirt/top'.")
    assert spelling_notes({"Bag": "Bag"}) == []


def test_lists_in_notes_are_short() -> None:
    """The first five names, and the number of the others."""
    names = [str(number) for number in range(7)]
    assert first_few(names[:5]) == "0, 1, 2, 3, 4"
    assert first_few(names[:6]) == "0, 1, 2, 3, 4 and 1 more"
    assert first_few(names, 6) == "0, 1, 2, 3, 4, 5 and 1 more"
    assert count_and_examples("Photos left out", names) == "Photos left out (7): 0, 1, 2, 3, 4 and 2 more."


def test_a_table_counts_before_decisions(tmp_path: Path) -> None:
    """Together both label all photos; where they differ, but for spelling, the photo is named; one alone stays as it is."""

    def table(name: str, labels: dict[str, str]) -> LabelTable:
        photos = {
            tmp_path / path: LabelledPhoto(Item(path, tmp_path / path), label, "", False) for path, label in labels.items()
        }
        return LabelTable(photos, [f"{name}."], {name: name})

    given, decided = table("given", {"a": "bag", "b": "Coat"}), table("decided", {"a": "Bag", "b": "-", "c": "Dress"})
    both = with_decisions(given, decided)
    assert both is not None
    assert {path.name: one.label for path, one in both.photos.items()} == {"a": "bag", "b": "Coat", "c": "Dress"}
    assert both.notes == [
        "given.",
        "decided.",
        "Photos that the table labels otherwise than people decided, where the table counts (1): b.",
    ]
    assert both.checksums == {"given": "given", "decided": "decided"}
    assert with_decisions(given, None) is given
    assert with_decisions(None, decided) is decided
