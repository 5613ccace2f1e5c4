"""Remember the results of earlier runs in one SQLite file: file contents by path, results by content, the last output's rows.

A result belongs to the sha256 of a photo's bytes, so that renamed and copied photos are recognised; size and time of a file
only hint at its bytes being the same. A run lists its files here, gets those that have no result, records results batch by
batch, and finally makes and writes the rows in one transaction, which commits once the output has been replaced: what a
killed run leaves counts as results, never as an output.
"""

import json
import os
import pickle
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.catalog.rows import TextRows
from tagger.errors import LedgerDamagedError
from tagger.records import Content, Failed, Result
from tagger.run import ledger_queries as queries
from tagger.run.ledger_file import connect, database_errors
from tagger.run.ledger_values import (
    Cells,
    Event,
    ListedFile,
    Row,
    RunKey,
    StoredEmbedding,
    Totals,
    UnscoredPhoto,
    change_between,
    plain_values,
    result_of,
    storable,
    storable_row,
    storable_time,
    text_of,
    time_of_run,
    unscored_photo,
)
from tagger.run.migrations import RUN_TABLES, migrate

ROWS_PER_CHUNK = 1_000
"""Rows that are made and stored at once."""

FILES_PER_INSERT = 333
"""Files that are listed by one statement, of three values each; SQLite before 3.32 takes at most 999."""

CACHE_KILOBYTES = 1_000
"""Of each of SQLite's page caches, the ledger's and that of the run's own tables. They fill as a catalog grows, so that larger
ones would make memory grow with it; a million files take as long with 16 MB, as the tables are read in their order."""


@contextmanager
def open_ledger(path: Path | None, name: str | None = None) -> Iterator["Ledger"]:
    """Open the ledger `path`, created where it is missing; None opens one that is deleted after the block.

    Messages call it `name`, by default its path.

    Raises `LedgerDamagedError` where its content is damaged, and `LedgerError` where it cannot be read or written, is another
    program's, or is from a newer fmtag.
    """
    name = name or ("of this run alone" if path is None else str(path))
    with Ledger(connect(path, name), name) as ledger:
        yield ledger


