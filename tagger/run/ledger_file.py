"""Open, lock and set aside the file of a ledger, and turn SQLite's errors into sentences."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timezone
from pathlib import Path

from tagger.errors import LedgerDamagedError, LedgerError, reason_of
from tagger.file_names import LONGEST_NAME, with_ending
from tagger.lock import file_lock

SUFFIX = ".ledger"

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a ledger while it is open; the last one while it makes the ledger."""

LONGEST_LEDGER_NAME = LONGEST_NAME - max(map(len, SIDE_SUFFIXES))
"""Bytes of a ledger's name that leave room for the suffixes of SQLite's files; the lock's name is shortened."""


def connect(path: Path | None, name: str = "") -> sqlite3.Connection:
    """Open the SQLite file `path`, created where it is missing; None opens a temporary database.

    Raises `LedgerError`, which calls it `name`, where it cannot be opened or is a file of another kind.
    """
    file = "" if path is None else str(path)
    with database_errors(name or file):
        if path is not None:
            _refuse_other_files(path, name or file)
        return sqlite3.connect(file, isolation_level=None, check_same_thread=False)


def missing_ledger(path: Path) -> LedgerError:
    """Return the error of a command whose ledger is not there."""
    return LedgerError(f"There is no ledger {path}; give --ledger the file that `fmtag run` keeps beside its output.")


def lock_path(path: Path) -> Path:
    """Return the lock file of the ledger `path`; links to one ledger share its lock."""
    real = Path(os.path.realpath(path))
    return real.with_name(with_ending(real.name, ".lock"))


@contextmanager
def exclusive(path: Path | None, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of the ledger `path` while the block lasts; None, a temporary ledger, needs no lock.

    Raises `LockedError` where another run holds it after `wait` seconds, and `LedgerError` where it cannot be locked.
    """
    with nullcontext() if path is None else file_lock(lock_path(path), wait):
        yield


def set_aside(path: Path) -> Path:
    """Rename a damaged ledger together with SQLite's side files, and return its new name."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(with_ending(path.name, f".damaged-{now}-{os.getpid()}", LONGEST_LEDGER_NAME))
    for suffix in ("", *SIDE_SUFFIXES):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


@contextmanager
def database_errors(name: str) -> Iterator[None]:
    """Raise SQLite's errors as `LedgerDamagedError` where the file is damaged, else as `LedgerError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if re.search("no such (table|column)|has no column|malformed", str(error)):
            raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error
        raise LedgerError(
            f"The ledger {name} cannot be written ({error}); free disk space or give --ledger another path, and run again."
        ) from error
    except sqlite3.ProgrammingError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error


def _refuse_other_files(path: Path, name: str) -> None:
    """Raise `LedgerError` for a file of another kind, which would otherwise be set aside as a damaged ledger."""
    if path.suffix != SUFFIX and path.exists():
        try:
            with path.open("rb") as file:
                start = file.read(16)
        except OSError as error:
            raise LedgerError(f"The ledger {name} cannot be read ({reason_of(error)}).") from error
        if start and start != b"SQLite format 3\0":
            raise LedgerError(f"{name} is not a ledger; give --ledger another file.")
