"""Photos among the files that are left out are found by their content."""

import time
from pathlib import Path

from catalog_helpers import touch
from helpers import draw_photo

from tagger.inspection.left_out import look_at_left_out


def test_photos_and_other_pictures_are_found(tmp_path: Path) -> None:
    """Files that are left out on purpose are not looked at; a folder or a file that is gone is none."""
    touch(tmp_path, "a.psd", "notes.txt", "sub/x")
    draw_photo(1).save(tmp_path / "shirt", "JPEG")
    draw_photo(1).save(tmp_path / ".hidden", "JPEG")
    names = ["shirt", "a.psd", "notes.txt", "sub", "gone"]
    ignored = [(name, "not an image") for name in names] + [(".hidden", "hidden"), ("shirt", "excluded by a pattern")]
    found = look_at_left_out(tmp_path, ignored, time.monotonic() + 60)
    assert (found.photos.count, found.photos.examples) == (1, ["shirt"])
    assert dict(found.pictures) == {".psd": 1}
    assert (found.checked, found.complete) == (5, True)


def test_the_deadline_is_told(tmp_path: Path) -> None:
    """What could not be looked at in time makes the result incomplete."""
    found = look_at_left_out(tmp_path, [("a", "not an image")], time.monotonic() - 1)
    assert (found.checked, found.complete) == (0, False)
