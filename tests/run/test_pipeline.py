"""A run reads and scores only what is new or changed, and its rows are those of a run without a ledger."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import draw_photo, rows_of, save_bundle
from PIL import Image
from run_helpers import LAST_YEAR, Night, age

from tagger.errors import BundleError
from tagger.models import card
from tagger.models.config import NetworkConfig
from tagger.photos.settings import DecodeSettings
from tagger.run import pipeline
from tagger.run.pipeline import RunCallbacks


def test_a_run_without_news_reads_only_what_failed(night: Night, tmp_path: Path) -> None:
    """The second run reads only the damaged photo again, scores nothing, and writes the same bytes."""
    first = night()
    before = (tmp_path / "tags.csv").read_bytes()
    second = night(changes=str(tmp_path / "changes.csv"))

    assert (first.photos, first.scored) == (10, 8)
    assert (second.photos, second.files_read, second.scored, second.changes) == (10, 1, 0, {})
    assert (tmp_path / "tags.csv").read_bytes() == before
    assert rows_of(tmp_path / "changes.csv") == []


def test_a_run_without_news_makes_no_network_ready(night: Night, shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Neither PyTorch nor ONNX Runtime, which take seconds and tenths of one, is imported where no photo is new."""
    night()
    script = (
        "import sys; from tagger.run.pipeline import run; from tagger.run.settings import RunSettings;"
        "summary = run(RunSettings(sys.argv[1], sys.argv[2], model=sys.argv[3]));"
        "print(summary.photos, summary.scored, {'torch', 'onnxruntime'} & sys.modules.keys())"
    )
    arguments = [sys.executable, "-c", script, shop, tmp_path / "tags.csv", small_bundle]
    assert subprocess.run(arguments, capture_output=True, check=True).stdout == b"10 0 set()\n"


