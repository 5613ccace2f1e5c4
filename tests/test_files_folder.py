"""A folder of output files is created, and only the files of the same name are replaced."""

from pathlib import Path

import pytest

from tagger.errors import OutputError
from tagger.files import write_folder


def test_a_folder_is_made_and_only_the_files_are_replaced(tmp_path: Path) -> None:
    """Missing parents are made, files of the same name replaced, and others stay."""
    folder = tmp_path / "a" / "b"
    write_folder(folder, {"one": b"1", "two": b"2"})
    write_folder(folder, {"two": b"3"})
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {"one": b"1", "two": b"3"}


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """A file of that name, or above it, or a link to nowhere stays as it is."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in ("file", "file/below", "link"):
        with pytest.raises(OutputError, match="is no folder"):
            write_folder(tmp_path / place, {"one": b"1"})
    assert (tmp_path / "file").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link"}
