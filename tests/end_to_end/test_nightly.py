"""Night after night: only what is new or changed costs work, a crash costs nothing, and the morning's file is always whole."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import ROOT, Fmtag, draw_photo, rows_of, save_bundle, write_photos
from PIL import Image

from tagger import lock
from tagger.data.labels import LABELS
from tagger.errors import LedgerError, LockedError, SourceError
from tagger.models import card
from tagger.models.config import NetworkConfig
from tagger.photos import decode
from tagger.run import explain, ledger, migrations, pipeline
from tagger.run.pipeline import RunCallbacks, RunSummary, run
from tagger.run.settings import RunSettings

LAST_YEAR = 1_760_000_000

Night = Callable[..., RunSummary]


def age(*paths: Path) -> None:
    """Let files be as if written long ago, so that their time tells that they are the same."""
    for path in paths:
        os.utime(path, (LAST_YEAR, LAST_YEAR))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog of eight photos, one with two names, and a damaged one."""
    folder = write_photos(tmp_path / "shop", 8)
    (folder / "more").mkdir()
    shutil.copy(folder / "0001.jpg", folder / "more" / "copy.jpg")
    (folder / "broken.jpg").write_bytes((folder / "0000.jpg").read_bytes()[:2000])
    age(*folder.rglob("*.jpg"))
    return folder


@pytest.fixture
def night(shop: Path, small_bundle: Path, tmp_path: Path) -> Night:
    """Run over the catalog into tags.csv, with further settings, and return the counts."""

    def once(out: str = "tags.csv", watcher: RunCallbacks | None = None, **more: Any) -> RunSummary:
        settings = {"source": str(shop), "out": str(tmp_path / out), "model": str(small_bundle)} | more
        return run(RunSettings(**settings), watcher=watcher)

    return once


@pytest.fixture
def fresh_rows(shop: Path, small_bundle: Path, tmp_path: Path) -> Callable[..., bytes]:
    """Return the output of a run that knows nothing."""

    def made(suffix: str = ".csv", **more: Any) -> bytes:
        folder = tmp_path / f"fresh-{time.monotonic_ns()}"
        folder.mkdir()
        run(RunSettings(**{"source": str(shop), "out": str(folder / f"t{suffix}"), "model": str(small_bundle)} | more))
        return (folder / f"t{suffix}").read_bytes()

    return made


def asked_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Return what a ledger answers to a query."""
    with closing(sqlite3.connect(path)) as sql:
        return sql.execute(query).fetchall()


# What changed ------------------------------------------------------------------------------------------------------


def test_a_night_without_news_looks_at_nothing_but_what_failed(night: Night, tmp_path: Path) -> None:
    """The second run reads only the damaged photo again, asks the network nothing, and writes the same bytes."""
    first = night()
    before = (tmp_path / "tags.csv").read_bytes()
    second = night(changes=str(tmp_path / "changes.csv"))

    assert (first.found, first.scored) == (10, 8)
    assert (second.found, second.looked_at, second.scored, second.changes) == (10, 1, 0, {})
    assert (tmp_path / "tags.csv").read_bytes() == before
    assert rows_of(tmp_path / "changes.csv") == []


def test_a_night_without_news_never_loads_torch(shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """What takes a second and half a gigabyte is left out where no photo is new."""
    script = (
        "import sys; from tagger.pipeline import run; from tagger.settings import RunSettings;"
        f"run(RunSettings({str(shop)!r}, {str(tmp_path / 't.csv')!r}, model={str(small_bundle)!r}));"
        "print('torch' in sys.modules)"
    )
    loaded = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)]
    assert loaded == [b"True\n", b"False\n"]


def test_incremental_is_fresh(night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """After photos were added, changed, moved, mended and removed, the rows are those of a run that knows nothing."""
    night()
    draw_photo(50).save(shop / "more" / "new.jpg")
    draw_photo(51).save(shop / "0002.jpg")
    (shop / "0003.jpg").rename(shop / "0000-moved.jpg")
    (shop / "0004.jpg").unlink()
    shutil.copy(shop / "0005.jpg", shop / "broken.jpg")
    report = night()

    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()
    assert report.scored == 2
    assert report.changes == {"new": 2, "vanished": 2, "recovered": 1} | (
        {"changed_tag": report.changes["changed_tag"]} if report.changes["changed_tag"] else {}
    ) | ({"changed_flag": report.changes["changed_flag"]} if report.changes["changed_flag"] else {})


def test_a_touched_file_costs_a_hash(night: Night, shop: Path) -> None:
    """A new time alone makes a file be read, not scored; the night after it is known again."""
    night()
    os.utime(shop / "0001.jpg", (LAST_YEAR + 9, LAST_YEAR + 9))
    touched, after = night(), night()
    assert (touched.looked_at, touched.scored, touched.changes) == (2, 0, {})
    assert after.looked_at == 1


def test_a_moved_file_is_recognised(night: Night, shop: Path, tmp_path: Path) -> None:
    """A renamed photo is not scored again, and the file of changes says where it was."""
    night()
    (shop / "0006.jpg").rename(shop / "more" / "six.jpg")
    report = night(changes=str(tmp_path / "changes.csv"))
    changes = {row["path"]: row for row in rows_of(tmp_path / "changes.csv")}
    assert report.scored == 0
    assert (changes["more/six.jpg"]["change"], changes["more/six.jpg"]["moved_from"]) == ("new", "0006.jpg")
    assert changes["0006.jpg"]["change"] == "vanished"
    assert changes["0006.jpg"]["tag_before"] == changes["more/six.jpg"]["tag"]


def test_copies_are_scored_once_and_say_of_what(night: Night, shop: Path, tmp_path: Path) -> None:
    """The second path with the same bytes names the first one in the output's order, whichever came first in time."""
    night()
    original = {row["path"]: row["duplicate_of"] for row in rows_of(tmp_path / "tags.csv")}
    assert {path for path, of in original.items() if of} == {"more/copy.jpg"}
    assert original["more/copy.jpg"] == "0001.jpg"

    shutil.copy(shop / "0001.jpg", shop / "0000-first.jpg")
    report = night()
    later = {row["path"]: row["duplicate_of"] for row in rows_of(tmp_path / "tags.csv") if row["duplicate_of"]}
    assert later == {"0001.jpg": "0000-first.jpg", "more/copy.jpg": "0000-first.jpg"}
    assert (report.scored, report.duplicates) == (0, 2)


