"""A source that is neither a photo nor a table is refused before anything is written, with a remedy."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow
import pytest
from helpers import draw_photo, rows_of
from pyarrow import parquet

from tagger.cli.main import main
from tagger.file_kinds import TABLE_SUFFIXES, is_photo

Run = Callable[..., tuple[int, str]]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `fmtag run SOURCE --out tags.csv` on a photo's folder that holds an older output; return its exit code and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    draw_photo(3).save("a.jpg")
    Path("tags.csv").write_text("the good rows of last night\n")

    def call(source: str, *options: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["run", source, "--out", "tags.csv", *options])
        return int(left.value.code or 0), capsys.readouterr().err

    return call


def assert_refused(done: tuple[int, str], *parts: str) -> None:
    """Assert that a run ended with one line that holds the parts, and left the output as it was."""
    code, message = done
    assert (code, message.count("\n")) == (1, 1), message
    for part in parts:
        assert part in message
    assert Path("tags.csv").read_text() == "the good rows of last night\n"


def zipped(*names: str) -> bytes:
    """Return a ZIP archive with files of these names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return packed.getvalue()


def tarred() -> bytes:
    """Return a tar archive with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return packed.getvalue()


def database() -> bytes:
    """Return an SQLite file."""
    with closing(sqlite3.connect(":memory:")) as sql:
        sql.execute("CREATE TABLE some (thing)")
        return sql.serialize() if hasattr(sql, "serialize") else b"SQLite format 3\0" + bytes(84)


def parquet_table() -> bytes:
    """Return a Parquet table with an image column."""
    packed = io.BytesIO()
    parquet.write_table(pyarrow.table({"path": ["a.jpg"]}), packed)
    return packed.getvalue()


CSV = b"sku,image\n1,a.jpg\n"
OBJECT = {"sku": 1, "image": "a.jpg"}
FILES = {
    "catalog.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a spreadsheet", "save it as .xlsx"),
    "catalog.ods": (zipped("mimetype"), "a spreadsheet", "save it as .xlsx"),
    "catalog.xlsb": (zipped("xl/workbook.bin"), "a spreadsheet", "save it as .xlsx"),
    "photos.zip": (zipped("a.jpg"), "an archive", "unpack it"),
    "photos.tar": (tarred(), "an archive", "unpack it"),
    "feed.xml": (b"<?xml version='1.0'?><feed/>", "an XML or HTML document", "save it as .xlsx"),
    "page.html": (b"\n<!DOCTYPE html><table>", "an HTML page", "export it as CSV"),
    "photos.tar.gz": (gzip.compress(tarred(), mtime=0), "an archive", "unpack it"),
    "catalog.parquet.gz": (gzip.compress(parquet_table(), mtime=0), "a compressed Parquet table", "decompress it"),
    "old.sqlite": (database(), "a database", "made from"),
    "lookbook.pdf": (b"%PDF-1.7\n", "a PDF document", "JPEG or PNG"),
    "model.bin": (bytes(range(256)), "a file of an unknown kind", "JPEG or PNG"),
    "sound.wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(range(256)), "a sound or video file", "give the photo itself"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_refused(run: Run, name: str) -> None:
    """A file that is neither a photo nor a table by content is refused, with its kind, the remedy and what is read."""
    content, *parts = FILES[name]
    Path(name).write_bytes(content)
    assert_refused(run(name), f"{name} is ", *parts, "fmtag reads folders, photos (JPEG, ", *TABLE_SUFFIXES)


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
@pytest.mark.parametrize("name", ["photos.tar", "feed.xml", "lookbook.pdf", "old.sqlite"])
def test_a_file_renamed_to_a_table_is_refused(run: Run, name: str, suffix: str) -> None:
    """A spreadsheet, an archive, a document or the like with a table's suffix is refused with its actual kind."""
    content, *parts = FILES[name]
    Path(f"catalog{suffix}").write_bytes(content)
    assert_refused(run(f"catalog{suffix}"), f"catalog{suffix} is ", *parts)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("t.json", json.dumps({"rows": [OBJECT]}, indent=2).encode(), "no line that holds a JSON object"),
        ("t.json", b"[]", "no line that holds a JSON object"),
        ("t.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "a damaged Excel workbook"),
        ("t.xlsx", b"PK\x03\x04" + bytes(600), "a damaged Excel workbook"),
        (
            "t.csv.gz",
            gzip.compress(random.Random(1).randbytes(9000).hex().encode(), mtime=0)[:-900],
            "a damaged compressed file",
        ),
        ("t.txt", b"BMW and others\n", "no image column"),
        ("nothing", b"", "is empty"),
        ("t.csv", b"\xff\xd8\xff\xe0" + bytes(range(256)), "a photo, not a table"),
        ("t.csv", bytes(range(255, 0, -1)), "t.csv"),
        ("t.csv", b"", "t.csv is empty"),
    ],
)
def test_a_table_of_another_format_is_refused(run: Run, name: str, content: bytes, part: str) -> None:
    """One text format under another's suffix, UTF-16 without a mark, a photo and noise are one line each."""
    Path(name).write_bytes(content)
    assert_refused(run(name), name, part)


