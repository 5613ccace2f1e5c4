"""What a ledger stores, and which of it counts for a run."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from run_helpers import LAST_YEAR, Night, query

from tagger.errors import LedgerDamagedError
from tagger.photos.settings import DecodeSettings
from tagger.records import Content, Failed, FailedReason, Result
from tagger.run.ledger import FILES_PER_INSERT, Ledger, open_ledger
from tagger.run.ledger_values import Cells, ListedFile, RunKey

KEY = RunKey("source", "out", "version", "model", "fingerprint", ["a", "b"], 0.5)


def cells_of(results: Sequence[Result]) -> list[Cells]:
    """Return the rows of results with two labels."""
    return [one_row(result) for result in results]


def one_row(result: Result) -> Cells:
    """Return the row of a result with two labels."""
    if result.failed is not None:
        return Cells("", "", "true", result.failed.reason, "", "")
    assert result.probabilities is not None
    best = int(result.probabilities.argmax())
    return Cells("ab"[best], f"{result.probabilities[best]:.4f}", "false", "", "group", "1.0000")


def scored(*probabilities: float, truncated: bool = False) -> Result:
    """Return the result of a photo with the probabilities of its labels."""
    return Result(None, np.array(probabilities, np.float32), truncated)


def content_of(path: str) -> Content:
    """Return bytes that are those of that path alone, one byte long, from the time 1."""
    return Content(hashlib.sha256(path.encode()).digest(), 1, 1)


def score(ledger: Ledger, files: Iterable[str | ListedFile], result: Result, end: bool = True) -> list[str]:
    """List files, record a result for those without one, finish the run unless told otherwise, and return their paths."""
    ledger.list_files(ListedFile(file, 1, 1) if isinstance(file, str) else file for file in files)
    read = []
    for batch in ledger.unscored_batches(100):
        ledger.record((photo, content_of(photo.path), result) for photo in batch)
        read += [photo.path for photo in batch]
    if end:
        with ledger.publishing(cells_of):
            pass
    return read


def run(path: Path, files: Iterable[str | ListedFile], result: Result, key: RunKey = KEY, end: bool = True) -> list[str]:
    """Run once with a ledger in a file, and return the paths that had to be read."""
    with open_ledger(path) as ledger:
        ledger.begin(key)
        return score(ledger, files, result, end)


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    """Probabilities keep every bit, and failures their reason and sentence."""
    with open_ledger(tmp_path / "t.ledger") as ledger:
        ledger.begin(KEY)
        ledger.list_files([ListedFile("b.jpg", 1, 1), ListedFile("a.jpg", 1, 1, columns={"sku": 7}), ListedFile("c.jpg")])
        (batch,) = ledger.unscored_batches(3)
        failed = Result(Failed("missing", "c.jpg: no such file"))
        ledger.record(
            [
                (batch[0], content_of("b"), scored(0.1, 0.7)),
                (batch[1], content_of("a"), scored(0.4, 0.2, truncated=True)),
                (batch[2], None, failed),
            ]
        )
        with ledger.publishing(cells_of):
            rows = list(ledger.rows())
            [chunk] = ledger.text_rows("m")
            cells = list(chunk.cells())
            failures = list(ledger.failures())
    assert [row.path for row in rows] == ["b.jpg", "a.jpg", "c.jpg"]
    assert np.array_equal(rows[0].result.probabilities, np.array([0.1, 0.7], np.float32))
    assert (rows[0].result.truncated, rows[1].result.truncated) == (False, True)
    assert (dict(rows[0].columns), dict(rows[1].columns)) == ({}, {"sku": 7})
    assert rows[2].result == failed
    assert failures == [("c.jpg", failed.failed)]
    assert cells[0] == ("b.jpg", "b", "0.7000", "false", "", "group", "1.0000", "", "m")
    assert cells[2] == ("c.jpg", "", "", "true", "missing", "", "", "", "m")
    assert [line.decode().split(",") for line in chunk.lines] == [list(row) for row in cells]


@pytest.mark.parametrize("count", [1, *(times * FILES_PER_INSERT + more for times in (1, 2) for more in (-1, 0, 1))])
def test_every_listed_file_is_a_row_in_order(count: int) -> None:
    """No file is lost or moved where one insert statement ends and the next begins."""
    paths = [f"{number}.jpg" for number in reversed(range(count))]
    with open_ledger(None) as ledger:
        ledger.begin(KEY)
        assert ledger.list_files(ListedFile(path, 1, 1) for path in paths) == count
        batches = list(ledger.unscored_batches(100))
        assert [photo.path for batch in batches for photo in batch] == paths
        assert [len(batch) for batch in batches] == [100] * (count // 100) + [count % 100] * (count % 100 > 0)


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000])
def test_every_row_is_made_at_any_number_of_them(count: int) -> None:
    """No row is left out where one chunk of rows ends and the next begins."""
    with open_ledger(None) as ledger:
        ledger.begin(KEY)
        score(ledger, [f"{number}.jpg" for number in range(count)], scored(0.9, 0.1), end=False)
        with ledger.publishing(cells_of):
            assert list(ledger.counts()) == [("a", "false", "", count)]
            assert ledger.changes() == {"new": count}


def test_only_new_and_changed_files_are_read(tmp_path: Path) -> None:
    """Another size or time makes a file be read, as does a time that was not stored; equal ones do not."""
    path = tmp_path / "t.ledger"
    assert run(path, ["a", "b", "c"], scored(0.9, 0.1)) == ["a", "b", "c"]
    assert run(path, ["a", ListedFile("b", 2, 1), ListedFile("c", 1, 2), "d"], scored(0.9, 0.1)) == ["b", "c", "d"]


@pytest.mark.parametrize("give_up", [1, 2, 3])
def test_a_failed_file_is_read_in_n_runs(tmp_path: Path, give_up: int) -> None:
    """A failure is tried in `give_up` runs; one that was killed does not count, as the next run continues it."""
    path, failed = tmp_path / "t.ledger", Result(Failed("truncated", "a: ends early"))
    key = RunKey(**{**vars(KEY), "give_up": give_up})
    assert run(path, ["a"], failed, key, end=False) == ["a"]
    assert [run(path, ["a"], failed, key) for _ in range(give_up + 1)] == [["a"]] * give_up + [[]]
    assert run(path, ["a"], failed, RunKey(**{**vars(key), "decoding": DecodeSettings(allow_truncated=True)})) == ["a"]


@pytest.mark.parametrize("reason", ["truncated", "unreadable"])
def test_damaged_files_that_were_given_up_follow_the_option(tmp_path: Path, reason: FailedReason) -> None:
    """A file that was given up is read again where damaged files are allowed, as it may be decoded in part."""
    path, failed = tmp_path / "t.ledger", Result(Failed(reason, "a: damaged"))
    key = RunKey(**{**vars(KEY), "give_up": 1})
    assert [run(path, ["a"], failed, key) for _ in range(2)] == [["a"], []]
    assert run(path, ["a"], failed, RunKey(**{**vars(key), "decoding": DecodeSettings(allow_truncated=True)})) == ["a"]


def test_a_failure_under_other_limits_is_tried_again(tmp_path: Path) -> None:
    """A photo that was given up as too large is read when --max-pixels changes, and as long as it fails no more often."""
    path, failed = tmp_path / "t.ledger", Result(Failed("too_large", "a: 9x9 pixels"))
    default = RunKey(**{**vars(KEY), "give_up": 1})
    higher, lower = (RunKey(**{**vars(default), "decoding": DecodeSettings(max_pixels=number)}) for number in (100, 50))
    keys = [default, default, higher, higher, lower, lower, default, default]
    assert [run(path, ["a"], failed, key) for key in keys] == [["a"], []] * 4


def test_a_failure_of_an_older_decoder_is_tried_again(tmp_path: Path) -> None:
    """A ledger of a version that recorded no decoder has given up on files that are read now."""
    path, failed = tmp_path / "t.ledger", Result(Failed("unreadable", "a: of a kind that is not read"))
    key = RunKey(**{**vars(KEY), "give_up": 1})
    assert [run(path, ["a"], failed, key) for _ in range(2)] == [["a"], []]
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("UPDATE runs SET decoding = NULL")
    assert [run(path, ["a"], failed, key) for _ in range(2)] == [["a"], []]


def test_a_truncated_photo_without_a_product_stays_truncated() -> None:
    """A result without probabilities keeps its flag."""
    kept = []

    def keep(results: Sequence[Result]) -> list[Cells]:
        kept.extend(results)
        return [Cells("", "", "true", "truncated", "", "")]

    with open_ledger(None) as ledger:
        ledger.begin(RunKey(**{**vars(KEY), "decoding": DecodeSettings(allow_truncated=True)}))
        score(ledger, ["a"], Result(None, None, truncated=True), end=False)
        with ledger.publishing(keep):
            kept += [row.result for row in ledger.rows()]
    assert kept == [Result(None, None, truncated=True)] * 2


@pytest.mark.parametrize("option", ["fresh", "verify"])
def test_killed_runs_are_continued(tmp_path: Path, option: str) -> None:
    """After a killed run with --fresh or --verify, the same command reads only what that one had not read."""
    path, key = tmp_path / "t.ledger", RunKey(**{**vars(KEY), option: True})
    run(path, ["a", "b", "c"], scored(0.9, 0.1))
    with open_ledger(path) as ledger:
        ledger.begin(key)
        assert ledger.list_files(ListedFile(file, 1, 1) for file in "abc") == 3
        (photo,) = next(ledger.unscored_batches(1))
        ledger.record([(photo, content_of("a"), scored(0.9, 0.1))])
    assert run(path, ["a", "b", "c"], scored(0.9, 0.1), key) == ["b", "c"]
    assert run(path, ["a", "b", "c"], scored(0.9, 0.1), key) == ["a", "b", "c"]


def test_an_unfinished_publication_is_undone(tmp_path: Path) -> None:
    """Rows and changes of a run whose output was not written are not those of the last output."""
    path = tmp_path / "t.ledger"
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        score(ledger, ["a"], scored(0.9, 0.1), end=False)
        with pytest.raises(KeyboardInterrupt), ledger.publishing(cells_of):
            raise KeyboardInterrupt
    assert query(path, "SELECT count(*) FROM events") == [(0,)]
    assert query(path, "SELECT count(*) FROM contents") == [(1,)]
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        assert score(ledger, ["a"], scored(0.9, 0.1)) == []
        assert ledger.changes() == {"new": 1}


def test_a_batch_is_recorded_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error in the middle of a batch leaves nothing of it."""
    path = tmp_path / "t.ledger"
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        ledger.list_files([ListedFile("a", 1, 1), ListedFile("b", 1, 1)])
        (batch,) = ledger.unscored_batches(2)

        def results() -> Iterable[tuple[object, ...]]:
            yield batch[0], content_of("a"), scored(0.9, 0.1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ledger.record(results())  # type: ignore[arg-type]
    assert query(path, "SELECT count(*) FROM items") == [(0,)]


def test_probabilities_of_another_number_of_labels_are_damage(tmp_path: Path) -> None:
    """A row is never made of probabilities that are not the bundle's, as after bytes were lost."""
    path = tmp_path / "t.ledger"
    run(path, ["a"], scored(0.9, 0.1))
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("UPDATE contents SET probabilities = x'0000803f'")
        sql.execute("UPDATE items SET decision = NULL")
        sql.commit()
    with pytest.raises(LedgerDamagedError, match="another number of labels"):
        run(path, ["a"], scored(0.9, 0.1))


def test_totals_count_what_is_gone_or_out_of_reach(tmp_path: Path) -> None:
    """Lost are photos of the last output that vanished or can no longer be reached, not those that are merely damaged now."""
    path = tmp_path / "t.ledger"
    run(path, ["vanished", "missing", "unreadable", "damaged", "kept"], scored(0.9, 0.1))
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        failing = ("missing", "unreadable", "damaged")
        ledger.list_files([ListedFile("kept", 1, 1), ListedFile("new", 1, 1), *(ListedFile(name, 2, 2) for name in failing)])
        reasons = {"missing": "missing", "unreadable": "unreadable", "damaged": "truncated"}
        for batch in ledger.unscored_batches(10):
            for photo in batch:
                failed = Result(Failed(reasons[photo.path], "")) if photo.path in reasons else scored(0.9, 0.1)  # type: ignore[arg-type]
                ledger.record([(photo, None if failed.failed else content_of(photo.path), failed)])
        with ledger.publishing(cells_of):
            totals = ledger.totals()
            changes = ledger.changes()
    assert changes == {"failed": 3, "new": 1, "vanished": 1}
    assert (totals.lost, totals.known) == (3, 5)


def test_files_left_out_are_neither_rows_nor_originals(tmp_path: Path) -> None:
    """A file that is still being written has no row, is not the original of a copy, and has not vanished."""
    path = tmp_path / "t.ledger"
    same = content_of("same")
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        ledger.list_files(ListedFile(name, 1, 1) for name in "abc")
        (batch,) = ledger.unscored_batches(3)
        ledger.record((photo, same, scored(0.9, 0.1)) for photo in batch)
        with ledger.publishing(cells_of):
            assert [row.duplicate_of for row in ledger.rows()] == ["", "a", "a"]
            assert ledger.totals().duplicates == 2
    with open_ledger(path) as ledger:
        ledger.begin(KEY)
        assert ledger.list_files(ListedFile(name, 1, 1, left_out=name == "a") for name in "abc") == 0
        with ledger.publishing(cells_of):
            assert [(row.path, row.duplicate_of) for row in ledger.rows()] == [("b", ""), ("c", "b")]
            totals = ledger.totals()
            assert (totals.settling, totals.duplicates, totals.lost, totals.known) == (1, 1, 0, 3)
            assert list(ledger.events()) == []


def test_a_moved_file_names_the_path_that_vanished(tmp_path: Path) -> None:
    """Of several vanished paths with the same bytes the first by name is given; a copy of a file that stays is not a move."""
    path = tmp_path / "t.ledger"
    same, other = content_of("same"), content_of("other")
    for names in (("z", "y", "kept"), ("new", "kept", "copy")):
        with open_ledger(path) as ledger:
            ledger.begin(KEY)
            ledger.list_files(ListedFile(name, 1, 1) for name in names)
            for batch in ledger.unscored_batches(3):
                ledger.record((one, other if one.path in ("kept", "copy") else same, scored(0.9, 0.1)) for one in batch)
            with ledger.publishing(cells_of):
                events = {event.path: (event.change, event.moved_from) for event in ledger.events()}
    assert events == {"copy": ("new", ""), "new": ("new", "y"), "y": ("vanished", ""), "z": ("vanished", "")}


def test_names_that_are_not_unicode_are_remembered(night: Night, shop: Path, tmp_path: Path) -> None:
    """File names of any bytes are keys like others, and are written as the writers escape them."""
    name = os.fsencode(shop) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes((shop / "0000.jpg").read_bytes())
    os.utime(name, (LAST_YEAR, LAST_YEAR))
    night()
    first = (tmp_path / "tags.csv").read_bytes()
    summary = night()
    assert summary.files_read == 1
    assert b"caf\\udce9.jpg" in first
    assert (tmp_path / "tags.csv").read_bytes() == first