def test_a_path_listed_twice_is_no_copy(night: Night, shop: Path, tmp_path: Path) -> None:
    """Two rows of a table with one photo are two rows of the output, scored once, and neither is a duplicate."""
    table = tmp_path / "shop.csv"
    table.write_text("sku,image\n1,shop/0000.jpg\n2,shop/0000.jpg\n3,\n4,shop/0000.jpg\n")
    for _ in range(2):
        report = night(source=str(table))
        rows = rows_of(tmp_path / "tags.csv")
        assert [row["sku"] for row in rows] == ["1", "2", "3", "4"]
        assert len({(row["tag"], row["confidence"], row["duplicate_of"]) for row in rows if row["sku"] != "3"}) == 1
        assert (report.found, report.duplicates, report.failed) == (4, 0, {"bad_row": 1})


def test_verify_finds_bytes_that_hide(night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """Other bytes of the same size and time are missed by the hint, and found by --verify, which hashes all."""
    night()
    content = bytearray((shop / "0001.jpg").read_bytes())
    content[-2000:-1000] = bytes(1000)
    (shop / "0001.jpg").write_bytes(content)
    age(shop / "0001.jpg")
    assert night().looked_at == 1
    verified = night(verify=True)
    assert (verified.looked_at, verified.scored) == (10, 1)
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()


def test_what_was_written_just_now_is_hashed_again(night: Night, shop: Path) -> None:
    """A change within the file system's grain of time could hide behind the same time, so such a time is not believed."""
    draw_photo(60).save(shop / "just now.jpg")
    night()
    assert night().looked_at == 2


@pytest.mark.parametrize(
    ("suffix", "more"),
    [
        (".csv", {"min_confidence": 0.0}),
        (".csv", {"min_confidence": 1.0}),
        (".csv", {"top_k": 3}),
        (".csv", {"excel": True}),
        (".json", {}),
        (".jsonl", {"top_k": 2}),
        (".parquet", {"min_confidence": 0.2}),
    ],
    ids=str,
)
def test_another_decision_or_format_never_runs_the_network(
    night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path, suffix: str, more: dict[str, Any]
) -> None:
    """Threshold, top-k and format only rewrite the output, to what a run that knows nothing writes."""
    (shop / "broken.jpg").unlink()
    night()
    report = night(f"tags{suffix}", **more)
    assert (report.looked_at, report.scored) == (0, 0)
    assert (tmp_path / f"tags{suffix}").read_bytes() == fresh_rows(suffix, **more)


def test_a_label_map_renames_without_a_look(night: Night, tmp_path: Path, fresh_rows: Callable[..., bytes]) -> None:
    """Labels go by the names of the map, in every column; the network is not asked, and what is missing is said."""
    night()
    names = tmp_path / "names.csv"
    names.write_text("label,name\n" + "".join(f"{label},shop {number}\n" for number, label in enumerate(LABELS)))
    report = night(label_map=names, top_k=2)
    tags = {row["tag"] for row in rows_of(tmp_path / "tags.csv")} | {row["tag_2"] for row in rows_of(tmp_path / "tags.csv")}
    assert report.scored == 0
    assert tags - {""} <= {f"shop {number}" for number in range(10)}
    assert report.changes["changed_tag"] == 9
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(label_map=names, top_k=2)
    names.write_text("label,name\nTrouser,Hose\nHat,Hut\n")
    with pytest.raises(SourceError, match="has not: Hat"):
        night(label_map=names)
    names.write_text("label,name\nTrouser,Hose\n")
    with pytest.raises(SourceError, match="lacks T-shirt/top, Pullover"):
        night(label_map=names)


def test_a_new_bundle_tags_anew(night: Night, tmp_path: Path, fresh_rows: Callable[..., bytes]) -> None:
    """Another network's rows are all its own: none is left from the one before."""
    night()
    other = save_bundle(tmp_path / "other", NetworkConfig(widths=(8,), blocks=1))
    report = night(model=str(other))
    assert report.scored == 8
    assert {row["model"] for row in rows_of(tmp_path / "tags.csv")} == {report.model}
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(model=str(other))


def test_a_new_garment_version_tags_anew(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network sees is another, so what it said no longer counts."""
    night()
    monkeypatch.setattr(pipeline, "VERSION", 10_000)
    assert night().scored == 8


def test_fresh_ignores_what_is_known(night: Night) -> None:
    """--fresh scores all again, and the next night builds on it."""
    night()
    fresh, after = night(fresh=True), night()
    assert (fresh.looked_at, fresh.scored, fresh.changes) == (10, 8, {})
    assert after.scored == 0


def test_truncated_photos_follow_the_option(night: Night, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """--allow-truncated changes the damaged photo alone, there and back."""
    night()
    assert night(allow_truncated=True).scored == 1
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(allow_truncated=True)
    assert night().failed == {"truncated": 1}
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows()


def test_a_file_replaced_while_it_is_read(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is that of the bytes that were decoded, and size and time of a file that moved meanwhile are not believed."""
    file, old = shop / "0000.jpg", (shop / "0000.jpg").read_bytes()
    real, calls = os.fstat, []

    def replaced(handle: int) -> os.stat_result:
        calls.append(handle)
        if len(calls) == 2:
            file.write_bytes(old + b"more")
        return real(handle)

    monkeypatch.setattr(decode.os, "fstat", replaced)
    got = decode.read(file)
    assert isinstance(got, tuple)
    content, known = got
    assert content == old
    assert known.sha256 == hashlib.sha256(old).digest()
    assert known.mtime_ns is None


# Uploads in progress, and what stays broken ------------------------------------------------------------------------


def test_settling_files_are_left_out_and_counted(night: Night, shop: Path, tmp_path: Path) -> None:
    """What was written in the last seconds has no row and no failure; a known one has not vanished; the next night has all."""
    night()
    (shop / "upload.jpg").write_bytes((shop / "0000.jpg").read_bytes()[:1000])
    os.utime(shop / "0007.jpg")
    report = night(settle=60.0, changes=str(tmp_path / "changes.csv"))
    assert (report.found, report.settling, report.changes) == (9, 2, {})
    assert not {"upload.jpg", "0007.jpg"} & {row["path"] for row in rows_of(tmp_path / "tags.csv")}
    shutil.copy(shop / "0000.jpg", shop / "upload.jpg")
    age(shop / "upload.jpg")
    after = night(settle=60.0)
    assert (after.settling, after.changes) == (1, {"new": 1})


def test_a_file_from_the_future_is_taken(night: Night, shop: Path) -> None:
    """After the clock was set back nothing settles for ever: the file is tagged, though hashed each night."""
    ahead = time.time() + 86_400
    os.utime(shop / "0001.jpg", (ahead, ahead))
    first, second = night(settle=60.0), night(settle=60.0)
    assert first.settling == second.settling == 0
    assert second.looked_at == 2


def test_giving_up_on_what_stays_broken(night: Night, shop: Path) -> None:
    """A damaged photo is read in N runs, then only when its file changes; it is a failed row all the time."""
    reports = [night(give_up=3) for _ in range(5)]
    assert [report.looked_at for report in reports] == [10, 1, 1, 0, 0]
    assert [report.failed for report in reports] == [{"truncated": 1}] * 5
    (shop / "broken.jpg").write_bytes(b"no image at all")
    changed = night(give_up=3)
    assert (changed.looked_at, changed.failed, changed.changes) == (1, {"not_an_image": 1}, {"failed": 1})
    assert night(give_up=3, verify=True).looked_at == 10


# Outputs -----------------------------------------------------------------------------------------------------------


def test_tonight_s_rows_alone(night: Night, shop: Path, tmp_path: Path) -> None:
    """--only new, changed and flagged write those rows of the whole file, and no others; the next night knows of all."""
    night()
    draw_photo(70).save(shop / "new.jpg")
    shutil.copy(shop / "0002.jpg", shop / "broken.jpg")
    shutil.copytree(tmp_path / "shop", tmp_path / "kept")
    for path in tmp_path.glob("tags.ledger*"):
        shutil.copy(path, tmp_path / f"kept{path.name}")

    def only(*which: str) -> set[str]:
        shutil.copy(tmp_path / "kepttags.ledger", tmp_path / "tags.ledger")
        report = night(only=which)
        rows = rows_of(tmp_path / "tags.csv")
        assert (report.written, report.found) == (len(rows), 11)
        return {row["path"] for row in rows}

    assert only("new") == {"new.jpg"}
    assert only("changed") == {"broken.jpg"}
    assert only("new", "changed") == {"new.jpg", "broken.jpg"}
    night()
    flagged = {row["path"] for row in rows_of(tmp_path / "tags.csv") if row["low_confidence"] == "true"}
    assert only("flagged") == flagged
    assert night(only=("new", "changed")).written == 0
    assert (tmp_path / "tags.csv").read_text().count("\n") == 1


def test_the_file_of_changes(night: Night, shop: Path, tmp_path: Path) -> None:
    """It lists new, failed, recovered, vanished and flags that changed, with what was before; copied state is no change."""
    night(min_confidence=0.0)
    draw_photo(80).save(shop / "new.jpg")
    shutil.copy(shop / "0002.jpg", shop / "broken.jpg")
    (shop / "0003.jpg").write_bytes(b"broken now")
    (shop / "0004.jpg").unlink()
    report = night(min_confidence=1.0, changes=str(tmp_path / "changes.jsonl"))
    changes = {row["path"]: row for row in map(json.loads, (tmp_path / "changes.jsonl").read_text().splitlines())}
    assert changes["new.jpg"]["change"] == "new"
    assert changes["new.jpg"]["tag_before"] is None
    assert (changes["broken.jpg"]["change"], changes["broken.jpg"]["reason_before"]) == ("recovered", "truncated")
    assert (changes["0003.jpg"]["change"], changes["0003.jpg"]["reason"]) == ("failed", "not_an_image")
    assert (changes["0004.jpg"]["change"], changes["0004.jpg"]["tag"]) == ("vanished", None)
    flagged = [row for row in changes.values() if row["change"] == "changed_flag"]
    assert flagged
    assert all((row["low_confidence_before"], row["low_confidence"]) == (False, True) for row in flagged)
    assert sum(report.changes.values()) == len(changes)
    assert list(changes) == sorted(changes)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_changes_in_each_format(night: Night, shop: Path, tmp_path: Path, suffix: str) -> None:
    """The file of changes has the same rows in each format, with flags and nothings as the format has them."""
    night()
    (shop / "0004.jpg").unlink()
    night(changes=str(tmp_path / f"changes{suffix}"))
    content = (tmp_path / f"changes{suffix}").read_bytes()
    match suffix:
        case ".csv":
            (row,) = rows_of(tmp_path / "changes.csv")
        case ".json":
            (row,) = json.loads(content)["rows"]
        case ".jsonl":
            row = json.loads(content)
        case ".parquet":
            (row,) = pd.read_parquet(tmp_path / "changes.parquet").to_dict("records")
    assert (row["change"], row["path"]) == ("vanished", "0004.jpg")
    assert row["low_confidence_before"] in ((True, False) if suffix != ".csv" else ("true", "false"))
    assert row["low_confidence"] == ("" if suffix == ".csv" else None)


def test_changes_of_a_run_that_failed_are_told_by_the_next(night: Night, shop: Path, tmp_path: Path) -> None:
    """Changes are those since the last output: what a run saw that never wrote one is not lost."""
    night()
    draw_photo(81).save(shop / "new.jpg")
    with pytest.raises(KeyboardInterrupt):
        run_interrupted(night)
    report = night()
    assert (report.changes, report.scored) == ({"new": 1}, 0)


def run_interrupted(night: Night) -> None:
    """Break a run off when its photos are scored and its output is not yet written."""

    def stop(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    before = pipeline._write_rows
    pipeline._write_rows = stop  # type: ignore[assignment]
    try:
        night()
    finally:
        pipeline._write_rows = before


def test_the_report_reconciles(fmtag: Fmtag, shop: Path, tmp_path: Path) -> None:
    """Counts add up, each failure has its reason, stages have seconds, versions are there; a failed run is reported too."""
    (shop / "notes.txt").write_text("x")
    done = fmtag("run", shop, "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json", "--log-format", "json")
    report = json.loads((tmp_path / "run.json").read_text())
    counts = report["counts"]
    assert done.returncode == 3
    assert (report["status"], report["error"], report["run"]) == ("done", "", 1)
    assert counts["photos"] == counts["tagged"] + sum(counts["flagged"].values()) + sum(counts["failed"].values()) == 10
    assert (counts["scored"], counts["duplicates"], counts["ignored"], counts["rows_written"]) == (8, 1, 1, 10)
    assert [failure["path"] for failure in report["failures"]] == ["broken.jpg"]
    assert set(report["seconds_by_stage"]) == {"list", "read", "predict", "ledger", "publish"}
    assert sum(report["seconds_by_stage"].values()) <= report["seconds"] + 0.01
    assert set(report["versions"]) == {"fmtag", "python", "platform"}

    fmtag("run", tmp_path / "nowhere", "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
    failed = json.loads((tmp_path / "run.json").read_text())
    assert failed["status"] == "failed"
    assert "There is no" in failed["error"]


def test_a_log_names_20_failures_and_the_report_all(fmtag: Fmtag, tmp_path: Path) -> None:
    """In a log stand a line at the start, one at the end, and of 30 failures 20; the report has all of them."""
    (tmp_path / "shop").mkdir()
    for number in range(30):
        (tmp_path / "shop" / f"{number:02d}.jpg").write_bytes(b"broken")
    done = fmtag("run", tmp_path / "shop", "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
    lines = done.stderr.splitlines()
    assert len(lines) == 1 + 20 + 1 + 1
    assert lines[0].startswith("fmtag ")
    assert lines[-1].startswith("30 photos = 0 tagged")
    assert len(json.loads((tmp_path / "run.json").read_text())["failures"]) == 30


def test_outputs_are_no_two_things(night: Night, tmp_path: Path) -> None:
    """An output, a report, a file of changes and a ledger are four files, each in a folder that is there."""
    for more in ({"changes": str(tmp_path / "tags.csv")}, {"ledger": tmp_path / "tags.csv"}, {"report": tmp_path / "tags.csv"}):
        with pytest.raises(Exception, match="is what --out names"):
            night(**more)
    with pytest.raises(Exception, match="there is no folder"):
        night(report=tmp_path / "none" / "run.json")


# One at a time -----------------------------------------------------------------------------------------------------


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of a ledger."""
    script = (
        "import time; from pathlib import Path; from tagger import ledger\n"
        f"with ledger.alone(Path({str(path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_run_exits_4_and_names_the_first(fmtag: Fmtag, shop: Path, tmp_path: Path) -> None:
    """At once, with the process, the host and since when; the old output, and the report of the first run, stay."""
    (tmp_path / "t.csv").write_text("old")
    with holder(tmp_path / "t.ledger") as process:
        done = fmtag("run", shop, "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
        assert done.returncode == 4
        assert f"process {process.pid} on " in done.stderr
        assert ", since 20" in done.stderr
        assert (tmp_path / "t.csv").read_text() == "old"
        assert not (tmp_path / "run.json").exists()


def test_waiting_for_another_run(night: Night, tmp_path: Path) -> None:
    """--wait takes over when the first is done, or was killed, which frees its lock; and ends when its time is up."""
    with holder(tmp_path / "tags.ledger") as process:
        with pytest.raises(LockedError):
            night(wait=0.3)
        process.kill()
        process.wait()
        assert night(wait=20.0).found == 10
    assert not (tmp_path / "tags.ledger.lock").exists()


def test_a_lock_that_is_let_go_and_removed_is_no_lock(tmp_path: Path) -> None:
    """Who locked a file that its last holder has removed meanwhile tries again: two never hold the lock."""
    path = tmp_path / "x.lock"
    with path.open("ab") as removed:
        assert lock._taken(removed)
        path.unlink()
        assert not lock._is_at(removed, path)
        with lock.file_lock(path), pytest.raises(LockedError), lock.file_lock(path):
            pass


# Signals and faults ------------------------------------------------------------------------------------------------


@contextmanager
def underway(shop: Path, bundle: Path, out: Path, *options: str, heed: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A real run that has some batches in its ledger and far more before it."""
    command = [sys.executable, "-m", "tagger", "run", shop, "--out", out, "--model", bundle, "--batch-size", "1", *options]
    # What a shell starts in the background, these tests too, ignores Ctrl-C and hands that down; a person's command does not.
    told = partial(signal.signal, signal.SIGINT, signal.SIG_DFL if heed else signal.SIG_IGN)
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=told) as process:
        limit = time.monotonic() + 120
        while looked_at(out.with_suffix(".ledger")) < 5:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.02)
        try:
            yield process
        finally:
            process.kill()


def looked_at(path: Path) -> int:
    """Return how many items a ledger has, also while another process writes it."""
    try:
        return int(asked_of(path, "SELECT count(*) FROM items")[0][0]) if path.exists() else 0
    except sqlite3.OperationalError:
        return 0


@pytest.fixture(scope="module")
def large_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog that takes a while when every photo is a batch."""
    folder = write_photos(tmp_path_factory.mktemp("large") / "shop", 400, (60, 80))
    age(*folder.iterdir())
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)])
def test_a_signal_ends_the_batch_and_keeps_it(
    large_shop: Path, small_bundle: Path, tmp_path: Path, number: int, code: int
) -> None:
    """The run exits with 128 + the signal, no traceback, the old output whole; given again it goes on from there."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    report = tmp_path / "run.json"
    with underway(large_shop, small_bundle, out, "--report", str(report)) as process:
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(60) == code
    assert said.splitlines()[-1].startswith("Interrupted; the output is as it was before.")
    assert "Traceback" not in said
    assert out.read_bytes() == b"the old one\n"
    assert sorted(os.listdir(tmp_path)) == ["run.json", "t.csv", "t.ledger"]
    assert json.loads(report.read_text())["status"] == "interrupted"
    kept = looked_at(tmp_path / "t.ledger")
    after = run(RunSettings(str(large_shop), str(out), model=str(small_bundle)))
    assert after.looked_at == 400 - kept
    assert after.found == 400


def test_kill_9_costs_nothing(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """A run that is killed outright leaves the old output byte for byte; the next one goes on, to the same bytes."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    with underway(large_shop, small_bundle, out) as process:
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert out.read_bytes() == b"the old one\n"
    kept = looked_at(tmp_path / "t.ledger")
    assert list(tmp_path.glob(".t.csv.*.tmp"))
    assert run(RunSettings(str(large_shop), str(out), model=str(small_bundle))).looked_at == 400 - kept
    assert not list(tmp_path.glob(".t.csv.*.tmp"))
    run(RunSettings(str(large_shop), str(tmp_path / "reference.csv"), model=str(small_bundle)))
    assert out.read_bytes() == (tmp_path / "reference.csv").read_bytes()


@pytest.mark.slow
def test_a_signal_that_was_told_to_be_ignored_is(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Under nohup or in the background of a shell, Ctrl-C is not for this run."""
    with underway(large_shop, small_bundle, tmp_path / "t.csv", heed=False) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0


@pytest.mark.parametrize("damage", ["zeros", "head", "middle", "cut", "table", "text"])
def test_a_corrupt_ledger_is_put_aside_and_rebuilt(night: Night, tmp_path: Path, damage: str) -> None:
    """It is said aloud, kept under another name, and the output is what it should be."""
    night()
    before, place = (tmp_path / "tags.csv").read_bytes(), tmp_path / "tags.ledger"
    content = bytearray(place.read_bytes())
    if damage == "table":
        with closing(sqlite3.connect(place)) as sql:
            sql.execute("DROP TABLE contents")
    elif damage == "text":
        place.write_text("no database at all, but long enough to be one" * 100)
    else:
        at, end = {"zeros": (0, len(content)), "head": (0, 200), "middle": (4096, 30_000), "cut": (0, 0)}[damage]
        content[at:end] = bytes(end - at)
        place.write_bytes(content[:6000] if damage == "cut" else content)

    said: list[str] = []
    report = night(watcher=RunCallbacks(warned=said.append))

    assert (report.found, report.scored) == (10, 8)
    aside = [path.name for path in tmp_path.glob("tags.ledger.damaged-*")]
    assert len(said) == len(aside) == 1
    assert "is damaged" in said[0]
    assert aside[0] in said[0]
    assert (tmp_path / "tags.csv").read_bytes() == before
    assert night().looked_at == 1


def test_a_ledger_from_a_newer_fmtag_is_refused(night: Night, tmp_path: Path) -> None:
    """And left as it is."""
    night()
    with closing(sqlite3.connect(tmp_path / "tags.ledger")) as sql:
        sql.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    before = (tmp_path / "tags.ledger").read_bytes()
    with pytest.raises(LedgerError, match="from a newer fmtag"):
        night()
    assert (tmp_path / "tags.ledger").read_bytes() == before


def test_what_is_no_ledger_is_refused(night: Night, shop: Path, tmp_path: Path) -> None:
    """A file of another kind, or another program's database, given by mistake is neither written to nor put aside."""
    shutil.copy(shop / "0000.jpg", tmp_path / "noise")
    with (tmp_path / "noise").open("r+b") as file:
        file.write(b"none")
    with pytest.raises(LedgerError, match="is no ledger"):
        night(ledger=tmp_path / "noise")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as sql:
        sql.execute("CREATE TABLE mine (x)")
    with pytest.raises(LedgerError, match="another program"):
        night(ledger=other)
    assert asked_of(other, "SELECT name FROM sqlite_master") == [("mine",)]


def test_a_lost_disk_is_no_empty_catalog(shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Where most of the known photos are gone nothing is written, unless one insists; a few that go are taken as gone."""
    for number in range(100, 130):
        shutil.copy(shop / "0000.jpg", shop / f"{number}.jpg")
    settings = RunSettings(str(shop), str(tmp_path / "tags.csv"), model=str(small_bundle))
    run(settings)
    before = (tmp_path / "tags.csv").read_bytes()
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    for path in list(shop.glob("1*.jpg")):
        path.rename(kept / path.name)

    with pytest.raises(SourceError, match="30 of the 40 photos known"):
        run(settings)
    assert (tmp_path / "tags.csv").read_bytes() == before

    for path in kept.iterdir():
        path.rename(shop / path.name)
    report = run(settings)
    assert (report.changes, report.scored) == ({}, 0)
    for path in shop.glob("1*.jpg"):
        path.unlink()
    gone = run(RunSettings(str(shop), str(tmp_path / "tags.csv"), model=str(small_bundle), allow_vanished=True))
    assert gone.changes == {"vanished": 30}


def test_a_bundle_replaced_in_mid_run_is_said(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two bundles never mix: where the folder holds another one by the time it is loaded, the run ends."""
    read = card.read

    def another(name: str) -> card.StoredCard:
        return replace(read(name), fingerprint="0" * 64)

    monkeypatch.setattr(pipeline.card, "read", another)
    monkeypatch.setattr("tagger.models.bundle.read", read)
    with pytest.raises(Exception, match="was replaced just now"):
        night()


LIMITED = (
    "import resource, sys; from tagger.cli.main import main;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY)); main(sys.argv[2:])"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "limit", "options", "names"),
    [
        (False, 1_000, [], "t.ledger"),  # as it is made
        (False, 120_000, [], "t.ledger"),  # at the commit of a batch
        (True, 150_000, ["--top-k", "10", "--format", "json"], "t.csv"),
        (True, 75_000, ["--min-confidence", "1", "--changes", "changes.json"], "changes.json"),
        (True, 75_000, ["--min-confidence", "1"], "t.ledger"),  # at the last commit, when the output has been replaced
        (True, 75_000, ["--report", "run.json"], "run.json"),
    ],
    ids=["ledger", "batch", "output", "changes", "publishing", "report"],
)
def test_a_full_disk_at_each_stage(
    large_shop: Path, small_bundle: Path, tmp_path: Path, known: bool, limit: int, options: list[str], names: str
) -> None:
    """One sentence names the file that found no room, no output is half-written, and the next run goes on to the right end."""
    shop = shutil.copytree(large_shop, tmp_path / "shop", copy_function=os.link)
    for number in range(500):
        (shop / f"broken {number}.jpg").write_bytes(b"no image")
        age(shop / f"broken {number}.jpg")
    out, settings = tmp_path / "t.csv", {"model": str(small_bundle), "give_up": 1, "min_confidence": 0.0}
    if known:
        run(RunSettings(str(shop), str(out), **settings))  # type: ignore[arg-type]
    out.write_bytes(b"the old one\n")
    command = [*map(str, ["run", shop, "--out", out, "--model", small_bundle, "--quiet", "--give-up", "1"]), *options]

    limited = [sys.executable, "-c", LIMITED, str(limit), *command]
    done = subprocess.run(limited, capture_output=True, timeout=300, text=True, cwd=tmp_path)

    assert done.returncode == 1, done.stderr
    (said,) = done.stderr.splitlines()
    assert said.startswith("Error: ")
    assert names in said
    written = names == "run.json" or options == ["--min-confidence", "1"]
    assert (out.read_bytes() == b"the old one\n") != written
    assert not list(tmp_path.glob(".*.tmp"))

    resumed = subprocess.run([sys.executable, "-m", "tagger", *command], capture_output=True, timeout=300, cwd=tmp_path)
    assert resumed.returncode == 3
    fresh = [*command[:3], str(tmp_path / "fresh.csv"), *command[4:]]
    subprocess.run([sys.executable, "-m", "tagger", *fresh], capture_output=True, timeout=300, cwd=tmp_path)
    assert out.read_bytes() == (tmp_path / "fresh.csv").read_bytes()
    if "changes.json" in options:
        assert len(json.loads((tmp_path / "changes.json").read_bytes())["rows"]) > 0


# The ledger's file -------------------------------------------------------------------------------------------------


FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("ledger-*.sqlite"))


def test_each_format_has_its_file() -> None:
    """A file of every format that there has been is kept."""
    assert [path.name for path in FIXTURES] == [
        f"ledger-{number}.sqlite" for number in range(1, len(migrations.MIGRATIONS) + 1)
    ]


@pytest.mark.parametrize("file", FIXTURES, ids=lambda path: path.name)
def test_old_ledgers_are_read(file: Path, tmp_path: Path) -> None:
    """A ledger of each format explains its photos and is gone on with."""
    place = tmp_path / "t.ledger"
    shutil.copy(file, place)
    known = explain.explain("red.jpg", place)
    assert known["row"]["tag"] == "Trouser"
    assert [event["change"] for event in known["history"]] == ["new", "changed_flag"]
    with ledger.open_ledger(place) as memory:
        assert memory.begin(ledger.RunKey("s", "o", "v", "m", "f", ["a", "b"], 0.5)) == 3


def test_migrations_are_taken_one_by_one(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further step is taken by files that lack it, once, and what they hold stays."""
    night()
    step = "CREATE TABLE later (x); INSERT INTO later SELECT count(*) FROM items"
    monkeypatch.setattr(ledger, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    for _ in range(2):
        assert night().scored == 0
        assert asked_of(tmp_path / "tags.ledger", "SELECT x FROM later") == [(10,)]


def test_the_ledger_lies_beside_the_output_whatever_its_format(night: Night, shop: Path, tmp_path: Path) -> None:
    """tags.csv and tags.json share tags.ledger; --ledger names another; standard output has none."""
    (shop / "broken.jpg").unlink()
    night("tags.csv")
    assert night("tags.json").looked_at == 0
    assert night("tags.csv", ledger=tmp_path / "elsewhere.db").looked_at == 9
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "elsewhere.db",
        "tags.csv",
        "tags.json",
        "tags.ledger",
    ]


def test_names_that_are_no_unicode_are_remembered(night: Night, shop: Path, tmp_path: Path) -> None:
    """File names of any bytes are keys like others, and come out as the writers have them."""
    name = os.fsencode(shop) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes((shop / "0000.jpg").read_bytes())
    os.utime(name, (LAST_YEAR, LAST_YEAR))
    night()
    first = (tmp_path / "tags.csv").read_bytes()
    report = night()
    assert report.looked_at == 1
    assert b"caf\\udce9.jpg" in first
    assert (tmp_path / "tags.csv").read_bytes() == first


# Explaining --------------------------------------------------------------------------------------------------------


def test_explain_tells_all_of_a_photo(night: Night, shop: Path, tmp_path: Path, fmtag: Fmtag) -> None:
    """Bytes, bundle, probabilities, row, why, copies and every night, of a photo that came, went and came back."""
    night(min_confidence=0.0)
    kept = (shop / "0005.jpg").read_bytes()
    (shop / "0005.jpg").unlink()
    night(min_confidence=0.0)
    (shop / "0005.jpg").write_bytes(kept)
    shutil.copy(shop / "0005.jpg", shop / "also.jpg")
    report = night(min_confidence=0.0)
    night(min_confidence=1.0)
    known = explain.explain(str(shop / "0005.jpg"), tmp_path / "tags.ledger")

    assert known["path"] == "0005.jpg"
    assert known["file"]["sha256"] == hashlib.sha256(kept).hexdigest()
    assert known["model"] == report.model
    assert known["scored"]["run"] == 1
    assert len(known["probabilities"]) == 11
    assert sum(known["probabilities"].values()) == pytest.approx(1, abs=0.002)
    assert known["row"]["tag"] == next(iter(known["probabilities"]))
    assert known["copies"] == ["also.jpg"]
    assert [night["run"] for night in known["nights"]] == [1, 3, 4]
    assert [event["change"] for event in known["history"]][:3] == ["new", "vanished", "new"]
    assert "below the threshold of 1.0000" in known["why"]
    done = fmtag("explain", "0005.jpg", "--ledger", tmp_path / "tags.ledger")
    assert done.returncode == 0
    assert known["file"]["sha256"] in done.stdout
    as_json = fmtag("explain", "broken.jpg", "--ledger", tmp_path / "tags.ledger", "--json")
    assert json.loads(as_json.stdout)["failure"]["reason"] == "truncated"


def test_explain_says_what_it_does_not_know(night: Night, tmp_path: Path) -> None:
    """A path that is not there is one sentence with those of the same name; so is a ledger that is none."""
    night()
    with pytest.raises(LedgerError, match=r"knows more/copy\.jpg"):
        explain.explain("copy.jpg", tmp_path / "tags.ledger")
    with pytest.raises(LedgerError, match="There is no ledger"):
        explain.explain("copy.jpg", tmp_path / "nothing.ledger")


# Cron --------------------------------------------------------------------------------------------------------------


def test_the_cron_line_runs_as_cron_runs_it(shop: Path, tmp_path: Path) -> None:
    """The example's own line, with its paths led here: no HOME, cron's PATH, sh, no terminal; it ends well two nights."""
    lines = [line for line in (ROOT / "examples" / "nightly.cron").read_text().splitlines() if line and line[0] != "#"]
    settings = dict(line.split("=", 1) for line in lines if "=" in line.split()[0])
    (line,) = [line for line in lines if line[0].isdigit()]
    command = line.split(None, 5)[5]
    here = {"/opt/fmtag/bin": str(Path(sys.executable).parent), "/srv/catalog": str(shop), "/srv/export": str(tmp_path)}
    here["/var/log"] = str(tmp_path)
    for there, place in here.items():
        command = command.replace(there, place)
        settings = {name: value.replace(there, place) for name, value in settings.items()}
    assert "%" not in command.replace("\\%", "")  # which cron would take for a line break
    for nights in (1, 2):
        environment = ["env", "-i", "PATH=/usr/bin:/bin", *(f"{name}={value}" for name, value in settings.items())]
        done = subprocess.run([*environment, "/bin/sh", "-c", command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
        log = (tmp_path / "fmtag.log").read_text()
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), log
        assert len(rows_of(tmp_path / "tags.csv")) == 10
        assert log.count("\n") == 3 * nights  # a line at the start, the damaged photo, a line at the end


def test_the_timer_runs_what_cron_runs() -> None:
    """The systemd example calls fmtag with the same options, daily, and takes exit 3 for a success."""
    service = (ROOT / "examples" / "fmtag.service").read_text()
    timer = (ROOT / "examples" / "fmtag.timer").read_text()
    line = next(line for line in (ROOT / "examples" / "nightly.cron").read_text().splitlines() if "fmtag run" in line)
    called = line[line.index("fmtag run") : line.index(" 2>>")]
    assert f"ExecStart=/opt/fmtag/bin/{called}" in service.replace(" \\\n    ", " ")
    assert "SuccessExitStatus=3" in service
    assert "OnCalendar=*-*-* 02:30" in timer
    assert "Persistent=true" in timer


# Long ones ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_200_kills_cost_nothing(small_bundle: Path) -> None:
    """Killed outright at 200 random moments over 2,000 photos, damaged ones among them, runs end in the same bytes.

    What was committed is never scored again: each photo's bytes keep the number of the run that scored them.
    """
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", "200", "--photos", "2000"]
    done = subprocess.run([*command, "--model", small_bundle], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("200 kills (")


@pytest.mark.slow
def test_of_8_runs_at_once_one_works(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Seven exit with 4 and name the one that works; its output is right."""
    command = [sys.executable, "-m", "tagger", "run", large_shop, "--out", tmp_path / "t.csv", "--model", small_bundle]
    command += ["--batch-size", "1"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    ended = [(process.communicate()[1], process.returncode, process.pid) for process in started]
    winners = [pid for _, code, pid in ended if code == 0]
    assert sorted(code for _, code, _ in ended) == [0] + [4] * 7
    assert all(f"process {winners[0]} on " in said for said, code, _ in ended if code == 4)
    run(RunSettings(str(large_shop), str(tmp_path / "reference.csv"), model=str(small_bundle)))
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "reference.csv").read_bytes()


def test_pictures_of_nothing_are_remembered(night: Night, shop: Path, tmp_path: Path) -> None:
    """A photo in which nothing stands out has no probabilities, and is not looked at again for that."""
    Image.new("RGB", (200, 200), "white").save(shop / "blank.png")
    age(shop / "blank.png")
    night()
    assert night().looked_at == 1
    blank = next(row for row in rows_of(tmp_path / "tags.csv") if row["path"] == "blank.png")
    assert (blank["tag"], blank["reason"]) == ("", "not_recognised")
