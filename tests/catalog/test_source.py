"""A source is opened by what it is: a folder, an image, a table or a list of paths on standard input."""

import io
from pathlib import Path

import pytest
from catalog_helpers import items, touch, write

from tagger.catalog.settings import SourceSettings
from tagger.catalog.source import count_items, open_source
from tagger.errors import SourceError


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


def test_standard_input_is_a_list_of_paths() -> None:
    """A source of - gives the paths on standard input, as they are written there."""
    opened = open_source("-", stdin=io.BytesIO(b"a.jpg\nsub dir/b.jpg\n"))
    assert [item.path for item in opened.items] == ["a.jpg", "sub dir/b.jpg"]
    nulls = open_source("-", SourceSettings(null_separated=True), io.BytesIO(b"a\nb.jpg\0c.jpg\0"))
    assert [item.path for item in nulls.items] == ["a\nb.jpg", "c.jpg"]


def test_a_terminal_is_told_that_it_is_read() -> None:
    """Whoever starts a command that waits for typing is told once."""

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    told: list[str] = []
    open_source("-", stdin=Terminal(), on_warning=told.append)
    open_source("-", stdin=io.BytesIO(), on_warning=told.append)
    assert told == ["Paths are read from this terminal, one a line; Ctrl-D ends the list."]


@pytest.mark.parametrize(
    ("reading", "sources", "part"),
    [
        (SourceSettings(exclude=("x",)), ["a.jpg", "t.csv", "-"], "--exclude selects files of a folder"),
        (SourceSettings(include=("x",)), ["a.jpg", "t.csv", "-"], "--include selects files of a folder"),
        (SourceSettings(null_separated=True), ["a.jpg", "t.csv", "."], "-0 (--null) is for paths on standard input"),
    ],
)
def test_a_setting_of_another_kind_of_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: SourceSettings, sources: list[str], part: str
) -> None:
    """An option that could select nothing is one sentence, instead of being passed over."""
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.jpg")
    write(tmp_path / "t.csv", "path\na.jpg\n")
    for source in sources:
        with pytest.raises(SourceError) as caught:
            open_source(source, reading, io.BytesIO())
        assert part in str(caught.value)


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
