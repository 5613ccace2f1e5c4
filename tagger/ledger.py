"""What is done already, in one SQLite file: which bytes lie behind each path, what the network said of them, and what the last
output had of them.

A result belongs to the sha256 of a photo's bytes, so that what moved or was copied is known again; size and time of a file only
hint at its bytes being the same. An item's row is remembered as it was last published, which is when a run ends: whatever a
killed run wrote counts as results, never as an output.
"""

import json
import os
import re
import socket
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from tagger.errors import LedgerDamagedError, LedgerError
from tagger.lock import held
from tagger.migrations import MIGRATIONS
from tagger.records import FAILED_REASONS, Content, Failed, FailedReason, Item, Result, Tag

APPLICATION = int.from_bytes(b"fmtg", "big")
"""SQLite's mark of whose file it is."""

SUFFIX = ".ledger"

KEYS_A_QUERY = 500
"""SQLite before 3.32 takes 999 values at most."""

CACHE_KILOBYTES = 32_000

Change: TypeAlias = Literal["new", "changed_tag", "changed_flag", "failed", "recovered", "vanished"]
CHANGES: tuple[Change, ...] = get_args(Change)


class Published(NamedTuple):
    """What the last output had of an item."""

    tag: str
    low_confidence: bool
    reason: str

    @property
    def failed(self) -> bool:
        """Whether the photo could not be read."""
        return not self.tag and self.reason in FAILED_REASONS


class Event(NamedTuple):
    """An item whose row is another than in the last output; `None` where there is, or was, none."""

    path: str
    change: Change
    before: Published | None
    after: Published | None
    moved_from: str
    """A path that vanished and had the very bytes of this new one; empty where there is none."""


@dataclass
class Entry:
    """An item on its way through a run, with what is known of it."""

    item: Item
    size: int | None = None
    mtime_ns: int | None = None
    """Size and time as the file system has them now; None where there is no such file."""
    id: int | None = None
    content: int | None = None
    """A number that all files with the same bytes share."""
    result: Result | None = None
    """None where its bytes have to be read first."""
    published: Published | None = None
    tries: int = 0
    """Runs before this one in which it failed as it is."""


@dataclass(frozen=True)
class Asked:
    """What a run asks of the ledger, and what is remembered of the run."""

    source: str
    out: str
    version: str
    model: str
    fingerprint: str
    labels: Sequence[str]
    groups: Mapping[str, str]
    min_confidence: float
    allow_truncated: bool = False
    give_up: int = 7
    fresh: bool = False
    verify: bool = False


@contextmanager
def alone(path: Path | None, wait: float = 0.0) -> Iterator[None]:
    """Keep other runs away from the ledger in the file `path` while the block lasts; None is nobody else's anyway.

    Raises `LockedError` where another run holds it after `wait` seconds, and `LedgerError` where there can be no lock.
    """
    with nullcontext() if path is None else held(path.with_name(path.name + ".lock"), wait):
        yield


@contextmanager
def opened(path: Path | None) -> Iterator["Ledger"]:
    """Give the ledger in the file `path`, made where there is none; None gives one that is forgotten after the block.

    Raises `LedgerDamagedError` where it makes no sense, and `LedgerError` where it cannot be read or written, is another
    program's, or is from a newer fmtag.
    """
    name = "" if path is None else str(path)
    with said_of(name):
        if path is not None:
            _refuse_foreign(path)
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    with Ledger(connection, name) as ledger:
        yield ledger


