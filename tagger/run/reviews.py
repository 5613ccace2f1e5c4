"""Record what people decide about photos in the ledger, beside runs that may go on meanwhile.

A decision belongs to the bytes of a photo: all copies share it, and other bytes at the same path are open again. Decisions are
only ever added; the last one counts. Each is on disk before it is acknowledged, and sets the photo's rows aside, which the next
run makes anew.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from tagger.run.ledger import open_ledger
from tagger.run.ledger_file import database_errors, missing_ledger, set_aside
from tagger.run.ledger_values import storable, stored_time
from tagger.run.migrations import migrate
from tagger.run.review_values import Decision, Merged, Recorded, Review, Shown

LOCK_SECONDS = 120.0
"""Time limit for the write lock: a run holds it while it makes and writes the rows of a whole catalog."""

RECENT = 500
"""Decisions by which the favourite labels and the pace are told."""

LONGEST_TEXT = 200
"""Characters of a label or a reviewer's name."""


class _Connection(NamedTuple):
    """An open connection, and device and number of the file that it has open."""

    sql: sqlite3.Connection
    file: tuple[int, int]


class ReviewStore:
    """Read and add the decisions of a ledger; safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the ledger `path`; raises `LedgerError` where it is missing, damaged or from a newer fmtag."""
        self._path = path
        self._name = str(path)
        self._open: dict[str, _Connection] = {}
        self._one_reader, self._one_writer = Lock(), Lock()  # reading does not wait for a run, which a decision may have to
        try:
            with database_errors(self._name), self._one_writer:
                migrate(self._connection("write"), self._name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the ledger."""
        with self._one_writer, self._one_reader:
            for connection in self._open.values():
                connection.sql.close()
            self._open.clear()

    def record(self, photos: Sequence[Shown], label: str, reviewer: str, only_open: bool = False) -> Recorded:
        """Record a decision about photos, all in one transaction that is on disk when this returns.

        Args:
            photos: as they were shown; of several with the same bytes the first one counts.
            label: what they show; empty for none of the labels.
            reviewer: name of who decided.
            only_open: leave photos alone that have a decision already, as an accept of a whole page does.

        Raises `ValueError` for texts that are too long or hold control characters.
        """
        _require_plain(label, "label", may_be_empty=True)
        _require_plain(reviewer, "reviewer")
        recorded, others, unknown, replaced = list[Review](), list[Review](), list[Shown](), list[Review]()
        with self._transaction() as sql:
            seen: set[bytes] = set()
            for shown in photos:
                found = sql.execute(_SHOWN, (shown.item, shown.sha256)).fetchone()
                if found is None:
                    unknown.append(shown)
                    continue
                content, before, *row = found
                if shown.sha256 in seen:
                    continue
                seen.add(shown.sha256)
                if only_open and before is not None:
                    others.append(_found(sql, before))
                    continue
                if before is not None and (other := _found(sql, before)).reviewer != reviewer:
                    replaced.append(other)
                recorded.append(_add(sql, content, label, reviewer, shown.item, row, before))
        return Recorded(recorded, others, unknown, replaced)

    def merge(self, decisions: Sequence[Decision], written: str, reviewer: str) -> Merged:
        """Record decisions that were made elsewhere, all in one transaction; what the ledger knows better stays.

        Merging the same decisions again records nothing, whatever has been decided since.

        Args:
            decisions: one for each of several photos' bytes.
            written: time that stands for that of a decision without one, as that of the table; like `Review.decided`.
            reviewer: of decisions whose label was edited after they had been exported from this ledger.

        Raises `ValueError` for texts that are too long or hold control characters.
        """
        for text in {reviewer, *(one.reviewer for one in decisions)}:
            _require_plain(text, "reviewer")
        for text in {one.label for one in decisions}:
            _require_plain(text, "label", may_be_empty=True)
        merged = Merged([], [], [], [])
        with self._transaction() as sql:
            for one in decisions:
                found = sql.execute(_SHOWN, (one.shown.item, one.shown.sha256)).fetchone()
                if found is None:
                    merged.unknown.append(one.shown)
                    continue
                content, before, *row = found
                counting = None if before is None else _found(sql, before)
                last = sql.execute(_LAST_OF_CONTENT, (content,)).fetchone()
                if counting is not None and counting.label == one.label:
                    merged.unchanged.append(counting)
                    continue
                if last is not None and last[0] > (one.decided or written):
                    merged.later.append(one.shown)
                    continue
                edited = counting is not None and (counting.reviewer, counting.decided) == (one.reviewer, one.decided)
                by, decided = (reviewer, None) if edited else (one.reviewer, one.decided)
                merged.recorded.append(_add(sql, content, one.label, by, one.shown.item, row, before, decided=decided))
        return merged

    def undo(self, reviews: Sequence[int], reviewer: str) -> Recorded:
        """Take decisions back, so that what counted before each counts again; one that was decided again since stays."""
        _require_plain(reviewer, "reviewer")
        recorded, others = list[Review](), list[Review]()
        with self._transaction() as sql:
            for review in reviews:
                found = sql.execute(_UNDONE, (review,)).fetchone()
                if found is None:
                    continue
                content, item, before, counting, *row = found
                if counting == review:
                    recorded.append(_add(sql, content, None, reviewer, item, row, review, before))
                elif counting is not None:
                    others.append(_found(sql, counting))
        return Recorded(recorded, others, [])

    def since(self, review: int, at_most: int = 1_000) -> list[Review]:
        """Return the decisions after the one of number `review`, oldest first."""
        rows = self._rows(f"{_REVIEWS} WHERE reviews.id > ? ORDER BY reviews.id LIMIT ?", (review, at_most))
        return [_review(row) for row in rows]

    def last(self) -> int:
        """Return the number of the last decision, 0 where there is none."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM reviews")[0][0])

    def counting(self, shas: Sequence[bytes]) -> list[Review]:
        """Return the decisions that count for the bytes with these hashes; those without one have none."""
        found = (self._rows(f"{_REVIEWS} WHERE sha256 = ? AND reviews.id = review", (sha,)) for sha in dict.fromkeys(shas))
        return [_review(row) for rows in found for row in rows]

    def frequent_labels(self, count: int) -> list[str]:
        """Return the labels that were decided most often, at most `count`, the most frequent first."""
        return [str(row[0]) for row in self._rows(_FREQUENT, (RECENT, count))]

    def recent_times(self) -> list[str]:
        """Return when the last decisions were made, at most `RECENT`, in their order."""
        return [str(row[0]) for row in self._rows(_TIMES, (RECENT,))][::-1]

    # Helpers -------------------------------------------------------------------------------------------------------

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._one_reader, database_errors(self._name):
            return self._connection("read").execute(query, values).fetchall()

    def _connection(self, use: str) -> sqlite3.Connection:
        """Return the connection for a use, to the file that has the ledger's path now: a run may have begun a new one."""
        try:
            state = self._path.stat()
        except OSError as error:
            raise missing_ledger(self._path) from error
        found = self._open.get(use)
        if found is not None and found.file == (state.st_dev, state.st_ino):
            return found.sql
        if found is not None:
            found.sql.close()
        sql = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        self._open[use] = _Connection(sql, (state.st_dev, state.st_ino))
        sql.execute("PRAGMA synchronous = FULL")
        return sql

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one_writer, database_errors(self._name):
            sql = self._connection("write")
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
                sql.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    sql.execute("ROLLBACK")
                raise


