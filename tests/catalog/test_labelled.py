"""Labelled photos come from a table, or from a folder with one subfolder per class, in one form."""

import json
import math
import os
from pathlib import Path

import pyarrow
import pytest
from catalog_helpers import touch, write, write_table
from pyarrow import parquet

from tagger.catalog.labelled import labelled_items, labels_location, photo_files
from tagger.catalog.settings import SourceSettings
from tagger.errors import DatasetError, SourceError


def columns_of(given: Path, **options: str) -> list[dict[str, object]]:
    """Return the columns of all labelled photos of a source."""
    return [dict(item.columns) for item in labelled_items(str(given), **options)]


def test_subfolders_are_labels(tmp_path: Path) -> None:
    """The first folder of a photo's path is its label, however deep it lies."""
    touch(tmp_path, "Bag/1.jpg", "Bag/more/2.jpg", "Coat/3.jpg")
    found = list(labelled_items(str(tmp_path)))
    assert [(item.path, item.columns["label"]) for item in found] == [
        ("Bag/1.jpg", "Bag"),
        ("Bag/more/2.jpg", "Bag"),
        ("Coat/3.jpg", "Coat"),
    ]
    assert all(item.columns["kind"] == item.columns["group"] == "" for item in found)
    assert not any(item.columns["flagged"] for item in found)


def test_a_photo_outside_any_subfolder_is_refused(tmp_path: Path) -> None:
    """It has no label, and the error names it and both remedies."""
    touch(tmp_path, "Bag/1.jpg", "stray.jpg")
    with pytest.raises(DatasetError, match=r"holds stray\.jpg outside any subfolder; sort .* or give a table"):
        list(labelled_items(str(tmp_path)))


def test_a_folders_own_table_labels_it(tmp_path: Path) -> None:
    """`labels.csv` within a folder is used instead of the subfolders, and its paths start from the folder."""
    touch(tmp_path, "Bag/1.jpg", "stray.jpg")
    assert labels_location(str(tmp_path)) == tmp_path
    write(tmp_path / "labels.csv", "path,label\nstray.jpg,Coat\n")
    assert labels_location(str(tmp_path)) == tmp_path / "labels.csv"
    ((item),) = labelled_items(str(tmp_path))
    assert (item.file, item.columns["label"]) == (tmp_path / "stray.jpg", "Coat")


def test_columns_may_be_given(tmp_path: Path) -> None:
    """The options name the image and the label column; a table without either is an error that names it."""
    table = write_table(tmp_path / "t.csv", ["path", "photo 2", "label", "truth"], [["a.jpg", "b.jpg", "Bag", "Coat"]])
    ((item),) = labelled_items(str(table), SourceSettings("photo 2"), "truth")
    assert (item.path, item.columns["label"]) == ("b.jpg", "Coat")
    bare = write_table(tmp_path / "bare.csv", ["path", "sku"], [["a.jpg", "1"]])
    with pytest.raises(SourceError, match=r"bare\.csv has no label column .* --label-column"):
        list(labelled_items(str(bare)))


def test_kind_and_group_are_the_tables(tmp_path: Path) -> None:
    """They are kept as they are, and empty for a table without them."""
    table = write_table(tmp_path / "t.csv", ["path", "label", "kind", "group"], [["a.jpg", "Bag", "home", "7"]])
    assert columns_of(table) == [{"label": "Bag", "kind": "home", "group": "7", "flagged": False}]
    table = write_table(tmp_path / "u.csv", ["path", "label"], [["a.jpg", "Bag"]])
    assert columns_of(table) == [{"label": "Bag", "kind": "", "group": "", "flagged": False}]


@pytest.mark.parametrize(("low", "flagged"), [("true", True), ("True", True), ("false", False), ("", False)])
def test_an_output_of_a_run_keeps_its_flags(tmp_path: Path, low: str, flagged: bool) -> None:
    """Its `group` is a group of labels and so none of photos; a column of that name in another table flags nothing."""
    columns = ["path", "tag", "low_confidence", "group", "group_confidence"]
    table = write_table(tmp_path / "tags.csv", columns, [["a.jpg", "Bag", low, "accessory", "0.9"]])
    assert columns_of(table) == [{"label": "Bag", "kind": "", "group": "", "flagged": flagged}]
    table = write_table(tmp_path / "own.csv", columns[:4], [["a.jpg", "Bag", low, "accessory"]])
    assert columns_of(table) == [{"label": "Bag", "kind": "", "group": "accessory", "flagged": False}]


def test_missing_values_are_empty_text(tmp_path: Path) -> None:
    """None and NaN, which Parquet has for missing texts and numbers, are no label and no group."""
    table = pyarrow.table({"path": ["a.jpg", "b.jpg"], "label": ["Bag", None], "group": [math.nan, 7.0]})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert [(row["label"], row["group"]) for row in columns_of(tmp_path / "t.parquet")] == [("Bag", ""), ("", 7.0)]


def test_text_that_utf8_cannot_hold_is_escaped(tmp_path: Path) -> None:
    """Labels go into cards and groups into tables, which are UTF-8."""
    write(tmp_path / "t.jsonl", json.dumps({"path": "a.jpg", "label": "\ud800", "group": "\udc80", "kind": ["x"]}))
    assert columns_of(tmp_path / "t.jsonl") == [{"label": r"\ud800", "kind": ["x"], "group": r"\udc80", "flagged": False}]
    touch(tmp_path / "shop", os.fsdecode(b"caf\xe9/1.jpg"))
    assert [row["label"] for row in columns_of(tmp_path / "shop")] == [r"caf\udce9"]


def test_bad_rows_are_kept_and_those_without_an_image_are_not(tmp_path: Path) -> None:
    """A row of an address is an item with its problem, for the caller to report; an empty cell shows nothing to label."""
    rows = [["", "Bag"], ["https://shop.example/b.jpg", "Bag"], ["a.jpg", "Coat"]]
    table = write_table(tmp_path / "t.csv", ["path", "label"], rows)
    assert [item.problem is None for item in labelled_items(str(table))] == [False, True]


def test_files_of_all_readable_sources(tmp_path: Path) -> None:
    """Rows without a file and sources that cannot be read are passed over."""
    touch(tmp_path / "shop", "Bag/1.jpg")
    table = write_table(tmp_path / "t.csv", ["photo", "label"], [["", "Bag"], ["a.jpg", "Coat"]])
    files = photo_files([str(tmp_path / "none"), str(tmp_path / "shop"), str(table)])
    assert list(files) == [tmp_path / "shop/Bag/1.jpg", tmp_path / "a.jpg"]


def test_a_single_photo_is_refused(tmp_path: Path) -> None:
    """It has no label; the error says what has."""
    photo = touch(tmp_path, "a.jpg") / "a.jpg"
    with pytest.raises(SourceError, match=r"a\.jpg is a single photo without a label; give a folder .* or a table"):
        list(labelled_items(str(photo)))
