"""Index the other columns of an output, such as a table's SKU, in a temporary file, so that the queue can search in them."""

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

from tagger.errors import FmtagError, first_line_of
from tagger.files import lock_handle
from tagger.review.ledger_reader import LedgerReader
from tagger.review.output_rows import read_output
from tagger.review.queue_queries import Query, contains
from tagger.run.ledger_queries import LAST_RUN
from tagger.run.ledger_values import storable, text_of
from tagger.streams import is_stream

MAX_COLUMNS = 1_900
"""Columns that are indexed; a table of SQLite has at most 2,000."""

ROWS_PER_INSERT = 1_000

WAIT_SECONDS = 60.0
"""Time that a search waits for the index, which takes a second or two per 100,000 rows."""


PREFIX, LOCK = "fmtag-review-", "lock"
"""Of the names of temporary folders, and the file in them that is locked as long as they are used."""

LEFT_SECONDS = 60.0
"""Age from which a folder without a lock is one that a killed server has left, and not one that is being made."""


class _Index(NamedTuple):
    """What is known of an output."""

    columns: tuple[str, ...] = ()
    database: Path | None = None
    """Its index; None where it has no columns, or could not be read."""
    problem: str = ""


def output_of(ledger: Path) -> Path | None:
    """Return the output that a ledger's last run wrote; None where that was no file.

    The ledger has it as the command did; a relative one is looked for beside the ledger, too. Raises `LedgerError`.
    """
    with LedgerReader(ledger) as reader:
        found = reader.rows(LAST_RUN)
    out = text_of(found[0][1]) if found else "-"
    if is_stream(out):
        return None
    path = Path(out)
    return path if path.is_absolute() or path.exists() else ledger.absolute().parent / path.name


