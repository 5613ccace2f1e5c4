"""An inspection counts what a run would read and refuse, all of it or as much as the time and the sample allow."""

import io
import shutil
from pathlib import Path

import pytest
from catalog_helpers import touch, write
from helpers import draw_photo, write_photos
from run_helpers import write_shop

from tagger.inspection import inspect as inspecting
from tagger.inspection.inspect import Inspection, inspect_source, why_nothing
from tagger.inspection.settings import InspectionSettings


def inspected(source: Path | str, **settings: object) -> Inspection:
    """Return the inspection of a source."""
    return inspect_source(InspectionSettings(str(source), **settings), io.BytesIO())  # type: ignore[arg-type]


def test_a_shop_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    """Formats, sizes, failures and duplicates of a small folder are complete, and add up."""
    found = inspected(write_shop(tmp_path / "shop"))
    assert found.complete
    assert (found.looked_at, found.decoded, found.failed, found.duplicates) == (10, 10, 1, 1)
    assert dict(found.formats) == {"JPEG": 9}
    assert dict(found.sides) == {"100 to 399": 9}
    assert dict(found.failed_by_reason()) == {"truncated": 1}
    assert [fault.paths for fault in found.faults.values()] == [["broken.jpg"]]
    assert found.duplicate_paths == [["0001.jpg", "more/copy.jpg"]]
    assert found.largest == (240, 320)
    assert found.bytes == sum(file.stat().st_size for file in (tmp_path / "shop").rglob("*.jpg"))


def test_a_sample_leaves_the_others_to_their_headers(tmp_path: Path) -> None:
    """Only so many photos are decoded; all are opened, and a missing end is seen all the same."""
    found = inspected(write_shop(tmp_path / "shop"), sample=2)
    assert found.looked_at == 10
    assert not found.complete
    assert found.timed == 2
    assert dict(found.failed_by_reason()) == {"truncated": 1}
    none = inspected(tmp_path / "shop", sample=0)
    assert (none.looked_at, none.timed, none.duplicates) == (10, 0, 1)


def test_no_time_still_lists_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any time the items are counted, what is missing is known, and the rest is said to be unknown."""
    monkeypatch.setattr(inspecting, "MIN_SHARE", -1.0)
    write_photos(tmp_path / "photos", 3)
    table = write(tmp_path / "t.csv", "image\nphotos/0000.jpg\nphotos/0001.jpg\nnone.jpg\nftp://a.example/b.jpg\n")
    found = inspected(table, seconds=1e-9)
    assert (found.listing.items, found.looked_at) == (4, 2)
    assert dict(found.failed_by_reason()) == {"missing": 1, "bad_row": 1}
    assert found.addresses == 1
    assert not found.complete


def test_a_file_of_several_rows_counts_as_often(tmp_path: Path) -> None:
    """Counts are of rows; the file is read once, and is no duplicate of itself, as in a run."""
    draw_photo(1).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    found = inspected(write(tmp_path / "t.csv", "image\na.png\nb.png\na.png\nnone.png\nnone.png\n"))
    assert (found.looked_at, found.failed, dict(found.formats), found.duplicates) == (5, 2, {"PNG": 3}, 1)


def test_small_and_odd_photos_are_told(tmp_path: Path) -> None:
    """Tiny photos are named, frames and kinds of colour counted."""
    draw_photo(1, (24, 32)).save(tmp_path / "tiny.png")
    draw_photo(1).convert("RGBA").save(tmp_path / "alpha.png")
    draw_photo(1).convert("CMYK").save(tmp_path / "print.jpg")
    draw_photo(1).save(tmp_path / "moving.gif", save_all=True, append_images=[draw_photo(2)])
    found = inspected(tmp_path)
    assert found.tiny == ["tiny.png"]
    assert found.with_frames == 1
    assert {"RGB": 1, "RGB with transparency": 1, "CMYK": 1}.items() <= found.colours.items()


def test_many_causes_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of failure with ever another text stays a few lines."""
    monkeypatch.setattr(inspecting, "MAX_CAUSES", 1)
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    found = inspected(tmp_path)
    assert sum(fault.count for fault in found.faults.values()) == 3
    assert len(found.faults) <= 2


def test_a_source_without_photos_is_the_error_of_a_run(tmp_path: Path) -> None:
    """The entries that are left out are counted in it."""
    found = inspected(touch(tmp_path, "a.txt"))
    assert found.complete
    assert why_nothing(found) == f"{tmp_path} holds no photos (1 not an image); nothing was written."
    draw_photo(1).save(tmp_path / "a.png")
    assert why_nothing(inspected(tmp_path)) == ""


def test_progress_is_told(tmp_path: Path) -> None:
    """Photos looked at, of all."""
    steps: list[tuple[int, int]] = []
    settings = InspectionSettings(str(write_photos(tmp_path / "photos", 3)))
    inspect_source(settings, None, lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