def test_incremental_rows_equal_fresh_ones(night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """After photos were added, changed, moved, repaired and removed, the rows are those of a run without a ledger."""
    night()
    draw_photo(50).save(shop / "more" / "new.jpg")
    draw_photo(51).save(shop / "0002.jpg")
    (shop / "0003.jpg").rename(shop / "0000-moved.jpg")
    (shop / "0004.jpg").unlink()
    shutil.copy(shop / "0005.jpg", shop / "broken.jpg")
    summary = night()

    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()
    assert summary.scored == 2
    assert summary.changes == {"new": 2, "vanished": 2, "recovered": 1} | (
        {"changed_tag": summary.changes["changed_tag"]} if summary.changes["changed_tag"] else {}
    ) | ({"changed_flag": summary.changes["changed_flag"]} if summary.changes["changed_flag"] else {})


def test_a_touched_file_is_hashed_once(night: Night, shop: Path) -> None:
    """A new time alone makes a file be read, not scored; the run after that does not read it."""
    night()
    os.utime(shop / "0001.jpg", (LAST_YEAR + 9, LAST_YEAR + 9))
    touched, after = night(), night()
    assert (touched.files_read, touched.scored, touched.changes) == (2, 0, {})
    assert after.files_read == 1


def test_a_moved_file_is_recognised(night: Night, shop: Path, tmp_path: Path) -> None:
    """A renamed photo is not scored again, and the changes name its old path."""
    night()
    (shop / "0006.jpg").rename(shop / "more" / "six.jpg")
    summary = night(changes=str(tmp_path / "changes.csv"))
    changes = {row["path"]: row for row in rows_of(tmp_path / "changes.csv")}
    assert summary.scored == 0
    assert (changes["more/six.jpg"]["change"], changes["more/six.jpg"]["moved_from"]) == ("new", "0006.jpg")
    assert changes["0006.jpg"]["change"] == "vanished"
    assert changes["0006.jpg"]["tag_before"] == changes["more/six.jpg"]["tag"]


def test_copies_are_scored_once_and_name_the_original(night: Night, shop: Path, tmp_path: Path) -> None:
    """A duplicate names the first path with the same bytes in the output's order, whichever file is older."""
    night()
    original = {row["path"]: row["duplicate_of"] for row in rows_of(tmp_path / "tags.csv")}
    assert {path for path, of in original.items() if of} == {"more/copy.jpg"}
    assert original["more/copy.jpg"] == "0001.jpg"

    shutil.copy(shop / "0001.jpg", shop / "0000-first.jpg")
    summary = night()
    later = {row["path"]: row["duplicate_of"] for row in rows_of(tmp_path / "tags.csv") if row["duplicate_of"]}
    assert later == {"0001.jpg": "0000-first.jpg", "more/copy.jpg": "0000-first.jpg"}
    assert (summary.scored, summary.duplicates) == (0, 2)


def test_a_path_listed_twice_is_not_a_duplicate(night: Night, shop: Path, tmp_path: Path) -> None:
    """Two rows of a table with one photo are two rows of the output, scored once, and neither is a duplicate."""
    table = tmp_path / "shop.csv"
    table.write_text("sku,image\n1,shop/0000.jpg\n2,shop/0000.jpg\n3,\n4,shop/0000.jpg\n")
    for _ in range(2):
        summary = night(source=str(table))
        rows = rows_of(tmp_path / "tags.csv")
        assert [row["sku"] for row in rows] == ["1", "2", "3", "4"]
        assert len({(row["tag"], row["confidence"], row["duplicate_of"]) for row in rows if row["sku"] != "3"}) == 1
        assert (summary.photos, summary.without_image, summary.duplicates, summary.failed) == (3, 1, 0, {})


def test_verify_finds_changes_that_keep_size_and_time(
    night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path
) -> None:
    """Other bytes of the same size and time are missed without --verify and found with it."""
    night()
    content = bytearray((shop / "0001.jpg").read_bytes())
    content[14:18] = b"\0\7\0\7"  # the density in the JFIF header
    (shop / "0001.jpg").write_bytes(content)
    age(shop / "0001.jpg")
    assert night().files_read == 1
    verified = night(verify=True)
    assert (verified.files_read, verified.scored) == (10, 1)
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()


def test_a_file_written_just_now_is_hashed_again(night: Night, shop: Path) -> None:
    """A change within the file system's time resolution could keep the same time, so a very recent time does not count."""
    draw_photo(60).save(shop / "just now.jpg")
    night()
    assert night().files_read == 2


def test_fresh_scores_everything_again(night: Night) -> None:
    """--fresh scores all photos again, and the next run builds on its results."""
    night()
    fresh, after = night(fresh=True), night()
    assert (fresh.files_read, fresh.scored, fresh.changes) == (10, 8, {})
    assert after.scored == 0


def test_truncated_photos_follow_the_option(night: Night, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """--allow-truncated changes only the row of the damaged photo, and without the option it is as before."""
    night()
    assert night(decoding=DecodeSettings(allow_truncated=True)).scored == 1
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(decoding=DecodeSettings(allow_truncated=True))
    assert night().failed == {"truncated": 1}
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()


def test_another_bundle_scores_everything_again(night: Night, tmp_path: Path, fresh_rows: Callable[..., bytes]) -> None:
    """No row of the earlier bundle is left after a run with another one."""
    night()
    other = save_bundle(tmp_path / "other", NetworkConfig(widths=(8,), blocks=1))
    summary = night(model=str(other))
    assert summary.scored == 8
    assert {row["model"] for row in rows_of(tmp_path / "tags.csv")} == {summary.model}
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(model=str(other))


def test_another_version_of_the_cut_scores_everything_again(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of another version of the background cut do not count."""
    night()
    monkeypatch.setattr(pipeline, "VERSION", 10_000)
    assert night().scored == 8


def test_a_bundle_replaced_during_the_run_ends_it(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two bundles never mix: a run ends where the bundle is another one by the time its weights are loaded."""
    read = card.read

    def another(name: str) -> card.StoredCard:
        return replace(read(name), fingerprint="0" * 64)

    monkeypatch.setattr(card, "read", another)
    monkeypatch.setattr("tagger.models.bundle.read", read)
    with pytest.raises(BundleError, match="was replaced during the run"):
        night()


def test_callbacks_are_called_on_every_event(night: Night, shop: Path, tmp_path: Path) -> None:
    """Ignored entries, start, batches and failures are reported; batches and the output are protected from signals."""
    events: list[str] = []
    (shop / "notes.txt").write_text("x")

    @contextmanager
    def protected(what: str) -> Iterator[None]:
        before = (tmp_path / "tags.csv").exists()
        yield
        events.append(f"{what}: output {'kept' if before == (tmp_path / 'tags.csv').exists() else 'written'}")

    callbacks = RunCallbacks(
        ignored=lambda path, why: events.append(f"ignored {path}"),
        started=lambda summary: events.append(f"run {summary.run}"),
        scored=lambda done, total: events.append(f"{done} of {total}"),
        failed=lambda failure: events.append(failure.reason),
        defer=lambda: protected("batch"),
        ignore=lambda: protected("end"),
    )
    night(callbacks=callbacks, batch_size=6)
    assert events[0] == "run 1"
    assert [event for event in events if event.startswith("ignored")] == ["ignored notes.txt"]
    assert [event for event in events if event[0].isdigit()] == ["6 of 10", "10 of 10"]
    assert events.count("batch: output kept") == 2
    assert events[-2:] == ["truncated", "end: output written"]


def test_debug_images_are_the_networks_input(night: Night, shop: Path, tmp_path: Path) -> None:
    """--debug-garments writes a 28x28 grey PNG for each photo that is read, numbered in their order, known ones included."""
    night()
    night(debug_garments=tmp_path / "seen")
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert names == [f"{number + 1:06d}-{number:04d}.png" for number in range(8)]
    with Image.open(tmp_path / "seen" / names[0]) as image:
        assert (image.mode, image.size) == ("L", (28, 28))


def test_equal_bytes_are_scored_once(night: Night, shop: Path) -> None:
    """Equal bytes in one batch, in later batches and in later runs are scored once."""
    for number in range(6):
        shutil.copy(shop / "0000.jpg", shop / f"copy{number}.jpg")
    summary = night(batch_size=4, workers=2)
    assert (summary.files_read, summary.scored, summary.duplicates) == (16, 8, 7)
