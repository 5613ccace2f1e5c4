"""A lock admits one process at a time, waits as long as told, and is never written through a link or over another file."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from helpers import Fmtag

from tagger import lock
from tagger.errors import LedgerError, LockedError
from tagger.lock import file_lock
from tagger.run import ledger, migrations
from tagger.run.ledger_file import SIDE_SUFFIXES, exclusive


@pytest.mark.parametrize("kind", ["link", "hard link", "file"])
def test_another_file_is_not_overwritten_by_a_lock(tmp_path: Path, kind: str) -> None:
    """The error names the file and the option that moves the lock; the file stays as it was."""
    victim, path = tmp_path / "victim", tmp_path / "x.lock"
    victim.write_text("kept")
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "hard link":
        path.hardlink_to(victim)
    else:
        path.write_text("kept")
    with pytest.raises(LedgerError, match=r"x\.lock is .*, or give --study another file"), file_lock(path, option="--study"):
        pytest.fail("the block must not begin")
    assert victim.read_text() == path.read_text() == "kept"
    assert path.is_symlink() == (kind == "link")


def test_an_empty_file_of_another_name_is_not_taken_for_a_lock(tmp_path: Path) -> None:
    """A lock has one name; an empty file could be the leftover of a killed holder, but not with a hard link elsewhere."""
    (tmp_path / "victim").touch()
    (tmp_path / "x.lock").hardlink_to(tmp_path / "victim")
    with pytest.raises(LedgerError, match="is not a lock, but another file"), file_lock(tmp_path / "x.lock"):
        pytest.fail("the block must not begin")
    assert sorted(os.listdir(tmp_path)) == ["victim", "x.lock"]


def test_a_run_never_writes_its_lock_over_another_file(fmtag: Fmtag, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """The run ends in one sentence that names the lock and the remedy; the file and the old output stay."""
    lock_file = tmp_path / "t.ledger.lock"
    lock_file.write_text("kept")
    (tmp_path / "t.csv").write_text("old")
    done = fmtag("run", photos(1), "--out", tmp_path / "t.csv")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(lock_file) in done.stderr
    assert "give --ledger another file" in done.stderr
    assert (lock_file.read_text(), (tmp_path / "t.csv").read_text()) == ("kept", "old")


def test_a_link_to_nothing_makes_no_file(tmp_path: Path) -> None:
    """A link is refused before its target is created."""
    (tmp_path / "x.lock").symlink_to(tmp_path / "new")
    with pytest.raises(LedgerError, match="symbolic link"), file_lock(tmp_path / "x.lock"):
        pytest.fail("the block must not begin")
    assert os.listdir(tmp_path) == ["x.lock"]


def test_a_link_that_comes_late_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system itself refuses a link that was put there after the check."""
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "x.lock").symlink_to(tmp_path / "victim")
    monkeypatch.setattr(Path, "is_symlink", lambda self: False)
    with pytest.raises(LedgerError, match=r"x\.lock cannot be created or locked"), file_lock(tmp_path / "x.lock"):
        pytest.fail("the block must not begin")
    assert (tmp_path / "victim").read_text() == "kept"


@pytest.mark.parametrize("content", ["", '{"pi', '{"pid": 1, "host": "there", "since": "then"}'])
def test_what_a_killed_holder_left_is_taken_over(tmp_path: Path, content: str) -> None:
    """A lock file without a lock is free, however much its holder had written into it."""
    lock_file = tmp_path / "x.lock"
    lock_file.write_text(content)
    with file_lock(lock_file):
        assert f'"pid": {os.getpid()}' in lock_file.read_text()
        with pytest.raises(LockedError, match=f"process {os.getpid()}"), file_lock(lock_file):
            pytest.fail("the block must not begin")
    assert not lock_file.exists()


class Clock:
    """A clock that only `sleep` moves on; `events` are called when their time has come."""

    def __init__(self, events: dict[float, Callable[[], object]]) -> None:
        self.now = 0.0
        self.events = events

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.events if at <= self.now]:
            self.events.pop(at)()


Clocked = Callable[..., Clock]


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Clocked:
    """Give the lock a clock of its own, so that tests of waiting take no time."""

    def start(events: dict[float, Callable[[], object]] | None = None) -> Clock:
        clock = Clock(events or {})
        monkeypatch.setattr(lock, "time", clock)
        return clock

    return start


