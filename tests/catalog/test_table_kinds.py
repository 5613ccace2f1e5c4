"""The kind of a table is told by its content."""

import gzip
from pathlib import Path

import pytest
from catalog_helpers import write
from helpers import draw_photo

from tagger.catalog.table_kinds import table_kind, text_encoding
from tagger.errors import SourceError


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"sku,image\n", "text"),
        (b"", "text"),
        ("größe;bild\n".encode("latin-1"), "text"),
        (b"a\0b,image\n", "text"),
        ('{"image": 1}'.encode("utf-16"), "json"),
        (b'[{"image": 1}]', "json"),
        (gzip.compress(b'{"image": 1}', mtime=0), "json"),
        (b"PAR1", "parquet"),
    ],
)
def test_kinds_of_tables(tmp_path: Path, content: bytes, kind: str) -> None:
    """Whatever the name says; compressed and encoded ones too."""
    assert table_kind(write(tmp_path / "t.tsv", content)) == kind


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (bytes(range(256)) * 4, "a file of an unknown kind"),
        (b"\xff\xfe" + b"\x00\xd8\x41\x00" * 200, "a file of an unknown kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"a spreadsheet of an old format \(.xls\) or one with a password"),
        (b"<table>", "an HTML page"),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "a damaged compressed file"),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """In one sentence that names the file and its kind."""
    with pytest.raises(SourceError, match=rf"t\.csv is {problem}") as caught:
        table_kind(write(tmp_path / "t.csv", content))
    assert "\n" not in str(caught.value)


def test_photos_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A photo with the name of a table, and a file that cannot be read."""
    draw_photo(1, (20, 20)).save(tmp_path / "t.csv", "JPEG")
    with pytest.raises(SourceError, match="is a photo, not a table"):
        table_kind(tmp_path / "t.csv")
    for function in (table_kind, text_encoding):
        with pytest.raises(SourceError, match=r"none\.csv cannot be read: No such file"):
            function(tmp_path / "none.csv")
