"""What is done already, in one SQLite file: which bytes lie behind each path, what the network said of them, and what the last
output had of them.

A result belongs to the sha256 of a photo's bytes, so that what moved or was copied is known again; size and time of a file only
hint at its bytes being the same. A run lists its items here, asks which have to be looked at, records what was seen in them
batch by batch, and at its end makes and writes the rows in one transaction, which stands when the output has been replaced:
whatever a killed run wrote counts as results, never as an output.
"""

import json
import os
import pickle
import re
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tagger.errors import LedgerDamagedError, LedgerError
from tagger.lock import file_lock
from tagger.records import FAILED_REASONS, Content, Failed, FailedReason, Result
from tagger.run.migrations import MIGRATIONS, OF_A_RUN

APPLICATION = int.from_bytes(b"fmtg", "big")
"""SQLite's mark of whose file it is."""

SUFFIX = ".ledger"

BESIDE = ("-wal", "-shm")
"""Ends of the names of the files that SQLite keeps beside a ledger."""

CHUNK = 1_000
"""Rows that are made at once."""

ROWS_AN_INSERT = 140
"""With one statement for many rows SQLite takes a fifth of the time; before 3.32 it takes 999 values at most."""

CACHE_KILOBYTES = 32_000

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1
"""Times of files that SQLite can hold, in nanoseconds since 1970: from 1677 to 2262; damaged disks and copies have others."""

Change: TypeAlias = Literal["new", "changed_tag", "changed_flag", "failed", "recovered", "vanished"]


class Cells(NamedTuple):
    """A row as the output has it, but for its path: text, as it is written."""

    tag: str
    confidence: str
    low_confidence: str
    reason: str
    group: str
    group_confidence: str

    @property
    def failed(self) -> bool:
        """Whether the photo could not be read."""
        return not self.tag and self.reason in FAILED_REASONS


class ListedFile(NamedTuple):
    """An item as the source and the file system have it now."""

    path: str
    size: int | None = None
    """None, as the time, where there is no such file."""
    mtime_ns: int | None = None
    """From `EARLIEST_NS` to `LATEST_NS`."""
    left_out: bool = False
    """Whether it is to stay as it was, because its file is being written still."""
    failure: FailedReason | None = None
    """What the source itself knows to be wrong."""
    detail: str | None = None
    columns: Mapping[str, object] | None = None


class UnscoredPhoto(NamedTuple):
    """An item whose bytes have to be looked at."""

    path: str
    size: int | None
    mtime_ns: int | None
    tries: int
    """Runs before this one in which it failed as it is."""


class Row(NamedTuple):
    """An item of the output with what became of it."""

    path: str
    columns: Mapping[str, object]
    result: Result
    duplicate_of: str
    """An earlier path with the very bytes of this one; empty where there is none."""


class Event(NamedTuple):
    """An item whose row is another than in the last output: tag, flag and reason, None where there is, or was, no row."""

    change: Change
    path: str
    moved_from: str
    """A path that vanished and had the very bytes of this new one; empty where there is none."""
    tag: str | None
    low_confidence: str | None
    reason: str | None
    tag_before: str | None
    low_confidence_before: str | None
    reason_before: str | None


@dataclass(frozen=True)
class RunKey:
    """What a run asks of the ledger, and what is remembered of the run."""

    source: str
    out: str
    version: str
    model: str
    fingerprint: str
    labels: Sequence[str]
    min_confidence: float
    names: Mapping[str, str] = field(default_factory=dict)
    allow_truncated: bool = False
    give_up: int = 7
    fresh: bool = False
    verify: bool = False


@contextmanager
def exclusive(path: Path | None, wait: float = 0.0) -> Iterator[None]:
    """Keep other runs away from the ledger in the file `path` while the block lasts; None is nobody else's anyway.

    Raises `LockedError` where another run holds it after `wait` seconds, and `LedgerError` where there can be no lock.
    """
    with nullcontext() if path is None else file_lock(lock_of(path), wait):
        yield


