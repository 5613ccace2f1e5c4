"""The columns of an output that are not fmtag's own are read, whatever its format."""

import json
import os
import shutil
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from queue_helpers import tag, write_table

from tagger.errors import SourceError
from tagger.review.output_rows import other_columns, read_output

COLUMNS = ("image", "sku", "name", "source_tag")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of photos with a SKU, a name, and a column that is called as one of fmtag's own."""
    return write_table(tmp_path_factory.mktemp("rows") / "catalog")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("options", [(), ("--top-k", "3")])
def test_each_format_of_a_run_gives_the_cells_of_its_table(
    table: Path, tmp_path: Path, photo_bundle: Path, suffix: str, options: tuple[str, ...]
) -> None:
    """Path and cells of every row are those of the source; no column of fmtag's is among them."""
    out = tmp_path / f"tags{suffix}"
    tag(table, out, photo_bundle, *options)
    columns, rows = read_output(out)
    found = dict(rows)
    assert columns == COLUMNS
    assert len(found) == 12
    assert found["a/0001.jpg"] == ["a/0001.jpg", "SKU-1", "Größe 1, blau", '100% "new"']


def test_what_excel_must_not_run_is_read_without_its_apostrophe(tmp_path: Path, photo_bundle: Path) -> None:
    """`--excel` writes '=cell; path and cells are those of the source all the same."""
    table = write_table(tmp_path / "catalog")
    shutil.copy(table.parent / "a" / "0003.jpg", table.parent / "=odd.jpg")
    table.write_text("image,sku\n=odd.jpg,-17\n", encoding="utf-8")
    tag(table, tmp_path / "tags.csv", photo_bundle, "--excel")
    assert list(read_output(tmp_path / "tags.csv").rows) == [("=odd.jpg", ["=odd.jpg", "-17"])]


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no Unicode")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_names_that_are_no_unicode_are_the_ledgers(tmp_path: Path, photo_bundle: Path, suffix: str) -> None:
    """A path that the output has escaped is read as the ledger has it."""
    table = write_table(tmp_path / "catalog")
    odd = os.fsdecode(b"a/odd\xff.jpg")
    shutil.copy(table.parent / "a" / "0003.jpg", table.parent / odd)
    tag(table.parent / "a", tmp_path / f"tags{suffix}", photo_bundle)
    assert odd.removeprefix("a/") in dict(read_output(tmp_path / f"tags{suffix}").rows)


def test_a_table_that_a_spreadsheet_has_saved_again_is_read(tmp_path: Path) -> None:
    """Semicolons, a byte order mark and Windows-1252 are told as for any other table."""
    text = 'sku;path;tag;confidence;remark\r\nÄ1;a.jpg;Bag;0.5;"two\r\nlines"\r\n'
    for name, content in (("marked", text.encode("utf-8-sig")), ("western", text.encode("cp1252"))):
        (tmp_path / f"{name}.csv").write_bytes(content)
        columns, rows = read_output(tmp_path / f"{name}.csv")
        assert columns == ("sku", "remark")
        assert list(rows) == [("a.jpg", ["Ä1", "two\r\nlines"])]


def test_columns_of_a_source_may_be_called_as_ours() -> None:
    """Those before `path` are the source's, whatever their names; behind it fmtag's own are left out."""
    names = ["tag_2", "sku", "path", "tag", "confidence", "tag_2x", "confidence_2", "model", "remark"]
    assert [names[at] for at in other_columns(names)] == ["tag_2", "sku", "tag_2x", "remark"]


def test_photos_in_a_parquet_output_are_not_read(tmp_path: Path) -> None:
    """A column of bytes, or of structures with bytes, is none to show or search."""
    rows = [{"photo": {"bytes": b"\xff\xd8", "path": None}, "raw": b"\0", "sku": 7, "path": "t#0", "tag": "Bag"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "tags.parquet")
    columns, cells = read_output(tmp_path / "tags.parquet")
    assert columns == ("sku",)
    assert list(cells) == [("t#0", ["7"])]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tags.csv", b"sku,name\n1,a\n", "is no output of `fmtag run`"),
        ("tags.csv", b"", "is no output of `fmtag run`"),
        ("tags.jsonl", b'{"sku": 1}\n', "is no output of `fmtag run`"),
        ("tags.jsonl", b'{"path": "a"}\n{"path": "b", }\n', "cannot be read"),
        ("tags.parquet", b"PAR1 and no more", "cannot be read"),
        ("tags.csv", b"\x1f\x8b\x08 damaged", "damaged"),
    ],
)
def test_other_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """What is no output, or a damaged one, is told as such, at once or where the damage is."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(read_output(tmp_path / name).rows)


def test_a_missing_output_is_one_sentence(tmp_path: Path) -> None:
    """The sentence names the file."""
    with pytest.raises(SourceError, match=r"tags\.csv cannot be read"):
        read_output(tmp_path / "tags.csv")


def test_rows_of_json_are_not_in_memory_at_once(tmp_path: Path) -> None:
    """The first row is there before the last line has been read, which is damaged."""
    lines = [json.dumps({"sku": number, "path": f"{number}.jpg"}) for number in range(3)]
    (tmp_path / "tags.jsonl").write_text("\n".join([*lines, "{broken}"]))
    rows = read_output(tmp_path / "tags.jsonl").rows
    assert next(rows) == ("0.jpg", ["0"])
    with pytest.raises(SourceError):
        list(rows)
