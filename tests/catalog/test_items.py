"""A row or line whose path cannot name a file is a bad row in its place; every other one has its file."""

import os
from pathlib import Path

import pytest
from catalog_helpers import cells, each_table, items, reasons, touch, write_table

from tagger.catalog.items import make_item, row_items, with_image
from tagger.catalog.settings import SourceSettings
from tagger.records import Failed


@each_table
def test_rows_without_a_file_are_rows_all_the_same(tmp_path: Path, suffix: str) -> None:
    """An empty cell has no image and a web address is a bad row, each with its cells and between its neighbours."""
    addresses = ["https://shop.example/b.jpg", "HTTP://x/c.jpg", "s3://bucket/d.jpg", "gs://bucket/e.jpg"]
    paths = ["a.jpg", "", "  ", *addresses, "f.jpg"]
    rows = [[path, str(number)] for number, path in enumerate(paths)]
    found = items(write_table(tmp_path / f"t{suffix}", ["path", "sku"], rows))
    assert cells(found) == rows
    assert reasons(found) == ["", *["no_image"] * 2, *["bad_row"] * 4, ""]
    assert [item.file is None for item in found] == [False, *[True] * 6, False]


@pytest.mark.parametrize("path", ["a\0.jpg", "\ud800.jpg", "ä\0.jpg"])
def test_a_path_that_no_file_can_have_is_a_bad_row(path: str) -> None:
    """A null byte or half a character is not handed to the system, and is shown escaped."""
    item = make_item(path, Path(path), {"sku": "1"})
    assert (item.path, item.file, item.columns) == (path, None, {"sku": "1"})
    assert item.problem == Failed("bad_row", f"{path!r}: a path that no file can have")


@pytest.mark.parametrize("path", ["C:\\photos\\a.jpg", "a:b.jpg", "1://x.jpg", os.fsdecode(b"caf\xe9.jpg")])
def test_odd_paths_are_still_paths(path: str) -> None:
    """A drive's letter, a colon and bytes that are not UTF-8 make no address and no bad row."""
    assert make_item(path, Path(path), {}).problem is None


def test_a_problem_of_the_row_comes_first() -> None:
    """What the table's reader found wrong is not replaced by what is wrong with the path."""
    problem = Failed("bad_row", "t.csv: a row with more cells than columns")
    assert make_item("", Path(), {}, problem).problem is problem


def test_the_first_cell_with_an_image_counts(tmp_path: Path) -> None:
    """A further column stands in for an empty one; all of them are items where each image is wanted, each once."""
    touch(tmp_path, "a.jpg", "b.jpg")
    row = {"image": "", "more": "a.jpg, b.jpg", "last": "a.jpg"}
    first = [*row_items([*row.values()], row, tmp_path, SourceSettings())]
    assert [(item.path, item.file, item.columns) for item in first] == [("a.jpg", tmp_path / "a.jpg", row)]
    each = [*row_items([*row.values()], row, tmp_path, SourceSettings(all_images=True))]
    assert [item.path for item in each] == ["a.jpg", "b.jpg"]
    (one,) = row_items([row["more"]], row, tmp_path, SourceSettings(), separators="")
    assert one.path == row["more"]


def test_a_missing_photo_keeps_its_place_and_a_sentence(tmp_path: Path) -> None:
    """So that the ledger knows it as missing; one of which nothing is known is left to whoever reads it."""
    touch(tmp_path, "a.jpeg")
    hinted, plain = (next(row_items([text], {}, tmp_path, SourceSettings())) for text in ("a.jpg", "b.jpg"))
    assert (hinted.file, hinted.problem) == (
        tmp_path / "a.jpg",
        Failed("missing", "a.jpg does not exist; its folder has a.jpeg"),
    )
    assert (plain.file, plain.problem) == (tmp_path / "b.jpg", None)


def test_items_with_an_image(tmp_path: Path) -> None:
    """Rows without one are left out, bad rows are not."""
    images = ["a.jpg", "", "https://x.example/b.jpg", None]
    found = [next(row_items([image], {}, tmp_path, SourceSettings())) for image in images]
    assert [item.path for item in with_image(found)] == ["a.jpg", "https://x.example/b.jpg"]