def lock_of(path: Path) -> Path:
    """Return the lock of the ledger in the file `path`: one for all the links that lead there."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.lock")


@contextmanager
def open_ledger(path: Path | None) -> Iterator["Ledger"]:
    """Give the ledger in the file `path`, made where there is none; None gives one that is forgotten after the block.

    Raises `LedgerDamagedError` where it makes no sense, and `LedgerError` where it cannot be read or written, is another
    program's, or is from a newer fmtag.
    """
    name = "" if path is None else str(path)
    with database_error_sentence(name):
        if path is not None:
            _refuse_foreign(path)
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    with Ledger(connection, name or "of this run alone") as ledger:
        yield ledger


def set_aside(path: Path) -> Path:
    """Rename a damaged ledger, with what SQLite keeps beside it, and return its new name."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{now}-{os.getpid()}")
    for end in ("", *BESIDE):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{end}", f"{aside}{end}")
    return aside


class Ledger:
    """An open ledger; one run at a time. `knows` may be called from any thread, all else from the one that opened it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._sql = connection
        self._name = name
        # Equal queries on one connection share a prepared statement: from Python 3.12 on threads mix up their parameters.
        self._one_at_a_time = Lock()

    def __enter__(self) -> "Ledger":
        try:
            with database_error_sentence(self._name):
                self._sql.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
                self._sql.execute("PRAGMA journal_mode = WAL")
                self._sql.execute("PRAGMA synchronous = FULL")
                self._sql.execute("PRAGMA temp.journal_mode = MEMORY")  # nothing in it outlives the run
                self._sql.execute(f"PRAGMA temp.cache_size = -{CACHE_KILOBYTES}")
                migrate(self._sql, self._name)
        except BaseException:
            self._sql.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):  # a full disk holds no checkpoint, and nothing is lost: the next run makes it
            self._sql.close()

    # A run begins and lists its items ------------------------------------------------------------------------------

    def begin(self, asked: RunKey) -> int:
        """Begin a run and return its number; one that was killed before is gone on with where it was asked the same."""
        self._asked = asked
        with self._transaction() as sql:
            self._model = self._model_of(asked)
            self._decision = self._decision_of(asked)
            first = None
            for id_, finished, fresh, verify in sql.execute("SELECT id, finished, fresh, verify FROM runs ORDER BY id DESC"):
                if finished is not None or (fresh, verify) != (asked.fresh, asked.verify):
                    break
                first = id_
            texts = (asked.version, storable(asked.source), storable(asked.out))
            begun = sql.execute(
                "INSERT INTO runs (started, pid, host, version, source, out, decision, fresh, verify)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_now(), os.getpid(), socket.gethostname(), *texts, self._decision, asked.fresh, asked.verify),
            )
            self.run = int(begun.lastrowid or 0)
        with database_error_sentence(self._name):
            self._sql.executescript(OF_A_RUN)
        tonight = first or self.run
        self._conditions = {
            "run": self.run,
            "tonight": tonight,
            "model": self._model,
            "decision": self._decision,
            "scored_since": tonight if asked.fresh else 0,
            "looked_since": tonight if asked.fresh or asked.verify else 0,
            "allow_truncated": asked.allow_truncated,
            "give_up": asked.give_up,
        }
        return self.run

    def take(self, items: Iterable[ListedFile]) -> int:
        """Take the items of the run, in their order, and return how many have to be looked at."""
        # Nearly all need nothing done to them, and a step of Python's for each would be what a night without news costs.
        plain = (one if one.path.isascii() and one.failure is None and not one.columns else _stored(one) for one in items)
        statement, many = "", 0
        with self._transaction() as sql:
            while rows := list(islice(plain, ROWS_AN_INSERT)):
                if len(rows) != many:
                    many = len(rows)
                    statement = _INSERT_LISTED + ", ".join([_VALUES] * many)
                sql.execute(statement, list(chain.from_iterable(rows)))
            sql.execute(_FIND_ITEMS)
            return int(sql.execute(_FIND_UNKNOWN, self._conditions).rowcount)

    # What has to be looked at --------------------------------------------------------------------------------------

    def unknown(self, count: int) -> Iterator[Sequence[UnscoredPhoto]]:
        """Yield the items that have to be looked at, `count` at a time, in their order."""
        last = 0
        while True:
            with database_error_sentence(self._name):
                rows = self._sql.execute(_UNKNOWN, {**self._conditions, "last": last, "count": count}).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [UnscoredPhoto(text_of(path), *known) for _, path, *known in rows]

    def knows(self, sha256: bytes) -> bool:
        """Whether the network has said of these bytes all that this run needs."""
        with database_error_sentence(self._name), self._one_at_a_time:
            query = "SELECT 1 FROM contents WHERE sha256 = ? AND model = ? AND run >= ? AND truncated <= ?"
            asked = (sha256, self._model, self._conditions["scored_since"], self._asked.allow_truncated)
            return self._sql.execute(query, asked).fetchone() is not None

    def record(self, looked: Iterable[tuple[UnscoredPhoto, Content | None, Result | None]]) -> None:
        """Keep what was found in the files of a batch, all of it or nothing; a result of None is that of the same bytes."""
        with self._transaction() as sql:
            for item, content, result in looked:
                id_ = None if content is None else self._keep_content(content, result)
                size, mtime_ns = (content.size, _telling(content.mtime_ns)) if content else (item.size, item.mtime_ns)
                failed = result.failed if result else None
                reason, detail, tries = (failed.reason, storable(failed.detail), item.tries + 1) if failed else (None, None, 0)
                sql.execute(
                    "INSERT INTO items (key, size, mtime_ns, content, failure, detail, tries, run)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                    " size = excluded.size, mtime_ns = excluded.mtime_ns, content = excluded.content,"
                    " failure = excluded.failure, detail = excluded.detail, tries = excluded.tries,"
                    " run = excluded.run, decision = NULL",
                    (storable(item.path), size, mtime_ns, id_, reason, detail, tries, self.run),
                )

    # The end of a run ----------------------------------------------------------------------------------------------

    @contextmanager
    def publishing(self, cells_of: Callable[[Result], Cells]) -> Iterator[None]:
        """Make the rows of all items, for the block to write; what they are stands once the block has ended well."""
        with self._transaction() as sql:
            sql.execute(_FIND_ITEMS)
            sql.execute(_FIND_UNDECIDED, self._conditions)
            self._decide(cells_of)
            sql.execute(_VANISH, self._conditions)
            sql.execute(_FORGET_VANISHED, self._conditions)
            sql.execute(_FIND_ORIGINALS)
            yield
            sql.execute("UPDATE runs SET finished = ? WHERE id = ?", (_now(), self.run))

    def counts(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield each tag, flag and reason that rows have together, and how many have them."""
        return self._rows(
            "SELECT coalesce(tag, ''), coalesce(low_confidence, 'true'), coalesce(reason, listing.failure), count(*)"
            " FROM listing LEFT JOIN items ON items.id = item WHERE NOT left_out GROUP BY 1, 2, 3"
        )

    def changes(self) -> dict[str, int]:
        """Return how many items there are of each change."""
        return dict(self._rows("SELECT change, count(*) FROM events WHERE run = :run GROUP BY change"))

    def totals(self) -> "Totals":
        """Return further counts of the run."""
        return Totals(*next(self._rows(_TOTALS)))

    def failures(self) -> Iterator[tuple[str, Failed]]:
        """Yield path and reason of each item that could not be read, in their order."""
        for path, reason, detail in self._rows(_FAILURES):
            yield text_of(path), Failed(reason, text_of(detail or ""))

    def count_rows(self, only: Sequence[str] = ()) -> int:
        """Return how many rows `rows` yields."""
        return int(next(self._rows(f"SELECT count(*) {_OF_THE_OUTPUT} {_wanted(only)}"))[0])

    def rows(self, only: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows of the output, or those asked for of `new`, `changed` and `flagged` ones, in their order."""
        for path, original, failure, detail, truncated, probabilities, columns in self._rows(_ROWS + _wanted(only)):
            result = self._result_of(failure, detail, truncated, probabilities)
            yield Row(text_of(path), pickle.loads(columns) if columns else {}, result, text_of(original))

    def cells(self, model: str, only: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the same rows as text: path, what `Cells` has, the path that it is a duplicate of, and the model."""
        rows = self._rows(_CELLS + _wanted(only), column=model)
        if next(self._rows("SELECT EXISTS (SELECT 1 FROM listing WHERE typeof(key) = 'blob')"))[0]:
            return (tuple(map(text_of, row)) for row in rows)
        return rows

    def events(self) -> Iterator[Event]:
        """Yield what is another in this run's output than in the last one, by path."""
        for change, path, moved_from, *rows in self._rows(_EVENTS):
            yield Event(change, text_of(path), text_of(moved_from or ""), *rows)

    # Rows ----------------------------------------------------------------------------------------------------------

    def _rows(self, query: str, **more: object) -> Iterator[tuple[Any, ...]]:
        with database_error_sentence(self._name):
            return self._sql.execute(query, {**self._conditions, **more})

    def _decide(self, cells_of: Callable[[Result], Cells]) -> None:
        """Make the rows of the items that have none of this decision, and note what is another about them."""
        last = 0
        while rows := self._sql.execute(_UNDECIDED, (last, CHUNK)).fetchall():
            last = rows[-1][0]
            made, events = [], []
            for id_, failure, detail, truncated, probabilities, published, *before in rows:
                cells = cells_of(self._result_of(failure, detail, truncated, probabilities))
                old = None if published is None else Cells(*before)
                change = _change(old, cells)
                made.append((*cells, self._decision, self.run if change else published, id_))
                if change is not None:
                    events.append((self.run, id_, change, *_shown(cells), *(_shown(old) if old else (None, None, None))))
            self._sql.executemany(_MAKE_ROW, made)
            self._sql.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", events)

    def _result_of(
        self, failure: FailedReason | None, detail: str | bytes | None, truncated: int | None, probabilities: bytes | None
    ) -> Result:
        if failure is not None:
            return Result(Failed(failure, text_of(detail or "")))
        if probabilities is None:
            return Result(None, None, bool(truncated))
        if len(probabilities) != 4 * len(self._asked.labels):
            raise LedgerDamagedError(f"The ledger {self._name} is damaged: it has probabilities of another number of labels.")
        return Result(None, np.frombuffer(probabilities, "<f4"), bool(truncated))

    def _keep_content(self, content: Content, result: Result | None) -> int:
        """Keep what was said of some bytes, and return their number."""
        if result is not None:
            said: tuple[int | None, int | None, int, bytes | None] = (None, None, 0, None)
            if result.failed is None:
                packed = None if result.probabilities is None else result.probabilities.astype("<f4").tobytes()
                said = (self._model, self.run, int(result.truncated), packed)
            self._sql.execute(
                "INSERT INTO contents (sha256, model, run, truncated, probabilities) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (sha256) DO UPDATE SET model = excluded.model, run = excluded.run,"
                " truncated = excluded.truncated, probabilities = excluded.probabilities",
                (content.sha256, *said),
            )
        return int(self._sql.execute("SELECT id FROM contents WHERE sha256 = ?", (content.sha256,)).fetchone()[0])

    def _model_of(self, asked: RunKey) -> int:
        self._sql.execute(
            "INSERT OR IGNORE INTO models (fingerprint, name, labels) VALUES (?, ?, ?)",
            (asked.fingerprint, asked.model, json.dumps(list(asked.labels))),
        )
        return int(self._sql.execute("SELECT id FROM models WHERE fingerprint = ?", (asked.fingerprint,)).fetchone()[0])

    def _decision_of(self, asked: RunKey) -> int:
        values = (self._model, asked.min_confidence, json.dumps(dict(asked.names), sort_keys=True))
        self._sql.execute("INSERT OR IGNORE INTO decisions (model, min_confidence, names) VALUES (?, ?, ?)", values)
        find = "SELECT id FROM decisions WHERE model = ? AND min_confidence = ? AND names = ?"
        return int(self._sql.execute(find, values).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with database_error_sentence(self._name):
            self._sql.execute("BEGIN IMMEDIATE")
        try:
            with database_error_sentence(self._name):
                yield self._sql
                self._sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._sql.execute("ROLLBACK")
            raise


class Totals(NamedTuple):
    """Counts of a run that its rows alone do not tell."""

    settling: int
    duplicates: int
    lost: int
    """Items of the last output that are gone, or could be read then and can no longer be reached."""
    known: int
    """Items of the last output."""


_INSERT_LISTED = "INSERT INTO listing (key, size, mtime_ns, left_out, failure, detail, columns) VALUES "
_VALUES = f"({', '.join('?' * len(ListedFile._fields))})"

_FIND_ITEMS = """
    UPDATE listing SET item = (SELECT id FROM items WHERE items.key = listing.key) WHERE item IS NULL AND failure IS NULL
"""

_FIND_UNKNOWN = """
    INSERT INTO unknown
    SELECT min(position) FROM listing LEFT JOIN items ON items.id = item LEFT JOIN contents ON contents.id = content
    WHERE listing.failure IS NULL AND NOT left_out AND NOT coalesce(
        items.size IS listing.size AND items.mtime_ns IS listing.mtime_ns AND items.run >= :looked_since
        AND CASE WHEN items.failure IS NULL
            THEN model = :model AND contents.run >= :scored_since AND truncated <= :allow_truncated
            ELSE tries - (items.run >= :tonight) >= :give_up AND NOT (items.failure = 'truncated' AND :allow_truncated)
        END, 0)
    GROUP BY listing.key
"""

_UNKNOWN = """
    SELECT position, listing.key, listing.size, listing.mtime_ns, CASE
        WHEN items.failure IS NOT NULL AND items.size IS listing.size AND items.mtime_ns IS listing.mtime_ns
        THEN tries - (items.run >= :tonight) ELSE 0 END
    FROM unknown JOIN listing USING (position) LEFT JOIN items ON items.id = item
    WHERE position > :last ORDER BY position LIMIT :count
"""

_FIND_UNDECIDED = """
    INSERT OR IGNORE INTO undecided
    SELECT item FROM listing JOIN items ON items.id = item
    WHERE NOT left_out AND (published IS NULL OR decision IS NOT :decision)
"""

_UNDECIDED = """
    SELECT item, failure, detail, truncated, probabilities,
           published, tag, confidence, low_confidence, reason, group_, group_confidence
    FROM undecided JOIN items ON items.id = item LEFT JOIN contents ON contents.id = content
    WHERE item > ? ORDER BY item LIMIT ?
"""

_MAKE_ROW = """
    UPDATE items SET tag = ?, confidence = ?, low_confidence = ?, reason = ?, group_ = ?, group_confidence = ?,
        decision = ?, published = ?
    WHERE id = ?
"""

_VANISH = """
    INSERT INTO events SELECT :run, id, 'vanished', NULL, NULL, NULL, tag, low_confidence, reason FROM items
    WHERE published IS NOT NULL AND id NOT IN (SELECT item FROM listing WHERE item IS NOT NULL)
"""

_FORGET_VANISHED = """
    UPDATE items SET published = NULL, decision = NULL
    WHERE id IN (SELECT item FROM events WHERE run = :run AND change = 'vanished')
"""

_FIND_ORIGINALS = """
    INSERT INTO originals SELECT content, key FROM (
        SELECT content, listing.key, min(position) FROM listing JOIN items ON items.id = item
        WHERE NOT left_out AND content IS NOT NULL GROUP BY content HAVING count(DISTINCT item) > 1
    )
"""

_ORIGINAL = "CASE WHEN originals.key IS NULL OR originals.key = listing.key THEN '' ELSE originals.key END"

_JOINED = "FROM listing LEFT JOIN items ON items.id = item LEFT JOIN originals USING (content)"
_OF_THE_OUTPUT = f"{_JOINED} WHERE NOT left_out"

_CELLS = f"""
    SELECT listing.key, coalesce(items.tag, ''), coalesce(confidence, ''), coalesce(items.low_confidence, 'true'),
           coalesce(items.reason, listing.failure), coalesce(group_, ''), coalesce(group_confidence, ''), {_ORIGINAL}, :column
    {_OF_THE_OUTPUT}
"""

_ROWS = f"""
    SELECT listing.key, {_ORIGINAL}, coalesce(items.failure, listing.failure), coalesce(items.detail, listing.detail),
           truncated, probabilities, columns
    {_JOINED} LEFT JOIN contents ON contents.id = content WHERE NOT left_out
"""

_FAILURES = """
    SELECT listing.key, coalesce(items.failure, listing.failure), coalesce(items.detail, listing.detail)
    FROM listing LEFT JOIN items ON items.id = item
    WHERE NOT left_out AND (items.failure IS NOT NULL OR listing.failure IS NOT NULL) ORDER BY position
"""

_EVENTS = """
    SELECT change, items.key,
           CASE WHEN tag_before IS NULL THEN (
               SELECT min(old.key) FROM items old JOIN events gone ON gone.item = old.id AND gone.run = :run
               WHERE old.content = items.content AND gone.change = 'vanished'
           ) END,
           events.tag, events.low_confidence, events.reason, tag_before, low_confidence_before, reason_before
    FROM events JOIN items ON items.id = item WHERE events.run = :run ORDER BY items.key
"""

_TOTALS = f"""
    SELECT (SELECT count(*) FROM listing WHERE left_out),
           (SELECT count(*) FROM listing JOIN items ON items.id = item JOIN originals USING (content)
            WHERE NOT left_out AND {_ORIGINAL} != ''),
           (SELECT count(*) FROM events WHERE run = :run AND (change = 'vanished' OR change = 'failed'
            AND tag_before IS NOT NULL AND reason IN ('missing', 'unreadable'))),
           (SELECT count(*) FROM items WHERE published IS NOT NULL)
               + (SELECT count(*) FROM events WHERE run = :run AND change = 'vanished')
               - (SELECT count(*) FROM events WHERE run = :run AND tag_before IS NULL)
"""


def _wanted(only: Sequence[str]) -> str:
    """Return the rest of a query for rows: the condition that they are of those asked for, and their order."""
    conditions = {
        "new": "item IN (SELECT item FROM events WHERE run = :run AND change = 'new')",
        "changed": "item IN (SELECT item FROM events WHERE run = :run AND change NOT IN ('new', 'vanished'))",
        "flagged": "coalesce(items.low_confidence, 'true') = 'true'",
    }
    wanted = " OR ".join(f"({conditions[name]})" for name in only)
    return f" AND ({wanted}) ORDER BY position" if wanted else " ORDER BY position"


def _stored(one: ListedFile) -> tuple[Any, ...]:
    """Return an item as its table has it."""
    packed = pickle.dumps(dict(one.columns)) if one.columns else None
    return (storable(one.path), *one[1:5], None if one.detail is None else storable(one.detail), packed)


def _change(before: Cells | None, after: Cells) -> Change | None:
    if before is None:
        return "failed" if after.failed else "new"
    if _shown(before) == _shown(after):
        return None
    if after.failed:
        return "failed"
    if before.failed:
        return "recovered"
    return "changed_tag" if before.tag != after.tag else "changed_flag"


def _shown(cells: Cells) -> tuple[str, str, str]:
    """Return what makes a change: another probability alone is none."""
    return cells.tag, cells.low_confidence, cells.reason


# Files -------------------------------------------------------------------------------------------------------------


def migrate(sql: sqlite3.Connection, name: str) -> None:
    """Bring a ledger to this program's format; raises `LedgerError` where it is from a newer one, or no ledger."""
    application = sql.execute("PRAGMA application_id").fetchone()[0]
    version = sql.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        if application or version or sql.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise LedgerError(f"{name} is another program's database; give --ledger another file.")
        sql.execute(f"PRAGMA application_id = {APPLICATION}")
    if version > len(MIGRATIONS):
        raise LedgerError(f"The ledger {name} is from a newer fmtag; update fmtag, or give --ledger another file.")
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        sql.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")


def _refuse_foreign(path: Path) -> None:
    """Refuse a file that was meant to be something else, before it is taken for a damaged ledger and put aside."""
    if path.suffix != SUFFIX and path.exists():
        try:
            with path.open("rb") as file:
                start = file.read(16)
        except OSError as error:
            raise LedgerError(f"The ledger {path} cannot be read ({error.strerror or error}).") from error
        if start and start != b"SQLite format 3\0":
            raise LedgerError(f"{path} is no ledger but something else; give --ledger another file.")


@contextmanager
def database_error_sentence(name: str) -> Iterator[None]:
    """Turn SQLite's errors into one sentence, and tell damage from all that a person can mend."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if re.search("no such (table|column)|has no column|malformed", str(error)):
            raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error
        raise LedgerError(
            f"The ledger {name} cannot be written ({error}); make room or give --ledger another place, and run again."
        ) from error
    except sqlite3.ProgrammingError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error


def _telling(mtime_ns: int | None) -> int | None:
    """Return a file's time, or None where it cannot be held, so that the file is looked at again the next time."""
    return mtime_ns if mtime_ns is not None and EARLIEST_NS <= mtime_ns <= LATEST_NS else None


def storable(text: str) -> str | bytes:
    """Return text as SQLite takes it: bytes where it is no Unicode, as file names may be."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")
    return text


def text_of(stored: str | bytes) -> str:
    """Return the text that `storable` was given."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