def test_a_label_map_of_another_kind_is_refused(run: Run) -> None:
    """A spreadsheet given to --label-map is refused as it is as a source."""
    Path("names.xls").write_bytes(FILES["catalog.xls"][0])
    assert_refused(run("a.jpg", "--label-map", "names.xls"), "names.xls is a spreadsheet", "save it as .xlsx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(run: Run) -> None:
    """A source that is neither folder nor regular file is not opened, as it might never end; `-` reads paths from stdin."""
    os.mkfifo("pipe.csv")
    assert_refused(run("pipe.csv"), "pipe.csv is not a regular file", "fmtag run -")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("catalog.csv", json.dumps([OBJECT]).encode()),
        ("catalog.jsonl", CSV),
        ("catalog.parquet", CSV),
        ("catalog.xls", CSV),
        ("catalog", CSV.replace(b",", b"\t")),
        ("catalog.csv", parquet_table()),
        ("catalog.txt", CSV.decode().encode("utf-16")),
        ("catalog.csv", "sku;image;n\n1;a.jpg;Größe\n".encode("cp1252")),
        ("catalog.csv.gz", gzip.compress(CSV, mtime=0)),
        ("catalog.csv.bz2", bz2.compress(CSV)),
        ("catalog.csv", lzma.compress(CSV)),
    ],
)
def test_a_table_is_read_whatever_its_name_says(run: Run, name: str, content: bytes) -> None:
    """The content tells its format, encoding, separator and compression."""
    Path(name).write_bytes(content)
    code, heard = run(name)
    assert (code, [row["path"] for row in rows_of(Path("tags.csv"))]) == (0, ["a.jpg"])
    assert ("is read as Windows-1252" in heard) == (b"Gr\xf6\xdfe" in content)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_photo_without_a_suffix_is_a_photo(run: Run, format: str) -> None:
    """A photo is recognised by its content where its name has no suffix."""
    draw_photo(5, (60, 80)).save("upload", format)
    assert is_photo(Path("upload").read_bytes()[:4096])
    assert run("upload")[0] == 0
    assert [row["path"] for row in rows_of(Path("tags.csv"))] == ["upload"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.jpg", b"no photo at all", "not_an_image"),
        ("half.png", b"\x89PNG\r\n\x1a\n\0\0", "truncated"),
        ("empty.webp", b"", "truncated"),
        ("upload", b"\xff\xd8\xff\xe0\0\x10JFIF", "truncated"),
    ],
)
def test_a_damaged_photo_is_a_row(run: Run, name: str, content: bytes, reason: str) -> None:
    """A photo by its suffix or its first bytes is one row, whatever is wrong with it, and the exit code is 3."""
    Path(name).write_bytes(content)
    assert run(name)[0] == 3
    assert [(row["path"], row["reason"]) for row in rows_of(Path("tags.csv"))] == [(name, reason)]


def test_ndjson_is_read_like_jsonl(run: Run) -> None:
    """A file with one JSON object per line is a table with either suffix."""
    Path("catalog.ndjson").write_text(json.dumps(OBJECT) + "\n")
    assert run("catalog.ndjson")[0] == 0
    assert [(row["sku"], row["path"]) for row in rows_of(Path("tags.csv"))] == [("1", "a.jpg")]
