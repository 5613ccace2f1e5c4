"""A listing counts a source's items as a run does, and notes what is odd about them."""

import io
import os
import sys
from pathlib import Path

import pytest
from catalog_helpers import touch, write

from tagger.errors import SourceError
from tagger.inspection.listing import EXAMPLES, MAX_SHOWN, Listing, Noted, list_source, shortened
from tagger.inspection.settings import InspectionSettings


def listed(source: Path | str, stdin: bytes = b"") -> Listing:
    """Return the listing of a source."""
    return list_source(InspectionSettings(str(source)), io.BytesIO(stdin))


def test_a_folder_has_files_and_entries_that_are_left_out(tmp_path: Path) -> None:
    """Photos are told by their suffixes; every other entry is counted by its reason."""
    found = listed(touch(tmp_path, "b.jpg", "more/a.PNG", ".hidden.jpg", "notes.txt", "prices.xls"))
    assert (found.kind, found.items, found.paths) == ("folder", 2, ["b.jpg", "more/a.PNG"])
    assert [Path(place).name for place in found.places] == ["b.jpg", "a.PNG"]
    assert {why: noted.count for why, noted in found.ignored.items()} == {"hidden": 1, "not an image": 2}
    assert (found.respelled.count, found.not_utf8.count) == (0, 0)


def test_a_table_may_name_a_file_twice_and_rows_without_one(tmp_path: Path) -> None:
    """A file counts once with its repeats; an address is a problem of its row."""
    table = write(tmp_path / "t.csv", "sku,image\n1,a.jpg\n2,a.jpg\n3,ftp://shop.example/b.jpg\n4,sub/../a.jpg\n")
    found = listed(table)
    assert (found.kind, found.items, found.paths) == ("table", 4, ["a.jpg", "sub/../a.jpg"])
    assert dict(found.repeats) == {0: 1}
    assert [(path, problem.reason) for path, problem in found.problems] == [("ftp://shop.example/b.jpg", "bad_row")]
    assert found.columns == ("sku", "image")


def test_a_list_and_an_image_are_sources_too(tmp_path: Path) -> None:
    """Paths on standard input and a single image are listed by the same code."""
    assert (listed("-", b"a.jpg\nb.jpg\n").kind, listed("-", b"a.jpg\nb.jpg\n").paths) == ("list", ["a.jpg", "b.jpg"])
    image = touch(tmp_path, "a.jpg") / "a.jpg"
    assert (listed(image).kind, listed(image).paths) == ("image", [str(image)])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_counted(tmp_path: Path) -> None:
    """In a folder, and in a table that has the escaped name of an output: that is no other spelling."""
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    assert listed(tmp_path).not_utf8 == Noted(1, ["caf\udce9.jpg"])
    found = listed(write(tmp_path / "t.csv", "image\ncaf\\udce9.jpg\n"))
    assert (found.paths, found.respelled.count) == (["caf\\udce9.jpg"], 0)


def test_few_examples_are_kept() -> None:
    """Of many paths the first ones are named."""
    noted = Noted()
    for number in range(10):
        noted.add(str(number), 2)
    assert noted == Noted(20, [str(number) for number in range(EXAMPLES)])


def test_long_paths_are_shortened() -> None:
    """The bytes of an image in place of its path would fill the screen."""
    assert shortened("a" * MAX_SHOWN) == "a" * MAX_SHOWN
    assert shortened("data:" + "a" * 10_000 + ".jpg") == "data:" + "a" * 55 + "..." + "a" * 36 + ".jpg"


def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """The error is that of the source."""
    with pytest.raises(SourceError, match="There is no"):
        listed(tmp_path / "none")