@pytest.mark.parametrize("wait", [0.0, 0.25, 1.0])
def test_waiting_ends_at_its_time(tmp_path: Path, clocked: Clocked, wait: float) -> None:
    """Without --wait the lock is tried once; else until the seconds are over, and not much longer."""
    with file_lock(tmp_path / "x.lock"):
        clock = clocked()
        with pytest.raises(LockedError, match="--wait SECONDS"), file_lock(tmp_path / "x.lock", wait):
            pytest.fail("the block must not begin")
    assert wait <= clock.now < wait + lock.RETRY_SECONDS
    assert (clock.now == 0) == (wait == 0)


def test_a_lock_that_gets_free_is_taken(tmp_path: Path, clocked: Clocked) -> None:
    """Soon after the holder has let it go, however long the wait could last."""
    holder = ExitStack()
    holder.enter_context(file_lock(tmp_path / "x.lock"))
    clock = clocked({5.0: holder.close})
    with file_lock(tmp_path / "x.lock", 60.0):
        assert 5.0 <= clock.now < 5.0 + 2 * lock.RETRY_SECONDS


def test_a_holder_that_is_slow_to_write_is_still_named(tmp_path: Path, clocked: Clocked) -> None:
    """A process writes who it is just after it has the lock: until then the other one looks again."""
    path = tmp_path / "x.lock"
    with file_lock(path):
        content = path.read_bytes()
        path.write_bytes(content[:5])
        clocked({0.5: lambda: path.write_bytes(content)})
        with pytest.raises(LockedError, match=f"process {os.getpid()} on "), file_lock(path):
            pytest.fail("the block must not begin")


def test_a_holder_that_cannot_be_read_is_not_waited_for(tmp_path: Path, clocked: Clocked) -> None:
    """After a second the error names the lock instead."""
    path = tmp_path / "x.lock"
    with file_lock(path):
        path.write_bytes(b"")
        clock = clocked()
        with pytest.raises(LockedError, match=rf"\(which holds {path}\)"), file_lock(path):
            pytest.fail("the block must not begin")
    assert lock.HOLDER_SECONDS <= clock.now < lock.HOLDER_SECONDS + lock.RETRY_SECONDS


@pytest.mark.parametrize("error", [OSError(95, "Operation not supported"), OSError("Operation not supported")])
def test_a_file_that_cannot_be_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """As on a file system without locks: the sentence has the system's reason and the option that helps."""

    def failing(file: object) -> bool:
        raise error

    monkeypatch.setattr(lock, "_taken", failing)
    with (
        pytest.raises(
            LedgerError, match=r"x\.lock cannot be created or locked \(Operation not supported\); give --study a file"
        ),
        file_lock(tmp_path / "x.lock", option="--study"),
    ):
        pytest.fail("the block must not begin")


def test_a_pipe_is_no_lock(tmp_path: Path) -> None:
    """A pipe is refused, not waited for."""
    os.mkfifo(tmp_path / "x.lock")
    with pytest.raises(LedgerError, match=r"x\.lock"), file_lock(tmp_path / "x.lock", option="--study"):
        pytest.fail("the block must not begin")
    assert (tmp_path / "x.lock").exists()


def test_links_to_one_ledger_have_one_lock(tmp_path: Path) -> None:
    """Two runs never meet in a ledger that each of them names in its own way."""
    (tmp_path / "link.ledger").symlink_to("real.ledger")
    with (
        exclusive(tmp_path / "real.ledger"),
        pytest.raises(LockedError),
        exclusive(tmp_path / "link.ledger"),
    ):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("end", SIDE_SUFFIXES)
def test_links_beside_a_ledger_are_not_followed(tmp_path: Path, end: str) -> None:
    """What SQLite keeps there is never written through one."""
    for old in (False, True):
        if old:
            (tmp_path / "t.ledger").unlink(missing_ok=True)
            with ledger.open_ledger(tmp_path / "t.ledger"):
                pass
        (tmp_path / "victim").write_text("kept")
        (tmp_path / f"t.ledger{end}").unlink(missing_ok=True)
        (tmp_path / f"t.ledger{end}").symlink_to(tmp_path / "victim")
        with suppress(LedgerError), ledger.open_ledger(tmp_path / "t.ledger"):
            pass
        assert (tmp_path / "victim").read_text() == "kept"
        (tmp_path / f"t.ledger{end}").unlink(missing_ok=True)


def test_sqlite_is_what_is_locked(tmp_path: Path) -> None:
    """The lock is beside the ledger and is gone with the block, the ledger stays."""
    with exclusive(tmp_path / "t.ledger"), ledger.open_ledger(tmp_path / "t.ledger"):
        assert (tmp_path / "t.ledger.lock").exists()
    assert not (tmp_path / "t.ledger.lock").exists()
    with closing(sqlite3.connect(tmp_path / "t.ledger")) as sql:
        assert sql.execute("PRAGMA application_id").fetchone() == (migrations.APPLICATION_ID,)