class Ledger:
    """Store and query the results of runs, one run at a time.

    `has_result` may be called from any thread, everything else only from the one that opened the ledger.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._sql = connection
        self._name = name
        self.columns_of: Callable[[bytes], Mapping[str, object]] = pickle.loads
        # Equal queries on one connection share a prepared statement: from Python 3.12 on threads mix up their parameters.
        self._one_at_a_time = Lock()

    def __enter__(self) -> "Ledger":
        try:
            with database_errors(self._name):
                self._sql.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
                self._sql.execute("PRAGMA journal_mode = WAL")
                self._sql.execute("PRAGMA synchronous = FULL")
                self._sql.execute(f"PRAGMA temp.cache_size = -{CACHE_KILOBYTES}")
                migrate(self._sql, self._name)
        except BaseException:
            self._sql.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):  # a full disk has no space for the checkpoint; nothing is lost, the next run makes it
            self._sql.close()

    # Begin a run and list its files --------------------------------------------------------------------------------

    def begin(self, key: RunKey) -> int:
        """Begin a run and return its number; it continues killed runs that had the same --fresh and --verify."""
        self._key = key
        with self.transaction() as sql:
            self.model = self._model_id(key)
            self._decision = self._decision_id(key)
            unfinished = self._oldest_unfinished_run(key)
            process = (time_of_run(), os.getpid(), socket.gethostname())
            texts = (key.version, storable(key.source), storable(key.out), storable(key.root))
            values = (*process, *texts, self._decision, key.fresh, key.verify, key.decoding.limits)
            self.run = int(sql.execute(queries.ADD_RUN, values).lastrowid or 0)
        with database_errors(self._name):
            self._sql.executescript(RUN_TABLES)
        first_run = unfinished or self.run
        self._parameters: Mapping[str, object] = {
            "run": self.run,
            "first_run": first_run,
            "model": self.model,
            "eyes": key.eyes,
            "decision": self._decision,
            "scored_since": first_run if key.fresh else 0,
            "read_since": first_run if key.fresh or key.verify else 0,
            "allow_truncated": key.decoding.allow_truncated,
            "decoding": key.decoding.limits,
            "give_up": key.give_up,
        }
        return self.run

    def list_files(self, files: Iterable[ListedFile], positions: Iterator[int] | None = None) -> int:
        """Store the files of the run in their order, and return how many of them have to be read.

        `positions` yields that of each file in the whole source, where these are not all of its files.
        """
        remaining = iter(files)
        with self.transaction() as sql:
            while chunk := list(islice(remaining, FILES_PER_INSERT)):
                if positions is not None:
                    sql.executemany(queries.ADD_LISTED_AT, ((next(positions), *storable_row(file)) for file in chunk))
                elif (plain := plain_values(chunk)) is not None:
                    sql.execute(queries.add_plain(len(chunk)), plain)
                else:
                    sql.executemany(queries.ADD_LISTED, map(storable_row, chunk))
            sql.execute(queries.FIND_ITEMS)
            return int(sql.execute(queries.FIND_UNSCORED, self._parameters).rowcount)

    # Score what is known by its embedding ----------------------------------------------------------------------------

    def find_outdated(self) -> tuple[int, int]:
        """Find the contents that another bundle scored; return their number, and how many have an embedding for this bundle.

        Those in which a bundle of the same eyes found no product count for this bundle at once, as it would find none either.
        """
        if not self._key.eyes or self._query(queries.HAS_OTHERS).fetchone() is None:
            return 0, 0
        with self.transaction() as sql:
            found = sql.execute(queries.FIND_OUTDATED, self._parameters).rowcount
            if sql.execute(queries.MAY_BE_MOVED, self._parameters).fetchone():
                found += sql.execute(queries.FIND_OUTDATED_OF_VANISHED, self._parameters).rowcount
            if not found:
                return 0, 0
            sql.execute(queries.REASSIGN_WITHOUT_PRODUCT, self._parameters)
            return found, int(sql.execute(queries.COUNT_EMBEDDED, self._parameters).fetchone()[0])

    def embedding_batches(self, batch_size: int, length: int) -> Iterator[Sequence[StoredEmbedding]]:
        """Yield the embeddings of the contents that `find_outdated` found, `batch_size` at a time.

        Raises `LedgerDamagedError` for one that is not of `length` bytes.
        """
        last = 0
        while batch := [
            StoredEmbedding(*row) for row in self._query(queries.EMBEDDED_BATCH, last=last, count=batch_size).fetchall()
        ]:
            last = batch[-1].content
            if any(not isinstance(one.embedding, bytes) or len(one.embedding) != length for one in batch):
                raise LedgerDamagedError(
                    f"The ledger {self._name} is damaged: it has embeddings of another length than the bundle's."
                )
            yield batch

    def rescore(self, batch: Sequence[StoredEmbedding], probabilities: NDArray[np.float32]) -> None:
        """Store the probabilities by this run's bundle, float32 (n, labels), of a batch of embeddings, all or none."""
        packed = (row.tobytes() for row in probabilities.astype("<f4"))
        with self.transaction() as sql:
            rows = ((self.model, self.run, one, each.content) for each, one in zip(batch, packed, strict=True))
            sql.executemany(queries.RESCORE, rows)

    def find_unscored(self) -> int:
        """Find the files that have to be read, again after results were added, and return how many they are."""
        with self.transaction() as sql:
            sql.execute(queries.FORGET_UNSCORED)
            return int(sql.execute(queries.FIND_UNSCORED, self._parameters).rowcount)

    # Score what has no result --------------------------------------------------------------------------------------

    def unscored_batches(self, batch_size: int) -> Iterator[Sequence[UnscoredPhoto]]:
        """Yield the photos that have to be read, in their order, `batch_size` at a time."""
        last = 0
        while True:
            with database_errors(self._name):
                values = {**self._parameters, "last": last, "count": batch_size}
                rows = self._sql.execute(queries.UNSCORED_BATCH, values).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [unscored_photo(*row[1:]) for row in rows]

    def has_result(self, sha256: bytes) -> bool:
        """Return whether a result that counts for this run is stored for the bytes with this hash."""
        with database_errors(self._name), self._one_at_a_time:
            values = (sha256, self.model, self._parameters["scored_since"], self._key.decoding.allow_truncated)
            return self._sql.execute(queries.HAS_RESULT, values).fetchone() is not None

    def record(self, results: Iterable[tuple[UnscoredPhoto, Content | None, Result | None]]) -> None:
        """Store a batch of results, all or none.

        A content of None is that of a file that could not be read. A result of None means that one is stored for the same
        bytes already.
        """
        with self.transaction() as sql:
            for photo, content, result in results:
                content_id = None if content is None else self._store_content(content, result)
                size, mtime_ns = (content.size, storable_time(content.mtime_ns)) if content else (photo.size, photo.mtime_ns)
                failed = result.failed if result else None
                reason, detail, tries = (failed.reason, storable(failed.detail), photo.tries + 1) if failed else (None, None, 0)
                values = (storable(photo.path), size, mtime_ns, content_id, reason, detail, tries, self.run)
                sql.execute(queries.STORE_ITEM, values)

    # Publish the rows ----------------------------------------------------------------------------------------------

    @contextmanager
    def publishing(self, cells_of: Callable[[Sequence[Result]], Sequence[Cells]]) -> Iterator[sqlite3.Connection]:
        """Make the rows of all items, for the block to write; they are committed when the block ends without an error.

        `cells_of` returns the rows of results, in their order; it is called with `ROWS_PER_CHUNK` results at a time. What the
        block stores by the connection is committed with them.
        """
        with self.transaction() as sql:
            sql.execute(queries.FIND_ITEMS)
            sql.execute(queries.FIND_UNDECIDED, self._parameters)
            self._make_rows(cells_of)
            sql.execute(queries.ADD_VANISHED, self._parameters)
            sql.execute(queries.UNPUBLISH_VANISHED, self._parameters)
            sql.execute(queries.FIND_ORIGINALS)
            self._counts = self._count_rows()
            self._store_night()
            yield sql
            sql.execute(queries.FINISH_RUN, (time_of_run(), self.run))

    def counts(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield each combination of tag, flag and reason with its number of rows, in their order."""
        return ((*combination, count) for combination, count in self._counts)

    def _count_rows(self) -> list[tuple[tuple[str, str, str], int]]:
        counted: Counter[tuple[str, str, str]] = Counter()
        last = next(self._query(queries.LAST_POSITION))[0] or 0
        for first in range(1, last + 1, ROWS_PER_CHUNK):
            with database_errors(self._name):
                rows = self._sql.execute(queries.TAG_COUNTS, (first, first + ROWS_PER_CHUNK - 1))
                counted.update({(tag, flag, reason): count for tag, flag, reason, count in rows})
        return sorted(counted.items())

    def _store_night(self) -> None:
        """Store where photos lie that a table names in other words, and the counts of the run for the review."""
        self._sql.execute(queries.STORE_PLACES)
        if self._sql.execute(queries.HAS_PLACES).fetchone():
            self._sql.execute(queries.FORGET_PLACES)
        self._sql.execute(queries.STORE_UPLOAD_COUNTS, self._parameters)
        rows = ((self.run, *combination, count) for combination, count in self._counts)
        self._sql.executemany(queries.STORE_ROW_COUNTS, rows)

    def changes(self) -> dict[str, int]:
        """Return the number of rows per kind of change."""
        return dict(self._query(queries.CHANGE_COUNTS))

    def totals(self) -> Totals:
        """Return the counts of the run that are not counts of its rows."""
        return Totals(*next(self._query(queries.TOTALS)))

    def failures(self) -> Iterator[tuple[str, Failed]]:
        """Yield path and reason of each photo that could not be read, in their order."""
        for path, reason, detail in self._query(queries.FAILURES):
            yield text_of(path), Failed(reason, text_of(detail or ""))

    def has_photos(self) -> bool:
        """Return whether the run has items other than rows without an image."""
        return bool(next(self._query(queries.HAS_PHOTOS))[0])

    def count_rows(self, only: Sequence[str] = ()) -> int:
        """Return how many rows `rows` yields."""
        return int(next(self._query(queries.selected(queries.COUNT_ROWS, only)))[0])

    def rows(self, only: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows of the output in their order: all, or those that --only selects."""
        for path, original, columns, *stored in self._query(queries.selected(queries.ROWS, only)):
            yield Row(text_of(path), self.columns_of(columns) if columns else {}, self._result_of(*stored), text_of(original))

    def text_rows(self, model: str, only: Sequence[str] = ()) -> Iterator[TextRows]:
        """Yield the same rows as text: path, the fields of `Cells`, the path that it is a duplicate of, and the model."""
        lines = self._query(queries.selected(queries.LINES, only), model_name=model)
        while chunk := lines.fetchmany(ROWS_PER_CHUNK):
            positions, joined = zip(*chunk, strict=True)
            yield TextRows(joined, partial(self._cells, model, only, positions[0], positions[-1]))

    def _cells(self, model: str, only: Sequence[str], first: int, last: int) -> Iterator[Sequence[str]]:
        for row in self._query(queries.selected(queries.CELLS, only), model_name=model, first=first, last=last):
            yield tuple(map(text_of, row))

    def events(self) -> Iterator[Event]:
        """Yield the differences between this run's output and the last one, by path."""
        for change, path, moved_from, *rows in self._query(queries.EVENTS):
            yield Event(change, text_of(path), text_of(moved_from or ""), *rows)

    # Helpers -------------------------------------------------------------------------------------------------------

    def _query(self, query: str, **more: object) -> sqlite3.Cursor:
        with database_errors(self._name):
            return self._sql.execute(query, {**self._parameters, **more})

    def _make_rows(self, cells_of: Callable[[Sequence[Result]], Sequence[Cells]]) -> None:
        """Make the rows of the items that have none by this decision, and store how they differ from the last output."""
        last = 0
        while chunk := self._sql.execute(queries.UNDECIDED_BATCH, (last, ROWS_PER_CHUNK)).fetchall():
            last = chunk[-1][0]
            rows, events = [], []
            made = cells_of([self._result_of(*row[1:6]) for row in chunk])
            for (item, _, _, _, _, _, published, *stored), after in zip(chunk, made, strict=True):
                before = None if published is None else Cells(*stored)
                change = change_between(before, after)
                rows.append((*after, self._decision, self.run if change else published, item))
                if change is not None:
                    events.append((self.run, item, change, *after.compared, *(before.compared if before else (None,) * 3)))
            self._sql.executemany(queries.STORE_ROW, rows)
            self._sql.executemany(queries.ADD_EVENT, events)

    def _result_of(self, *stored: Any) -> Result:
        try:
            return result_of(len(self._key.labels), *stored)
        except ValueError as error:
            raise LedgerDamagedError(f"The ledger {self._name} is damaged: it has {error}.") from error

    def _store_content(self, content: Content, result: Result | None) -> int:
        """Store the result of some bytes, unless it is None, and return the id of their row."""
        if result is not None:
            scored: tuple[int | None, int | None, int, bytes | None] = (None, None, 0, None)
            if result.failed is None:
                packed = None if result.probabilities is None else result.probabilities.astype("<f4").tobytes()
                scored = (self.model, self.run, int(result.truncated), packed)
            self._sql.execute(queries.STORE_RESULT, (content.sha256, *scored))
        content_id = int(self._sql.execute(queries.CONTENT_ID, (content.sha256,)).fetchone()[0])
        if result is not None and result.embedding is not None:
            self._sql.execute(queries.STORE_EMBEDDING, (content_id, self.model, self.run, result.embedding))
        return content_id

    def _model_id(self, key: RunKey) -> int:
        self._sql.execute(queries.RETIRE_MODEL, (key.fingerprint, key.eyes))
        self._sql.execute(queries.ADD_MODEL, (key.fingerprint, key.model, json.dumps(list(key.labels)), key.eyes))
        return int(self._sql.execute(queries.MODEL_ID, (key.fingerprint,)).fetchone()[0])

    def _decision_id(self, key: RunKey) -> int:
        values = (self.model, key.min_confidence, json.dumps(dict(key.names), sort_keys=True))
        self._sql.execute(queries.ADD_DECISION, values)
        return int(self._sql.execute(queries.DECISION_ID, values).fetchone()[0])

    def _oldest_unfinished_run(self, key: RunKey) -> int | None:
        """Return the first of the runs since the last finished one that had the same --fresh and --verify, if any."""
        oldest = None
        for run, finished, fresh, verify in self._sql.execute(queries.RUNS):
            if finished is not None or (fresh, verify) != (key.fresh, key.verify):
                break
            oldest = run
        return oldest

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection, for modules with tables of their own."""
        return self._sql

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, in a transaction that is committed when the block ends without an error."""
        with database_errors(self._name):
            self._sql.execute("BEGIN IMMEDIATE")
        try:
            with database_errors(self._name):
                yield self._sql
                self._sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._sql.execute("ROLLBACK")
            raise
