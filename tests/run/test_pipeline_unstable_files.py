"""Files that are being written, stay broken, show nothing, or are gone."""

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers import rows_of
from PIL import Image
from run_helpers import Night, age

from tagger.errors import SourceError
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings


def test_settling_files_are_left_out_and_counted(night: Night, shop: Path, tmp_path: Path) -> None:
    """Files written in the last seconds have no row and are no failures; known ones do not vanish; the next run has them."""
    night()
    (shop / "upload.jpg").write_bytes((shop / "0000.jpg").read_bytes()[:1000])
    os.utime(shop / "0007.jpg")
    summary = night(settle=60.0, changes=str(tmp_path / "changes.csv"))
    assert (summary.photos, summary.settling, summary.changes) == (9, 2, {})
    assert not {"upload.jpg", "0007.jpg"} & {row["path"] for row in rows_of(tmp_path / "tags.csv")}
    shutil.copy(shop / "0000.jpg", shop / "upload.jpg")
    age(shop / "upload.jpg")
    after = night(settle=60.0)
    assert (after.settling, after.changes) == (1, {"new": 1})


def test_a_file_from_the_future_is_tagged(night: Night, shop: Path) -> None:
    """After the clock was set back, no file settles forever: it is tagged, and hashed in each run."""
    ahead = time.time() + 86_400
    os.utime(shop / "0001.jpg", (ahead, ahead))
    first, second = night(settle=60.0), night(settle=60.0)
    assert first.settling == second.settling == 0
    assert second.files_read == 2


def test_a_broken_file_is_given_up_until_it_changes(night: Night, shop: Path) -> None:
    """A damaged photo is read in N runs, then only when its file changes; it is a failed row in all of them."""
    summaries = [night(give_up=3) for _ in range(5)]
    assert [summary.files_read for summary in summaries] == [10, 1, 1, 0, 0]
    assert [summary.failed for summary in summaries] == [{"truncated": 1}] * 5
    (shop / "broken.jpg").write_bytes(b"no image at all")
    changed = night(give_up=3)
    assert (changed.files_read, changed.failed, changed.changes) == (1, {"not_an_image": 1}, {"failed": 1})
    assert night(give_up=3, verify=True).files_read == 10


def test_a_missing_disk_is_not_an_empty_catalog(night: Night, shop: Path, tmp_path: Path) -> None:
    """Where most of the known photos are gone, nothing is written without --allow-vanished, and nothing is forgotten."""
    for number in range(100, 130):
        shutil.copy(shop / "0000.jpg", shop / f"{number}.jpg")
    night()
    before = (tmp_path / "tags.csv").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in list(shop.glob("1*.jpg")):
        path.rename(elsewhere / path.name)

    with pytest.raises(SourceError, match="30 of the 40 photos known"):
        night()
    assert (tmp_path / "tags.csv").read_bytes() == before

    for path in elsewhere.iterdir():
        path.rename(shop / path.name)
    summary = night()
    assert (summary.changes, summary.scored) == ({}, 0)
    for path in shop.glob("1*.jpg"):
        path.unlink()
    assert night(allow_vanished=True).changes == {"vanished": 30}


@pytest.mark.parametrize(
    ("kept", "lost", "refused"),
    [(20, 20, False), (19, 20, True), (2, 19, False)],
    ids=["half", "more than half", "fewer than 20"],
)
def test_a_run_is_refused_where_more_than_half_and_20_are_gone(
    tmp_path: Path, small_bundle: Path, kept: int, lost: int, refused: bool
) -> None:
    """Half of the photos, or any 19, may go in one night; 20 that are more than half may not."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(kept + lost):
        (folder / f"{number:02d}.jpg").write_bytes(b"no image")
    settings = RunSettings(str(folder), str(tmp_path / "t.csv"), model=str(small_bundle))
    run(settings)
    for number in range(lost):
        (folder / f"{number:02d}.jpg").unlink()
    if refused:
        with pytest.raises(SourceError, match="give --allow-vanished"):
            run(settings)
    else:
        assert run(settings).changes == {"vanished": lost}


def test_photos_without_a_product_are_remembered(night: Night, shop: Path, tmp_path: Path) -> None:
    """A photo without a product has no probabilities, and is not read again because of that."""
    Image.new("RGB", (200, 200), "white").save(shop / "blank.png")
    age(shop / "blank.png")
    night()
    assert night().files_read == 1
    blank = next(row for row in rows_of(tmp_path / "tags.csv") if row["path"] == "blank.png")
    assert (blank["tag"], blank["reason"]) == ("", "not_recognised")
