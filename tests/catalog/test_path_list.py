"""Lists of paths: any common encoding and separator, each path as soon as it has come, rubbish in one sentence."""

import gzip
import io
import os
from pathlib import Path

import pytest
from catalog_helpers import reasons
from helpers import draw_photo

from tagger.catalog.path_list import MAX_PATH, listed_items
from tagger.errors import SourceError
from tagger.records import Item


def listed(content: bytes, null_separated: bool = False) -> list[Item]:
    """Return the items of a list."""
    return list(listed_items(io.BytesIO(content), null_separated))


def refusal(content: bytes, null_separated: bool = False) -> str:
    """Return the sentence with which a list is refused."""
    with pytest.raises(SourceError) as caught:
        listed(content, null_separated)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def photo(format: str) -> bytes:
    """Return the bytes of a photo."""
    file = io.BytesIO()
    draw_photo(1, (40, 60)).save(file, format)
    return file.getvalue()


def test_each_line_is_a_path() -> None:
    """Either line end is taken, with or without a last one; blanks, quotes and marks within a line stay."""
    found = listed(b'a.jpg\r\nsub dir/b.jpg\n/c.jpg\r\n d.jpg \n#e.jpg\n"f.jpg"\n./g.jpg')
    paths = ["a.jpg", "sub dir/b.jpg", "/c.jpg", " d.jpg ", "#e.jpg", '"f.jpg"', "./g.jpg"]
    assert [item.path for item in found] == paths
    assert [item.file for item in found] == [Path(path) for path in paths]


def test_every_line_is_an_item_in_its_place() -> None:
    """An empty line, an address and a name that is not UTF-8 are items too, and so is a line with a NUL."""
    found = listed(b"a.jpg\n\nhttps://x/b.jpg\ncaf\xe9.jpg\nb\0.jpg\n")
    assert [os.fsencode(item.path) for item in found] == [b"a.jpg", b"", b"https://x/b.jpg", b"caf\xe9.jpg", b"b\0.jpg"]
    assert [bool(reason) for reason in reasons(found)] == [False, True, True, False, True]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_a_list_in_unicode_is_read(encoding: str, end: str) -> None:
    """UTF-8 with and without a byte order mark, and UTF-16 with one, hold the same paths, also beyond 16 bits."""
    paths = ["Mäntel/č.jpg", "ਊ.jpg", "👗/1.jpg"]  # the second has the bytes of a line break in UTF-16
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    content = (mark + "".join(path + end for path in paths)).encode(encoding)
    assert [item.path for item in listed(content, end == "\0")] == paths


def test_paths_that_end_with_nul_may_hold_line_breaks() -> None:
    """All other bytes belong to a name; an empty path is an item too, nothing after the last NUL is none."""
    found = listed(b"a\nb.jpg\0c\r\0\0caf\xe9.jpg", null_separated=True)
    assert [os.fsencode(item.path) for item in found] == [b"a\nb.jpg", b"c\r", b"", b"caf\xe9.jpg"]
    assert listed(b"one.jpg", null_separated=True)[0].path == "one.jpg"


@pytest.mark.parametrize("null_separated", [False, True])
def test_a_path_is_an_item_before_the_next_has_come(null_separated: bool) -> None:
    """A pipe can feed a run: its first path is there while its writer still looks for the second one."""
    end = b"\0" if null_separated else b"\n"
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream:
        items = listed_items(stream, null_separated)
        os.write(writer, b"a.jpg" + end + b"b")
        assert next(items).path == "a.jpg"
        os.write(writer, b".jpg" + end)
        assert next(items).path == "b.jpg"
        os.close(writer)
        assert list(items) == []


def test_a_long_list_is_read_across_chunks() -> None:
    """Paths and characters that a chunk of the stream cuts in two are whole."""
    paths = [f"Mäntel/{number}.jpg" for number in range(8_000)]
    for encoding in ("utf-8", "utf-16"):
        assert [item.path for item in listed("\n".join(paths).encode(encoding))] == paths


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_list_has_no_items(content: bytes) -> None:
    """Neither nothing nor a byte order mark alone is a path."""
    assert listed(content) == listed(content, null_separated=True) == []


NOT_LISTS = {
    "paths that end with NUL": (b"a.jpg\0b.jpg\0", "give -0 (--null)"),
    "one path that ends with NUL": (b"a.jpg\0", "give -0 (--null)"),
    "little-endian": (
        "a.jpg\r\nb.jpg\r\n".encode("utf-16-le"),
        "without a byte order mark; write the list as UTF-8",
    ),
    "big-endian": ("a.jpg\n".encode("utf-16-be"), "UTF-16 text without a byte order mark"),
    "JPEG": (photo("JPEG"), "holds a photo"),
    "PNG": (photo("PNG"), "holds a photo"),
    "BMP": (photo("BMP"), "holds a photo"),
    "gzip": (gzip.compress(b"a.jpg\n", mtime=0), "holds a compressed file"),
    "xlsx": (b"PK\3\4" + bytes(26) + b"xl/workbook.xml", "holds a spreadsheet"),
    "JSON Lines": (b'{"path": "a.jpg"}\n', ".jsonl"),
    "zeros": (bytes(2 * MAX_PATH), "holds"),
    "no end": (b"x" * 2 * MAX_PATH, "no path"),
}


@pytest.mark.parametrize("kind", NOT_LISTS)
def test_what_is_no_list_is_refused(kind: str) -> None:
    """What would be rows of rubbish is one sentence that says what came instead."""
    content, part = NOT_LISTS[kind]
    assert part in refusal(content)


def test_a_needless_option_for_nul_is_refused() -> None:
    """Lines that are read with -0 would be one path of all of them."""
    assert "leave out -0 (--null)" in refusal(b"a.jpg\nb.jpg\n", null_separated=True)


@pytest.mark.parametrize(
    "path", [b"GIF89a.jpg", b"BMW.jpg", b"PAR1.jpg", b"{}.jpg", b"[a]/x.jpg", b"\x1b[31mred.jpg", b"%PDF.jpg"]
)
def test_a_path_that_begins_like_a_file_is_a_path(path: bytes) -> None:
    """Text is a list, whatever its first letters stand for in files."""
    assert [item.path.encode() for item in listed(path + b"\n")] == [path]


def test_a_stream_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A standard input that is opened for writing alone is one sentence."""
    with (tmp_path / "out").open("wb") as stream, pytest.raises(SourceError, match="cannot be read"):
        list(listed_items(stream))