class Columns:
    """The columns of an output that are not fmtag's own, by the paths of its rows.

    The output is read in a thread, from when this is made, and again once a run has replaced it: until then what was
    known before counts. Where it cannot be read, there are no columns, and `problem` says why.

    Args:
        output: that `fmtag run` wrote; None where there is none.
        folder: for the index; None takes a temporary one. It is removed by `close`.
    """

    def __init__(self, output: Path | None, folder: Path | None = None) -> None:
        self._output = output
        parent = Path(tempfile.gettempdir()) if folder is None else folder
        _remove_left(parent)
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._held: int | None = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with suppress(OSError):  # a file system without locks, where nothing is removed either
            lock_handle(self._held)
        self._lock = Lock()
        self._stopped = False
        self._index = _Index(problem="" if output else "The last run wrote no file, so that only its ledger is shown.")
        self._state: tuple[int, int, int] | None = None
        self._number = 0
        self._done = Event()
        self._thread: Thread | None = None
        self._follow()

    def __enter__(self) -> "Columns":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread and remove the index."""
        self._stopped = True
        if self._thread is not None:
            self._thread.join()
        if self._held is not None:
            os.close(self._held)
            self._held = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def ready(self) -> bool:
        """Whether the output has been read."""
        return self._done.is_set()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in their order; empty until the output has been read."""
        return self._index.columns

    @property
    def problem(self) -> str:
        """Why there are no columns, in a sentence; empty where they could be read, or have not been yet."""
        return self._index.problem

    @property
    def database(self) -> Path | None:
        """The index for queries with a condition of `condition`; None where there is none."""
        return self._index.database

    def wait(self, seconds: float = WAIT_SECONDS) -> bool:
        """Wait until the output has been read; return whether it has."""
        return self._done.wait(seconds)

    def join(self) -> None:
        """Wait until the output that is being read, if one is, has been read to its end."""
        if (thread := self._thread) is not None:
            thread.join()

    def condition(self, column: str, text: str) -> Query:
        """Return the condition that a cell of an item's rows has a text in it, for a query that attaches `database`.

        Waits until the output has been read. No row fulfils it where there is no such column.
        """
        self._follow()
        self.wait()
        index = self._index
        if index.database is None or column not in index.columns:
            return Query("0")
        found = contains(f"c{index.columns.index(column)}", text)
        return Query(f"items.key IN (SELECT key FROM extra.cells WHERE {found.sql})", found.parameters)

    def values(self, key: str) -> tuple[Mapping[str, str], ...]:
        """Return the columns of each row that an item has in the output, by name; empty until the output has been read."""
        self._follow()
        index = self._index
        if index.database is None:
            return ()
        names = ", ".join(f"c{at}" for at in range(len(index.columns)))
        try:
            with closing(sqlite3.connect(index.database)) as sql:
                rows = sql.execute(f"SELECT {names} FROM cells WHERE key = ? ORDER BY rowid", (storable(key),)).fetchall()
        except sqlite3.Error:  # replaced at this very moment, or removed by another program
            return ()
        return tuple(dict(zip(index.columns, row, strict=True)) for row in rows)

    # Reading ---------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Begin to read the output where it is another file than the one that was read."""
        with self._lock:
            state = _state(self._output)
            if self._stopped or (self._thread is not None and (self._thread.is_alive() or state == self._state)):
                return
            if self._output is None or (state is None and self._thread is not None):
                self._done.set()
                return
            self._state = state
            self._thread = Thread(target=self._read, args=(self._output,), name="columns", daemon=True)
            self._thread.start()

    def _read(self, output: Path) -> None:
        before = self._index.database
        try:
            index = self._build(output)
        except FmtagError as error:
            index = _Index(problem=str(error))
        except (OSError, sqlite3.Error) as error:
            index = _Index(problem=f"The columns of {output} cannot be indexed ({first_line_of(error)}).")
        self._index = index
        self._done.set()
        if before is not None and before != index.database:
            before.unlink(missing_ok=True)

    def _build(self, output: Path) -> _Index:
        columns, rows = read_output(output)
        columns = columns[:MAX_COLUMNS]
        if not columns:
            return _Index()
        self._number += 1
        path = self._folder / f"columns-{self._number}.sqlite"
        names = [f"c{at}" for at in range(len(columns))]
        remaining = ((storable(key), *map(_writable, cells[: len(columns)])) for key, cells in rows)
        with closing(sqlite3.connect(path, isolation_level=None)) as sql:
            sql.execute("PRAGMA journal_mode = OFF")
            sql.execute("PRAGMA synchronous = OFF")
            sql.execute(f"CREATE TABLE cells (key NOT NULL, {', '.join(f'{name} TEXT' for name in names)})")
            sql.execute("BEGIN")
            insert = f"INSERT INTO cells VALUES (?{', ?' * len(names)})"
            for chunk in _chunks(remaining):
                if self._stopped:
                    return _Index()
                sql.executemany(insert, chunk)
            sql.execute("CREATE INDEX cells_of_key ON cells (key)")
            sql.execute("COMMIT")
        return _Index(columns, path)


def _remove_left(parent: Path) -> None:
    """Remove the folders that killed servers of this user have left; those of running ones are locked, and stay."""
    if sys.platform == "win32":  # where `lock_handle` locks nothing
        return
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            handle = os.open(folder / LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
            try:
                state = os.fstat(handle)
                left = state.st_uid == os.getuid() and time.time() - state.st_mtime > LEFT_SECONDS and lock_handle(handle)
            finally:
                os.close(handle)
            if left:
                shutil.rmtree(folder, ignore_errors=True)


def _chunks(rows: Iterator[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    while chunk := list(islice(rows, ROWS_PER_INSERT)):
        yield chunk


def _writable(text: str) -> str:
    """Return text that SQLite stores; lone surrogates of JSON are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _state(output: Path | None) -> tuple[int, int, int] | None:
    """Return what is another value once a file has been replaced; None where there is none."""
    try:
        found = None if output is None else output.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)
