"""Tables of every format become streams of items: one per row, in order, with the cells unchanged."""

import json
from pathlib import Path

import pyarrow
import pytest
from catalog_helpers import cells, each_table, items, reasons, write, write_table
from pyarrow import parquet

from tagger.catalog import tables
from tagger.catalog.source import open_source
from tagger.catalog.tables import MAX_NESTING, read_table
from tagger.errors import SourceError
from tagger.records import Item

# All formats -------------------------------------------------------------------------------------------------------


@each_table
def test_other_columns_are_unchanged(tmp_path: Path, suffix: str) -> None:
    """All columns are kept in their order: leading zeros, "NA", "", quotes, line breaks and all scripts."""
    columns = ["sku", "path", "name", "ean", "note"]
    rows = [
        ["0012", "a.jpg", "Hemd, blau", "0000000000017", ""],
        ["1e5", "Größe/ü.jpg", 'he said "so"', "NaN", "NA"],
        ["007", "c.jpg", "two\nlines", "null", "None"],
        ["TRUE", "d.jpg", "чай 茶 🧦", "1.0", " spaces "],
        ["-1", "e.jpg", "two\r\nlines\rand a half", "inf", "2024-01-02"],
    ]
    source = open_source(str(write_table(tmp_path / f"t{suffix}", columns, rows)))
    found = list(source.items)
    assert source.columns == tuple(columns)
    assert [list(item.columns) for item in found] == [columns] * 5
    assert cells(found) == rows
    assert reasons(found) == [""] * 5


@each_table
def test_paths_are_relative_to_the_table(tmp_path: Path, suffix: str) -> None:
    """A relative path starts from the table's folder, an absolute one stays; the item has it as it was given."""
    folder = tmp_path / "shop"
    folder.mkdir()
    elsewhere = str(tmp_path / "b.jpg")
    found = items(write_table(folder / f"t{suffix}", ["path"], [["img/a.jpg"], [elsewhere], ["../c.jpg"]]))
    assert [item.path for item in found] == ["img/a.jpg", elsewhere, "../c.jpg"]
    assert [item.file for item in found] == [folder / "img/a.jpg", Path(elsewhere), folder / "../c.jpg"]


@each_table
def test_empty_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    """A table of no bytes is an error of one sentence that names it."""
    with pytest.raises(SourceError, match=rf"t\{suffix}") as caught:
        items(write(tmp_path / f"t{suffix}", ""))
    assert "\n" not in str(caught.value)


# JSON Lines and Parquet ---------------------------------------------------------------------------------------------


def test_damaged_parquet_is_an_error(tmp_path: Path) -> None:
    """A Parquet file that was cut, or is another kind of file, is an error of one line that names it."""
    table = write_table(tmp_path / "whole.parquet", ["path"], [["a.jpg"]])
    contents = {"cut.parquet is damaged": table.read_bytes()[:-20], "other.parquet is an archive": b"PK\x03\x04" * 100}
    for sentence, content in contents.items():
        name = sentence.split()[0]
        with pytest.raises(SourceError, match=sentence) as caught:
            items(write(tmp_path / name, content))
        assert "\n" not in str(caught.value)


def test_parquet_with_damaged_pages_is_an_error(tmp_path: Path) -> None:
    """A Parquet file with an intact end but damaged pages is an error that names the table."""
    table = write_table(tmp_path / "t.parquet", ["path"], [[f"{number}.jpg"] for number in range(5000)])
    content = bytearray(table.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    with pytest.raises(SourceError, match=r"t\.parquet"):
        items(write(table, bytes(content)))


def test_parquet_keeps_types(tmp_path: Path) -> None:
    """The types of a Parquet table are kept, and its values are not turned into text."""
    table = pyarrow.table({"path": ["a.jpg", None], "price": [1.5, None], "stock": pyarrow.array([3, 4], "uint8")})
    parquet.write_table(table, tmp_path / "t.parquet")
    source = open_source(str(tmp_path / "t.parquet"))
    found = list(source.items)
    assert source.schema == table.schema
    assert cells(found) == [["a.jpg", 1.5, 3], [None, None, 4]]
    assert reasons(found) == ["", "no_image"]


def test_bad_json_line_is_a_bad_row(tmp_path: Path) -> None:
    """A line that is not a JSON object is a bad row in its place; blank lines are skipped."""
    bad = ["{broken", "[1, 2]", "null", '"b.jpg"', "", "[" * 100_000, '{"path": 7}', '{"sku": 8}']
    lines = ['{"path": "a.jpg", "sku": 1}', *bad, '{"path": "c.jpg", "sku": null}']
    found = items(write(tmp_path / "t.jsonl", "\n".join(lines)))
    assert [item.path for item in found] == ["a.jpg", *[""] * 7, "c.jpg"]
    assert reasons(found) == ["", *["bad_row"] * 6, "no_image", ""]
    assert cells(found)[-3:] == [[7, None], [None, 8], ["c.jpg", None]]


def test_late_json_keys_are_columns(tmp_path: Path) -> None:
    """A key that only a late line has is a column of all rows, and values keep their types."""
    lines = [{"sku": "01", "path": "a.jpg"}] * 3 + [{"path": "b.jpg", "tags": ["x"], "price": 1.5}]
    source = open_source(str(write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, lines)))))
    assert source.columns == ("sku", "path", "tags", "price")
    assert cells(list(source.items)) == [["01", "a.jpg", None, None]] * 3 + [[None, "b.jpg", ["x"], 1.5]]


def nested(levels: int) -> str:
    """Return JSON of that many lists in each other."""
    return "[" * levels + "]" * levels


def test_a_value_may_be_nested_as_deep_as_the_limit(tmp_path: Path) -> None:
    """A value at the limit is kept; one level more makes the row a bad one and its value None."""
    lines = [f'{{"path": "a.jpg", "more": {nested(levels)}}}' for levels in (MAX_NESTING, MAX_NESTING + 1)]
    found = items(write(tmp_path / "t.jsonl", "\n".join(lines)))
    assert [item.columns["more"] is None for item in found] == [False, True]
    assert reasons(found) == ["", "bad_row"]
    assert "the value of 'more' is nested more than 100 levels deep" in str(found[1].problem)


def test_objects_nest_like_lists(tmp_path: Path) -> None:
    """The levels of objects count too, also where lists and objects alternate."""
    deep = '{"a": [' * 51 + "]}" * 51
    found = items(write(tmp_path / "t.jsonl", f'{{"path": "a.jpg", "more": {deep}}}\n'))
    assert reasons(found) == ["bad_row"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(LookupError("a fault\non two lines"), "a fault"), (LookupError("'x'"), "'x'"), (KeyError(), "KeyError")],
)
def test_whatever_a_reader_raises_names_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """An unforeseen error is one sentence with the table's name and the error's first line, or else its kind."""

    def failing(*_: object) -> Item:
        raise error

    monkeypatch.setattr(tables, "_typed_items", failing)
    table = write(tmp_path / "list.jsonl", '{"image": "a.jpg"}\n')
    with pytest.raises(SourceError) as caught:
        items(table)
    assert str(caught.value) == f"{table} is damaged ({reason}); export the table again as UTF-8 jsonl."


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), OSError("Input/output error")])
def test_a_table_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """The error has the system's reason."""

    def failing(path: Path) -> None:
        raise error

    monkeypatch.setattr(tables, "check_table", failing)
    with pytest.raises(SourceError, match=r"t\.csv cannot be read: Input/output error\.$"):
        read_table(tmp_path / "t.csv")
