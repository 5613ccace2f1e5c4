"""A lock is a file of its own: it is never written through a link, nor over something else."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from helpers import Fmtag

from tagger.errors import LedgerError, LockedError
from tagger.lock import file_lock
from tagger.run import ledger, migrations
from tagger.run.ledger_file import SIDE_SUFFIXES, exclusive


@pytest.mark.parametrize("kind", ["link", "hard link", "file"])
def test_a_run_never_writes_its_lock_over_another_file(
    fmtag: Fmtag, photos: Callable[[int], Path], tmp_path: Path, kind: str
) -> None:
    """It ends in one sentence that names the lock and what to do; the file and the old output stay."""
    victim, lock = tmp_path / "victim", tmp_path / "t.ledger.lock"
    victim.write_text("kept")
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "hard link":
        lock.hardlink_to(victim)
    else:
        lock.write_text("kept")
    (tmp_path / "t.csv").write_text("old")
    done = fmtag("run", photos(1), "--out", tmp_path / "t.csv")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(lock) in done.stderr
    assert "give --ledger another file" in done.stderr
    assert victim.read_text() == lock.read_text() == "kept"
    assert lock.is_symlink() == (kind == "link")
    assert (tmp_path / "t.csv").read_text() == "old"


def test_a_link_to_nothing_makes_no_file(tmp_path: Path) -> None:
    """Neither is what it leads to made."""
    (tmp_path / "x.lock").symlink_to(tmp_path / "new")
    with pytest.raises(LedgerError, match="symbolic link"), file_lock(tmp_path / "x.lock"):
        pytest.fail("the block must not begin")
    assert os.listdir(tmp_path) == ["x.lock"]


def test_a_link_that_comes_late_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system itself refuses it, whatever was there a moment before."""
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "x.lock").symlink_to(tmp_path / "victim")
    monkeypatch.setattr(Path, "is_symlink", lambda self: False)
    with pytest.raises(LedgerError, match=r"x\.lock cannot be made or locked"), file_lock(tmp_path / "x.lock"):
        pytest.fail("the block must not begin")
    assert (tmp_path / "victim").read_text() == "kept"


@pytest.mark.parametrize("content", ["", '{"pi', '{"pid": 1, "host": "there", "since": "then"}'])
def test_what_a_killed_holder_left_is_taken_over(tmp_path: Path, content: str) -> None:
    """However much it had written of who it is."""
    lock = tmp_path / "x.lock"
    lock.write_text(content)
    with file_lock(lock):
        assert f'"pid": {os.getpid()}' in lock.read_text()
        with pytest.raises(LockedError, match=f"process {os.getpid()}"), file_lock(lock):
            pytest.fail("the block must not begin")
    assert not lock.exists()


def test_a_pipe_is_no_lock(tmp_path: Path) -> None:
    """It is refused, not waited for."""
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
