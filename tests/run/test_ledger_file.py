"""The file of a ledger: damaged, of another kind, locked, set aside."""

import re
import shutil
import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from run_helpers import Night, query

from tagger.errors import LedgerDamagedError, LedgerError, LockedError
from tagger.run.ledger_file import LONGEST_LEDGER_NAME, connect, database_errors, exclusive, lock_path, set_aside
from tagger.run.pipeline import RunCallbacks, run
from tagger.run.settings import RunSettings


@pytest.mark.parametrize("damage", ["zeros", "head", "middle", "cut", "table", "text"])
def test_a_damaged_ledger_is_set_aside_and_rebuilt(night: Night, tmp_path: Path, damage: str) -> None:
    """A warning names the file that it is kept as, and the output is what it should be."""
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

    messages: list[str] = []
    summary = night(callbacks=RunCallbacks(warned=messages.append))

    assert (summary.photos, summary.scored) == (10, 8)
    aside = [path.name for path in tmp_path.glob("tags.ledger.damaged-*")]
    assert len(messages) == len(aside) == 1
    assert "is damaged" in messages[0]
    assert aside[0] in messages[0]
    assert (tmp_path / "tags.csv").read_bytes() == before
    assert night().files_read == 1


def test_a_file_of_another_kind_is_refused(night: Night, shop: Path, tmp_path: Path) -> None:
    """Another kind of file, or another program's database, given by mistake is neither written to nor set aside."""
    shutil.copy(shop / "0000.jpg", tmp_path / "noise")
    with (tmp_path / "noise").open("r+b") as file:
        file.write(b"none")
    with pytest.raises(LedgerError, match="is not a ledger"):
        night(ledger=tmp_path / "noise")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as sql:
        sql.execute("CREATE TABLE mine (x)")
    with pytest.raises(LedgerError, match="another program"):
        night(ledger=other)
    assert query(other, "SELECT name FROM sqlite_master") == [("mine",)]


def test_links_to_a_ledger_share_its_lock(tmp_path: Path) -> None:
    """The lock is beside the file that a link leads to, under its name."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.ledger").symlink_to(tmp_path / "real" / "t.ledger")
    assert lock_path(tmp_path / "link.ledger") == lock_path(tmp_path / "real" / "t.ledger")
    assert lock_path(tmp_path / "link.ledger").name == "t.ledger.lock"
    with exclusive(tmp_path / "link.ledger"), pytest.raises(LockedError), exclusive(tmp_path / "real" / "t.ledger"):
        pytest.fail("the block must not begin")


def test_the_lock_of_a_long_name_fits(tmp_path: Path) -> None:
    """It is another one for each ledger, and so is the name of a damaged ledger."""
    paths = [tmp_path / f"{'n' * 245}{end}" for end in ("aaaaaaa", "b")]
    locks = {lock_path(path).name for path in paths}
    assert len(locks) == 2
    assert max(map(len, locks)) == 255
    paths[1].touch()
    assert len(set_aside(paths[1]).name) == LONGEST_LEDGER_NAME


def test_a_temporary_ledger_needs_no_lock() -> None:
    """Runs without a ledger file never wait for each other."""
    with exclusive(None), exclusive(None):
        pass


def test_a_damaged_ledger_keeps_its_side_files(tmp_path: Path) -> None:
    """It is renamed together with SQLite's side files, so that nothing of it acts on the new one."""
    for suffix in ("", "-wal"):
        (tmp_path / f"t.ledger{suffix}").write_text(suffix)
    aside = set_aside(tmp_path / "t.ledger")
    assert aside.name.startswith("t.ledger.damaged-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [aside.name, f"{aside.name}-wal"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (sqlite3.OperationalError("no such table: items"), LedgerDamagedError, "is damaged (no such table: items)"),
        (sqlite3.OperationalError("table items has no column named x"), LedgerDamagedError, "is damaged"),
        (sqlite3.OperationalError("database disk image is malformed"), LedgerDamagedError, "is damaged"),
        (sqlite3.DatabaseError("file is not a database"), LedgerDamagedError, "is damaged"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), LedgerDamagedError, "is damaged"),
        (sqlite3.OperationalError("database or disk is full"), LedgerError, "cannot be written (database or disk is full)"),
        (sqlite3.OperationalError("attempt to write a readonly database"), LedgerError, "give --ledger another path"),
        (sqlite3.ProgrammingError("wrong number of bindings"), sqlite3.ProgrammingError, "bindings"),
    ],
)
def test_errors_of_the_database_are_sentences(error: Exception, kind: type[Exception], words: str) -> None:
    """Damage, which a new ledger mends, is told from what the user must mend, and from mistakes of the program."""
    with pytest.raises(kind, match=re.escape(words)) as caught, database_errors("t.ledger"):
        raise error
    assert type(caught.value) is kind


@pytest.mark.parametrize(("name", "accepted"), [("t.ledger", True), ("t.db", False)])
def test_only_a_file_named_as_a_ledger_counts_as_a_damaged_one(tmp_path: Path, name: str, accepted: bool) -> None:
    """A file with another suffix that is not SQLite's was given by mistake; one that is, or is empty, may be used."""
    (tmp_path / name).write_bytes(b"sku,image\n1,a.jpg\n")
    if accepted:
        connect(tmp_path / name).close()
    else:
        with pytest.raises(LedgerError, match="is not a ledger; give --ledger another file"):
            connect(tmp_path / name)
    (tmp_path / "empty.db").touch()
    connect(tmp_path / "empty.db").close()


def test_a_damaged_ledger_ends_a_run_over_stdin(small_bundle: Path, shop: Path, tmp_path: Path) -> None:
    """Paths on stdin cannot be read twice, so the run ends in one sentence; the same command then has a new ledger."""
    settings = RunSettings("-", str(tmp_path / "t.csv"), model=str(small_bundle))
    (tmp_path / "t.ledger").write_bytes(b"damaged" * 100)
    warnings: list[str] = []
    paths = f"{shop / '0000.jpg'}\n{shop / '0001.jpg'}\n".encode()
    with pytest.raises(LedgerError, match="run the command again"):
        run(settings, BytesIO(paths), RunCallbacks(warned=warnings.append))
    assert len(warnings) == 1
    assert not (tmp_path / "t.csv").exists()
    assert run(settings, BytesIO(paths)).scored == 2