def put_aside(path: Path) -> Path:
    """Rename a damaged ledger, with what SQLite keeps beside it, and return its new name."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{now}-{os.getpid()}")
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{end}", f"{aside}{end}")
    return aside


class Ledger:
    """An open ledger; one run at a time. `knows` may be called from any thread, all else from the one that opened it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._sql = connection
        self._name = name
        self._seen = bytearray()
        self._firsts = array("q")
        self._events: list[tuple[Any, ...]] = []

    def __enter__(self) -> "Ledger":
        try:
            with said_of(self._name):
                self._sql.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
                self._sql.execute("PRAGMA journal_mode = WAL")
                self._sql.execute("PRAGMA synchronous = FULL")
                migrate(self._sql, self._name)
        except BaseException:
            self._sql.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):  # a full disk holds no checkpoint, and nothing is lost: the next run makes it
            self._sql.close()

    # A run ---------------------------------------------------------------------------------------------------------

    def begin(self, asked: Asked) -> int:
        """Begin a run and return its number; one that was killed before is gone on with where it was asked the same."""
        self._asked = asked
        with self._transaction() as sql:
            self._model = self._model_of(asked)
            sql.execute("DELETE FROM events WHERE run IN (SELECT id FROM runs WHERE finished IS NULL)")
            first = None
            for id_, finished, fresh, verify in sql.execute("SELECT id, finished, fresh, verify FROM runs ORDER BY id DESC"):
                if finished is not None or (fresh, verify) != (asked.fresh, asked.verify):
                    break
                first = id_
            self.run = (
                sql.execute(
                    "INSERT INTO runs (started, pid, host, version, source, out, model, min_confidence, fresh, verify)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        _now(),
                        os.getpid(),
                        socket.gethostname(),
                        asked.version,
                        _storable(asked.source),
                        _storable(asked.out),
                        self._model,
                        asked.min_confidence,
                        asked.fresh,
                        asked.verify,
                    ),
                ).lastrowid
                or 0
            )
        self._tonight = first or self.run
        self._scored_since = self._tonight if asked.fresh else 0
        self._looked_since = self._tonight if asked.fresh or asked.verify else 0
        return self.run

    def look_up(self, entries: Sequence[Entry]) -> None:
        """Fill in what is known of each entry; its result stays None where its bytes have to be read."""
        with said_of(self._name):
            for start in range(0, len(entries), KEYS_A_QUERY):
                some = {_storable(entry.item.path): entry for entry in entries[start : start + KEYS_A_QUERY]}
                marks = ",".join("?" * len(some))
                for key, id_, *known in self._sql.execute(f"{_LOOK_UP} ({marks})", [*some]):
                    self._fill_in(some[key], id_, *known)

    def knows(self, sha256: bytes) -> bool:
        """Whether the network has said of these bytes all that this run needs."""
        with said_of(self._name):
            query = "SELECT 1 FROM contents WHERE sha256 = ? AND model = ? AND run >= ? AND truncated <= ?"
            asked = (sha256, self._model, self._scored_since, self._asked.allow_truncated)
            return self._sql.execute(query, asked).fetchone() is not None

    def record(self, looked: Iterable[tuple[Entry, Content | None, Result | None]]) -> None:
        """Keep what was found in the files of a batch, all of it or nothing; a result of None is that of the same bytes."""
        with self._transaction():
            for entry, content, result in looked:
                entry.content, entry.result = self._contents_row(content, result)
                if content is not None:
                    entry.size, entry.mtime_ns = content.size, content.mtime_ns
                self._items_row(entry)

    def keep(self, entry: Entry) -> None:
        """Let an item that is left out of this run stay as it was: it has not vanished."""
        if entry.id is not None:
            self._mark(entry.id)

    def to_publish(self, entry: Entry, tag: Tag) -> Change | None:
        """Take a row into account that the output is to have, and return what is another about it than in the last one."""
        if entry.id is None:
            return None
        self._mark(entry.id)
        published = Published(tag.ranked[0][0] if tag.ranked else "", tag.low_confidence, tag.reason)
        change = _change(entry.published, published)
        if change is not None:
            before = entry.published or (None, None, None)
            self._events.append((self.run, entry.id, change, *published, *before))
            if len(self._events) >= KEYS_A_QUERY:
                self._write_events()
        return change

    def original(self, entry: Entry) -> str:
        """Return the path of an earlier item of this run with the very bytes of this one; empty for the first of them."""
        if entry.content is None or entry.id is None:
            return ""
        if entry.content >= len(self._firsts):
            self._firsts.frombytes(bytes(8 * max(entry.content + 1 - len(self._firsts), len(self._firsts), 1024)))
        first = self._firsts[entry.content] or entry.id
        self._firsts[entry.content] = first
        if first == entry.id:
            return ""
        with said_of(self._name):
            return _text(self._sql.execute("SELECT key FROM items WHERE id = ?", (first,)).fetchone()[0])

    def vanish(self) -> tuple[int, int]:
        """Note the items of the last output that this run has not met.

        Returns how many of them could be read and are now gone or out of reach, and how many the last output had.
        """
        self._write_events()
        with said_of(self._name):
            before = [id_ for (id_,) in self._sql.execute("SELECT id FROM items WHERE published IS NOT NULL")]
            self._seen.extend(bytes(max(0, max(before, default=0) + 1 - len(self._seen))))
            gone = [id_ for id_ in before if not self._seen[id_]]
        with self._transaction() as sql:
            sql.executemany(
                "INSERT INTO events SELECT ?, id, 'vanished', NULL, NULL, NULL, tag, low_confidence, reason"
                " FROM items WHERE id = ?",
                ((self.run, id_) for id_ in gone),
            )
            unreachable = sql.execute(
                "SELECT count(*) FROM events WHERE run = ? AND change = 'failed' AND tag_before IS NOT NULL"
                " AND reason IN ('missing', 'unreadable')",
                (self.run,),
            ).fetchone()[0]
        return len(gone) + int(unreachable), len(before)

    def changes(self) -> dict[str, int]:
        """Return how many items there are of each change, once `vanish` has noted those that are gone."""
        with said_of(self._name):
            return dict(self._sql.execute("SELECT change, count(*) FROM events WHERE run = ? GROUP BY change", (self.run,)))

    def events(self) -> Iterator[Event]:
        """Yield what is another in this run's output than in the last one, by path."""
        with said_of(self._name):
            for path, change, moved_from, *rows in self._sql.execute(_EVENTS, (self.run, self.run)):
                after, before = (
                    None if row[1] is None else Published(row[0], bool(row[1]), row[2]) for row in (rows[:3], rows[3:])
                )
                yield Event(_text(path), change, before, after, "" if moved_from is None else _text(moved_from))

    def finish(self) -> None:
        """Remember the output as it is now; to be called when it has been replaced."""
        with self._transaction() as sql:
            sql.execute(
                "UPDATE items SET (tag, low_confidence, reason, published) = ("
                "  SELECT tag, low_confidence, reason, CASE change WHEN 'vanished' THEN NULL ELSE run END FROM events"
                "  WHERE run = ?1 AND item = items.id"
                ") WHERE id IN (SELECT item FROM events WHERE run = ?1)",
                (self.run,),
            )
            sql.execute("UPDATE runs SET finished = ? WHERE id = ?", (_now(), self.run))

    # Rows ----------------------------------------------------------------------------------------------------------

    def _model_of(self, asked: Asked) -> int:
        self._sql.execute(
            "INSERT OR IGNORE INTO models (fingerprint, name, labels, groups) VALUES (?, ?, ?, ?)",
            (asked.fingerprint, asked.model, json.dumps(list(asked.labels)), json.dumps(dict(asked.groups))),
        )
        found = self._sql.execute("SELECT id FROM models WHERE fingerprint = ?", (asked.fingerprint,)).fetchone()
        return int(found[0])

    def _fill_in(
        self,
        entry: Entry,
        id_: int,
        size: int | None,
        mtime_ns: int | None,
        content: int | None,
        failure: FailedReason | None,
        detail: str | bytes | None,
        tries: int,
        looked_in: int,
        published: int | None,
        tag: str | None,
        low_confidence: int | None,
        reason: str | None,
        model: int | None,
        scored_in: int | None,
        truncated: int | None,
        probabilities: bytes | None,
    ) -> None:
        entry.id, entry.content = id_, content
        if published is not None:
            entry.published = Published(tag or "", bool(low_confidence), reason or "")
        same = size == entry.size and mtime_ns == entry.mtime_ns and (mtime_ns is not None or size is None)
        looked = looked_in >= self._looked_since
        if failure is not None:
            entry.tries = (tries if looked_in < self._tonight else tries - 1) if same else 0
            rescued = failure == "truncated" and self._asked.allow_truncated
            if same and looked and entry.tries >= self._asked.give_up and not rescued:
                entry.result = Result(Failed(failure, _text(detail or "")))
            return
        usable = model == self._model and (not truncated or self._asked.allow_truncated)
        if same and looked and usable and scored_in is not None and scored_in >= self._scored_since:
            entry.result = self._result(probabilities, truncated)

    def _result(self, probabilities: bytes | None, truncated: int | None) -> Result:
        if probabilities is None:
            return Result(None, None, bool(truncated))
        if len(probabilities) != 4 * len(self._asked.labels):
            raise LedgerDamagedError(
                f"The ledger {self._name} is damaged: probabilities of another length than there are labels."
            )
        return Result(None, np.frombuffer(probabilities, "<f4"), bool(truncated))

    def _contents_row(self, content: Content | None, result: Result | None) -> tuple[int | None, Result]:
        """Keep what was said of some bytes, and return their number with it."""
        if content is None:
            if result is None:
                raise ValueError("what could not be read has no known bytes")
            return None, result
        find = "SELECT id, truncated, probabilities FROM contents WHERE sha256 = ?"
        if result is None:
            id_, truncated, probabilities = self._sql.execute(find, (content.sha256,)).fetchone()
            return id_, self._result(probabilities, truncated)
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
        return int(self._sql.execute(find, (content.sha256,)).fetchone()[0]), result

    def _items_row(self, entry: Entry) -> None:
        failed = entry.result.failed if entry.result else None
        reason, detail, tries = (failed.reason, _storable(failed.detail), entry.tries + 1) if failed else (None, None, 0)
        values = (entry.size, entry.mtime_ns, entry.content, reason, detail, tries, self.run)
        if entry.id is None:
            insert = (
                "INSERT INTO items (size, mtime_ns, content, failure, detail, tries, run, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            )
            entry.id = self._sql.execute(insert, (*values, _storable(entry.item.path))).lastrowid
        else:
            update = "UPDATE items SET size=?, mtime_ns=?, content=?, failure=?, detail=?, tries=?, run=? WHERE id=?"
            self._sql.execute(update, (*values, entry.id))

    def _mark(self, id_: int) -> None:
        if id_ >= len(self._seen):
            self._seen.extend(bytes(max(id_ + 1 - len(self._seen), len(self._seen), 1024)))
        self._seen[id_] = 1

    def _write_events(self) -> None:
        with self._transaction() as sql:
            # A table may list one path more than once; its rows are the same.
            sql.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._events)
        self._events.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with said_of(self._name):
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
                self._sql.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._sql.execute("ROLLBACK")
                raise