def _add(
    sql: sqlite3.Connection,
    content: int,
    label: str | None,
    reviewer: str,
    item: int,
    row: Sequence[str],
    before: int | None,
    counts: int | None = None,
    decided: str | None = None,
) -> Review:
    """Add a decision, of now unless `decided` tells when, which counts unless it takes another back: then `counts` does.

    Where a run has written the decision before into the row, the row of the networks from before it is kept.
    """
    sql.execute(_SET_ASIDE, (content,))
    if row[2] == "reviewed" and before is not None:
        row = sql.execute("SELECT tag, confidence, reason FROM reviews WHERE id = ?", (before,)).fetchone()
    review = int(sql.execute(_ADD, (content, label, reviewer, decided or _now(), item, *row, before)).lastrowid or 0)
    sql.execute(_COUNT, (review if label is not None else counts, content))
    return _found(sql, review)


def _found(sql: sqlite3.Connection, review: int) -> Review:
    return _review(sql.execute(f"{_REVIEWS} WHERE reviews.id = ?", (review,)).fetchone())


def begun_anew(error: Exception, path: Path, address: str | None = None) -> str:
    """Set a damaged ledger aside, with a new one that has the decisions of people in it, and return a sentence about it.

    `address` is where a ledger lies in a bucket whose working copy is `path`.
    """
    aside = set_aside(path)
    rescued = rescue(aside, path)
    decisions = f", with the decisions of people that it had ({rescued:,})" if rescued else ""
    return f"{error} It is kept as {aside.name if address is None else aside}, and a new one is begun{decisions}."


