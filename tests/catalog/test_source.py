"""A source is opened by what it is: a folder, an image, a table or a list of paths on standard input."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalog_helpers import items, reasons, touch, write

from tagger.catalog.settings import SourceSettings
from tagger.catalog.source import count_items, open_source
from tagger.errors import SourceError
from tagger.records import Item


def test_one_image_is_one_item(tmp_path: Path) -> None:
    """A file with the suffix of an image is one item, whatever it holds; its path is as it was given."""
    found = items(touch(tmp_path, "a.jpg") / "a.jpg")
    assert [(item.path, item.file) for item in found] == [(str(tmp_path / "a.jpg"), tmp_path / "a.jpg")]


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv", "n" * 300, "a.jpg/below"])
def test_a_source_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    """A source that does not exist, or cannot, is one sentence that names it."""
    touch(tmp_path, "a.jpg")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / name))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def listed(content: bytes) -> list[Item]:
    """Return the items of paths on standard input."""
    return list(open_source("-", stdin=io.BytesIO(content)).items)


def test_standard_input_holds_one_path_per_line() -> None:
    """Each line is a path, with either line end and with or without a last one; blanks within it stay."""
    found = listed(b"a.jpg\r\nsub dir/b.jpg\n/c.jpg\r\n d.jpg ")
    assert [item.path for item in found] == ["a.jpg", "sub dir/b.jpg", "/c.jpg", " d.jpg "]
    assert [item.file for item in found] == [Path(item.path) for item in found]


def test_every_line_is_an_item_in_its_place() -> None:
    """An empty line, an address and a name that is not UTF-8 are items too."""
    found = listed(b"a.jpg\n\nhttps://x/b.jpg\ncaf\xe9.jpg\n")
    assert [os.fsencode(item.path) for item in found] == [b"a.jpg", b"", b"https://x/b.jpg", b"caf\xe9.jpg"]
    assert reasons(found) == ["", "no_image", "bad_row", ""]


def test_standard_input_is_read_lazily() -> None:
    """The first path is an item before the second line has come, so that a pipe can feed a run."""

    class Pipe(io.RawIOBase):
        lines: Iterator[bytes] = iter([b"a.jpg\n"])

        def __next__(self) -> bytes:
            return next(self.lines)

    stream = open_source("-", stdin=Pipe()).items  # type: ignore[arg-type]
    assert next(stream).path == "a.jpg"


def test_closed_standard_input_is_an_error() -> None:
    """A source of - without standard input is one sentence."""
    with pytest.raises(SourceError, match="standard input is closed"):
        open_source("-")


def test_table_suffix_case_is_ignored(tmp_path: Path) -> None:
    """A table is told by its suffix in any case."""
    assert [item.path for item in items(write(tmp_path / "T.CSV", "path\na.jpg\n"))] == ["a.jpg"]


def test_items_are_counted(tmp_path: Path) -> None:
    """Every item counts, whether its file exists or not, and whatever is no item does not."""
    touch(tmp_path, "a.jpg", "sub/b.png", "notes.txt")
    assert count_items(str(tmp_path)) == 2
    assert count_items(str(write(tmp_path / "t.csv", "image,photo\nx.jpg,a\n,b\n")), SourceSettings("photo")) == 2


def test_a_path_that_the_system_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error repeats the system's reason, or the error's own text where it has none."""

    def fail(error: OSError) -> None:
        def refused(self: Path) -> bool:
            raise error

        monkeypatch.setattr(Path, "is_dir", refused)

    fail(PermissionError(13, "Permission denied"))
    with pytest.raises(SourceError, match=r"shop cannot be read: Permission denied\.$"):
        open_source(str(tmp_path / "shop"))
    fail(OSError("the share is gone"))
    with pytest.raises(SourceError, match=r"shop cannot be read: the share is gone\.$"):
        open_source(str(tmp_path / "shop"))