_LOOK_UP = """
    SELECT i.key, i.id, i.size, i.mtime_ns, i.content, i.failure, i.detail, i.tries, i.run,
           i.published, i.tag, i.low_confidence, i.reason, c.model, c.run, c.truncated, c.probabilities
    FROM items i LEFT JOIN contents c ON c.id = i.content WHERE i.key IN
"""

_EVENTS = """
    SELECT i.key, e.change,
           CASE WHEN e.tag_before IS NULL THEN (
               SELECT min(old.key) FROM items old JOIN events gone ON gone.item = old.id AND gone.run = ?
               WHERE old.content = i.content AND gone.change = 'vanished'
           ) END,
           e.tag, e.low_confidence, e.reason, e.tag_before, e.low_confidence_before, e.reason_before
    FROM events e JOIN items i ON i.id = e.item WHERE e.run = ? ORDER BY i.key
"""


def _change(before: Published | None, after: Published) -> Change | None:
    if before is None:
        return "failed" if after.failed else "new"
    if before == after:
        return None
    if after.failed:
        return "failed"
    if before.failed:
        return "recovered"
    return "changed_tag" if before.tag != after.tag else "changed_flag"


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
        with path.open("rb") as file:
            start = file.read(16)
        if start and start != b"SQLite format 3\0":
            raise LedgerError(f"{path} is no ledger but something else; give --ledger another file.")


@contextmanager
def said_of(name: str) -> Iterator[None]:
    """Turn SQLite's errors into one sentence, and tell damage from all that a person can mend."""
    try:
        yield
    except OSError as error:
        raise LedgerError(f"The ledger {name} cannot be read ({error.strerror or error}).") from error
    except sqlite3.OperationalError as error:
        if re.search("no such (table|column)|has no column|malformed", str(error)):
            raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error
        raise LedgerError(
            f"The ledger {name} cannot be written ({error}); make room or give --ledger another place. The output is as it was."
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise LedgerDamagedError(f"The ledger {name} is damaged ({error}).") from error


def _storable(text: str) -> str | bytes:
    """Return text as SQLite takes it: bytes where it is no Unicode, as file names may be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _text(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
