"""Record what people decide about photos in the ledger, beside runs that may go on meanwhile.

A decision belongs to the bytes of a photo: all copies share it, and other bytes at the same path are open again. Decisions are
only ever added; the last one counts. Each is on disk before it is acknowledged, and sets the photo's rows aside, which the next
run makes anew.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from tagger.errors import LedgerError
from tagger.records import EmbeddedPhoto
from tagger.run.ledger_file import database_errors
from tagger.run.ledger_values import place_of, storable, text_of
from tagger.run.migrations import migrate

LOCK_SECONDS = 120.0
"""Time limit for the write lock: a run holds it while it makes and writes the rows of a whole catalog."""

RECENT = 500
"""Decisions by which the favourite labels and the pace are told."""

LONGEST_TEXT = 200
"""Characters of a label or a reviewer's name."""


class Shown(NamedTuple):
    """A photo as a reviewer saw it."""

    item: int
    sha256: bytes
    """Of the bytes that were shown, about which the decision is."""


class Review(NamedTuple):
    """A decision about a photo."""

    id: int
    item: int
    sha256: bytes
    label: str | None
    """Empty for none of the labels; None where it takes an earlier decision back."""
    reviewer: str
    decided: str
    """UTC, ISO 8601 with milliseconds."""
    counts: bool
    """Whether it is the decision that counts for these bytes now."""


class Recorded(NamedTuple):
    """The outcome of a request to decide."""

    reviews: list[Review]
    """What is recorded now."""
    others: list[Review]
    """Decisions of before that stay: the photos were decided already, or decided again since."""
    unknown: list[Shown]
    """Photos that the ledger does not have, or has with other bytes by now; nothing is recorded for them."""


class ReviewedPhoto(NamedTuple):
    """A photo of the last output with the decision that counts for its bytes, and its row from before."""

    key: str
    """Its path in the output."""
    place: str | EmbeddedPhoto | None
    """Where it lies; None where that is its path, from the run's root."""
    sha256: bytes
    size: int | None
    label: str
    """Empty for none of the labels."""
    reviewer: str
    decided: str
    tag: str
    confidence: str
    reason: str


class ReviewStore:
    """Read and add the decisions of a ledger; safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the ledger `path`; raises `LedgerError` where it is missing, damaged or from a newer fmtag."""
        if not path.is_file():
            raise LedgerError(f"There is no ledger {path}; give --ledger the file that `fmtag run` keeps beside its output.")
        self._name = str(path)
        with database_errors(self._name):
            self._sql = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with database_errors(self._name):
                migrate(self._sql, self._name)
                self._sql.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self._sql.close()
            raise
        self._one_at_a_time = Lock()

    def close(self) -> None:
        """Close the ledger."""
        with self._one_at_a_time:
            self._sql.close()

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
        recorded, others, unknown = list[Review](), list[Review](), list[Shown]()
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
                    others.append(self._review(before))
                    continue
                review = self._add(content, label, reviewer, shown.item, row, before)
                sql.execute(_COUNT, (review, content))
                recorded.append(self._review(review))
        return Recorded(recorded, others, unknown)

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
                if counting != review:
                    if counting is not None:
                        others.append(self._review(counting))
                    continue
                undone = self._add(content, None, reviewer, item, row, review)
                sql.execute(_COUNT, (before, content))
                recorded.append(self._review(undone))
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
        with self._one_at_a_time, database_errors(self._name):
            return self._sql.execute(query, values).fetchall()

    def _add(self, content: int, label: str | None, reviewer: str, item: int, row: Sequence[str], before: int | None) -> int:
        """Add a decision, set the rows of its bytes aside, and return its number."""
        values = (content, label, reviewer, _now(), item, *row, before)
        self._sql.execute(_SET_ASIDE, (content,))
        return int(self._sql.execute(_ADD, values).lastrowid or 0)

    def _review(self, number: int) -> Review:
        row = self._sql.execute(f"{_REVIEWS} WHERE reviews.id = ?", (number,)).fetchone()
        return _review(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time, database_errors(self._name):
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
                self._sql.execute("COMMIT")
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise


def reviewed_photos(path: Path) -> Iterator[ReviewedPhoto]:
    """Yield the photos of the last output of the ledger `path` that people have decided about, by path.

    Raises `LedgerError` where the ledger is missing, damaged or from a newer fmtag.
    """
    with closing(ReviewStore(path)) as store, database_errors(str(path)):
        for key, place, sha256, size, *review in store._sql.execute(_REVIEWED_PHOTOS):
            yield ReviewedPhoto(text_of(key), None if place is None else place_of(place), sha256, size, *review)


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
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


_SHOWN = """
    SELECT contents.id, review, tag, confidence, reason FROM items JOIN contents ON contents.id = content
    WHERE items.id = ? AND sha256 = ?
"""

_ADD = """
    INSERT INTO reviews (content, label, reviewer, decided, item, tag, confidence, reason, before)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_COUNT = "UPDATE contents SET review = ? WHERE id = ?"

_SET_ASIDE = "UPDATE items SET decision = NULL WHERE content = ?"

_UNDONE = """
    SELECT reviews.content, item, before, review, items.tag, items.confidence, items.reason
    FROM reviews JOIN contents ON contents.id = reviews.content JOIN items ON items.id = item WHERE reviews.id = ?
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

_REVIEWED_PHOTOS = """
    SELECT key, place, sha256, size, label, reviewer, decided, reviews.tag, reviews.confidence, reviews.reason
    FROM items JOIN contents ON contents.id = items.content JOIN reviews ON reviews.id = review
    LEFT JOIN places ON places.item = items.id
    WHERE published IS NOT NULL ORDER BY key
"""
