"""The bytes of photos in a Parquet table become items that say where they are, and no cell repeats them."""

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from catalog_helpers import cells, items, reasons
from pyarrow import parquet

from tagger.catalog.embedded_columns import EmbeddedColumns
from tagger.catalog.settings import SourceSettings
from tagger.catalog.source import open_source
from tagger.embedded_photos import open_table, read_embedded
from tagger.records import EmbeddedPhoto

JPEG = b"\xff\xd8\xff\xe0 one"
PNG = b"\x89PNG\r\n\x1a\n two"


def write(folder: Path, **columns: Any) -> Path:
    """Write a Parquet table of these columns and return its path."""
    parquet.write_table(pyarrow.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def bytes_of(table: Path) -> list[object]:
    """Return the bytes of each item's photo, the path of one that is a file, None where there is none."""
    found = []
    for item in items(table):
        read = read_embedded(item.place) if isinstance(item.place, EmbeddedPhoto) else (item.place and item.path,)
        found.append(read[0] if isinstance(read, tuple) else read)
    return found


def test_structures_of_bytes_and_path(tmp_path: Path) -> None:
    """As data sets have them: bytes are the photo, else the path is; a row with neither has no image."""
    (tmp_path / "b.jpg").touch()
    rows = [{"bytes": JPEG, "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, {"bytes": None, "path": None}, None]
    table = write(tmp_path, image=rows, label=[0, 1, 2, 3])
    assert [item.path for item in items(table)] == ["a.jpg", "b.jpg", "", ""]
    assert bytes_of(table) == [JPEG, "b.jpg", None, None]
    assert reasons(items(table)) == ["", "", "no_image", "no_image"]
    assert cells(items(table)) == [[rows[0] | {"bytes": None}, 0], [rows[1], 1], [rows[2], 2], [None, 3]]


def test_a_path_that_two_rows_have_names_neither(tmp_path: Path) -> None:
    """Each goes by its row, as a row of the output and its result belong to a path; a file of that path stays itself."""
    (tmp_path / "x.jpg").touch()
    rows = [{"bytes": JPEG, "path": "x.jpg"}, {"bytes": PNG, "path": "x.jpg"}, {"bytes": None, "path": "x.jpg"}]
    table = write(tmp_path, image=rows)
    assert [item.path for item in items(table)] == ["t.parquet#0", "t.parquet#1", "x.jpg"]
    assert bytes_of(table) == [JPEG, PNG, "x.jpg"]


@pytest.mark.parametrize("kind", [pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary(8)])
def test_columns_of_bytes(tmp_path: Path, kind: pyarrow.DataType) -> None:
    """Of any binary type; nothing in a cell is no image."""
    table = write(tmp_path, image=pyarrow.array([JPEG[:8], None, PNG[:8]], kind), sku=[1, 2, 3])
    assert bytes_of(table) == [JPEG[:8], None, PNG[:8]]
    assert [item.path for item in items(table)] == ["t.parquet#0", "", "t.parquet#2"]
    assert cells(items(table)) == [[None, 1], [None, 2], [None, 3]]


def test_paths_that_are_stored_as_bytes(tmp_path: Path) -> None:
    """Some systems write text without saying that it is text; the cell stays what it was."""
    (tmp_path / "a.jpg").touch()
    table = write(tmp_path, image=[b"a.jpg", b"", b"\x00\x01nothing"])
    assert bytes_of(table) == ["a.jpg", None, b"\x00\x01nothing"]
    assert cells(items(table)) == [[b"a.jpg"], [None], [None]]


def test_lists_of_bytes(tmp_path: Path) -> None:
    """The first one counts, or each, by its number in the row."""
    table = write(tmp_path, images=[[JPEG, PNG], [], [PNG]])
    found = [*open_source(str(table), SourceSettings("images", all_images=True)).items]
    assert [item.path for item in found] == ["t.parquet#0", "t.parquet#0.1", "", "t.parquet#2"]
    assert [item.path for item in open_source(str(table), SourceSettings("images")).items] == ["t.parquet#0", "", "t.parquet#2"]
    assert cells(found)[0] == [[None, None]]


def test_several_image_columns(tmp_path: Path) -> None:
    """A photo of a further column is named by it, and a path that both columns have names neither."""
    same = [{"bytes": JPEG, "path": "1.jpg"}]
    table = write(tmp_path, front=same, back=[{"bytes": PNG, "path": "1.jpg"}], mask=same)
    with open_table(str(table)) as file:
        columns = EmbeddedColumns(table, file, ["front", "back"])
        (row,) = file.read().to_pylist()
        found, cells = columns.split(row)
    assert [one.name for one in found if isinstance(one, EmbeddedPhoto)] == ["t.parquet#0", "t.parquet#0/back"]
    assert [cell["bytes"] for cell in cells.values() if isinstance(cell, dict)] == [None] * 3


def test_other_columns_of_bytes_stay(tmp_path: Path) -> None:
    """Only images are left out."""
    table = write(tmp_path, image=["a.jpg"], key=[b"\xff\0"])
    assert cells(items(table)) == [["a.jpg", b"\xff\0"]]
