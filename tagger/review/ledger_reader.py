"""Read a ledger while runs and reviewers write it: read-only connections, one statement at a time."""

import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import quote

from tagger.errors import LedgerError
from tagger.run.ledger_file import connect, database_errors, missing_ledger
from tagger.run.migrations import migrate

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

MAX_IDLE = 8
"""Connections that are kept open between calls; more are open only while as many threads read."""

CACHE_KILOBYTES = 4_000
"""Page cache of each connection."""

BUSY_SECONDS = 30.0
"""Time to wait for a lock; readers of a ledger wait only while it is recovered after a crash."""


class LedgerReader:
    """Run queries on a ledger from any thread.

    No read transaction lasts longer than one call: it would keep SQLite from resetting the write-ahead log, which grew as
    long as the page is open. A ledger that was set aside as damaged and begun anew is opened again by its path.

    Raises `LedgerError` where there is no such ledger, it cannot be read, or it is from a newer fmtag.
    """

    def __init__(self, ledger: Path) -> None:
        self.path = ledger
        if not ledger.is_file():
            raise missing_ledger(ledger)
        self._uri = f"file:{quote(os.fspath(ledger.absolute()), errors='surrogateescape')}?mode=ro"
        self._lock = Lock()
        self._idle: deque[_Connection] = deque()
        self._closed = False
        with database_errors(str(ledger)), closing(connect(ledger)) as sql:
            migrate(sql, str(ledger))
        self._watch: _Connection | None = None
        self._watching = Lock()

    def __enter__(self) -> "LedgerReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the reader cannot be used afterwards."""
        with self._lock:
            self._closed = True
            idle = [*self._idle]
            self._idle.clear()
        for connection in idle:
            connection.sql.close()
        with self._watching:
            if self._watch is not None:
                self._watch.sql.close()
                self._watch = None

    def rows(self, query: str, parameters: Parameters = (), attached: Path | None = None) -> list[Any]:
        """Return all rows of one query, as tuples; `attached` is a further database that it reads under the name `extra`.

        A number in the parameters that SQLite cannot hold is in no row.
        """
        with self._connection(attached) as sql:
            try:
                return sql.execute(query, parameters).fetchall()
            except OverflowError:
                return []

    def state(self) -> tuple[int, ...]:
        """Return what is another value after every change of the ledger that other connections have committed."""
        with database_errors(str(self.path)), self._watching:
            identity = _identity(self.path)
            if self._watch is None or self._watch.identity != identity:
                if self._watch is not None:
                    self._watch.sql.close()
                self._watch = self._open(identity)
            return (*identity, int(self._watch.sql.execute("PRAGMA data_version").fetchone()[0]))

    @contextmanager
    def _connection(self, attached: Path | None) -> Iterator[sqlite3.Connection]:
        with database_errors(str(self.path)):
            connection = self._taken()
            try:
                connection.attach(attached)
                yield connection.sql
            except BaseException:
                connection.sql.close()
                raise
            self._give_back(connection)

    def _taken(self) -> "_Connection":
        """Return an idle connection to the file that now has the ledger's path, or a new one."""
        identity = _identity(self.path)
        while True:
            with self._lock:
                if self._closed:
                    raise LedgerError(f"The ledger {self.path} has been closed.")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._open(identity)
            if connection.identity == identity:
                return connection
            connection.sql.close()

    def _give_back(self, connection: "_Connection") -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.sql.close()

    def _open(self, identity: tuple[int, int]) -> "_Connection":
        sql = sqlite3.connect(self._uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
        try:
            sql.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
            sql.create_function("casefold", 1, _casefold, deterministic=True)
        except BaseException:
            sql.close()
            raise
        return _Connection(sql, identity)


class _Connection:
    """A connection, the file that it has open, and the database that is attached to it."""

    def __init__(self, sql: sqlite3.Connection, identity: tuple[int, int]) -> None:
        self.sql = sql
        self.identity = identity
        self._attached: Path | None = None

    def attach(self, path: Path | None) -> None:
        """Attach a database as `extra`; one that is attached for an earlier query stays where none is needed."""
        if path is None or path == self._attached:
            return
        if self._attached is not None:
            with suppress(sqlite3.Error):
                self.sql.execute("DETACH extra")
        self.sql.execute("ATTACH ? AS extra", (f"file:{quote(os.fspath(path), errors='surrogateescape')}?mode=ro",))
        self._attached = path


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise missing_ledger(path) from error
    return found.st_dev, found.st_ino


def _casefold(value: str | bytes | None) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
    return str(text).casefold()