def rescue(damaged: Path, ledger: Path) -> int:
    """Copy the decisions that count, as far as they can be read, from a damaged ledger into a new one; return their number.

    The results of a run can be computed again, what people decided cannot.
    """
    found: list[Any] = []
    with suppress(sqlite3.Error), closing(sqlite3.connect(damaged)) as sql:
        for row in sql.execute(_COUNTING):
            found.append(row)
    if not found:
        return 0
    with open_ledger(ledger):
        pass
    with database_errors(str(ledger)), closing(sqlite3.connect(ledger)) as sql, sql:
        for sha256, *review in found:
            sql.execute("INSERT OR IGNORE INTO contents (sha256) VALUES (?)", (sha256,))
            content = sql.execute("SELECT id FROM contents WHERE sha256 = ?", (sha256,)).fetchone()[0]
            sql.execute(_COUNT, (sql.execute(_ADD, (content, *review, None)).lastrowid, content))
    return len(found)


def _require_plain(text: str, what: str, may_be_empty: bool = False) -> None:
    """Raise `ValueError` for a text that is empty, too long, or not one line of characters that can be printed."""
    if not text.strip() and not (may_be_empty and not text):
        raise ValueError(f"the {what} is empty")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the {what} is longer than {LONGEST_TEXT} characters")
    if not text.isprintable() or isinstance(storable(text), bytes):
        raise ValueError(f"the {what} holds characters that cannot be printed")


def _review(row: Sequence[Any]) -> Review:
    return Review._make((*row[:-1], bool(row[-1])))


def _now() -> str:
    return stored_time(datetime.now(timezone.utc))


_SHOWN = """
    SELECT contents.id, review, tag, confidence, reason FROM items JOIN contents ON contents.id = content
    WHERE items.id = ? AND sha256 = ?
"""

_ADD = """
    INSERT INTO reviews (content, label, reviewer, decided, item, tag, confidence, reason, before)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_LAST_OF_CONTENT = "SELECT decided FROM reviews WHERE content = ? ORDER BY id DESC LIMIT 1"

_COUNT = "UPDATE contents SET review = ? WHERE id = ?"

_SET_ASIDE = "UPDATE items SET decision = NULL WHERE content = ?"

_UNDONE = """
    SELECT reviews.content, item, before, review, items.tag, items.confidence, items.reason
    FROM reviews JOIN contents ON contents.id = reviews.content LEFT JOIN items ON items.id = item WHERE reviews.id = ?
"""

_REVIEWS = """
    SELECT reviews.id, item, sha256, label, reviewer, decided, reviews.id IS review
    FROM reviews JOIN contents ON contents.id = reviews.content
"""

_FREQUENT = """
    SELECT label FROM (SELECT label FROM reviews ORDER BY id DESC LIMIT ?) WHERE label != ''
    GROUP BY label ORDER BY count(*) DESC, label LIMIT ?
"""

_TIMES = "SELECT decided FROM reviews WHERE label IS NOT NULL ORDER BY id DESC LIMIT ?"

_COUNTING = """
    SELECT sha256, label, reviewer, decided, 0, tag, confidence, reason
    FROM reviews JOIN contents ON contents.id = content WHERE reviews.id = review ORDER BY reviews.id
"""
