"""Take the items, results and decisions of people from the ledgers of shards into the ledger of the whole, without scoring.

What is one in both by its content stays one: photos with the same bytes, models with the same fingerprint, decisions with the
same reviewer and time. So a merge that was killed can be repeated, and one of the next night adds what is new.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tagger.errors import LedgerDamagedError, LedgerError, SourceError
from tagger.run import merge_queries as queries
from tagger.run.ledger import Ledger
from tagger.run.ledger_file import database_errors
from tagger.run.shard_ledgers import RUN_AGAIN, ShardLedger

IDS_PER_CHUNK = 20_000
"""Range of rows that are taken in one transaction: a fraction of a second, after which a signal is obeyed."""


def begin_merge(ledger: Ledger, shard: ShardLedger) -> None:
    """Prepare the run that has begun for a merge; `shard` is one of those to be merged, which agree in what it needs."""
    with ledger.transaction() as sql:
        sql.execute(queries.SET_DECODING, (shard.decoding, ledger.run))
    for statement in filter(str.strip, queries.TABLES.split(";")):
        ledger.connection.execute(statement)


def list_shard(ledger: Ledger, shard: ShardLedger) -> None:
    """Gather the items of a shard; `list_gathered` lists them."""
    with _attached(ledger, shard), ledger.transaction() as sql:
        sql.execute(queries.GATHER)


def list_gathered(ledger: Ledger, items: int) -> None:
    """List the items of all shards as those of this run, in the order of the source, which has that many.

    Raises `SourceError` where an item is missing or there twice, as the source changed while its shards listed it.
    """
    with ledger.transaction() as sql:
        sql.execute(queries.LIST)
        gathered, listed, last = sql.execute(queries.LISTED).fetchone()
        if not gathered == listed == last == items:
            raise SourceError(
                f"The shards do not make up the source: {items - listed:,} of its {items:,} items are missing, and "
                f"{gathered - listed:,} are there twice; {RUN_AGAIN}."
            )
        sql.execute(queries.FORGET_GATHERED)


def take_shard(
    ledger: Ledger,
    shard: ShardLedger,
    eyes: str,
    defer: Callable[[], AbstractContextManager[None]],
    taken: Callable[[int], None],
) -> None:
    """Take the results and the decisions of people of a shard, chunk by chunk.

    Args:
        ledger: of the whole, in which the merge has begun.
        shard: its ledger.
        eyes: as of `RunKey`.
        defer: defers signals to the end of a chunk.
        taken: called after each chunk with its number of items at most.
    """
    with _attached(ledger, shard):
        with ledger.transaction() as sql:
            for statement in (queries.FORGET_MODELS, queries.ADD_MODELS, queries.FIND_MODELS):
                sql.execute(statement)
        values = {"run": ledger.run, "model": ledger.model, "eyes": eyes}
        for chunk in _chunks(ledger.connection, queries.LAST_CONTENT, values):
            with defer(), ledger.transaction() as sql:
                sql.execute(queries.ADD_CONTENTS, chunk)
                sql.execute(queries.ADD_EMBEDDINGS, chunk)
        for chunk in _chunks(ledger.connection, queries.LAST_ITEM, values):
            with defer(), ledger.transaction() as sql:
                added = sql.execute(queries.ADD_ITEMS, chunk).rowcount
            taken(added)
        with defer(), ledger.transaction() as sql:
            _take_reviews(sql, ledger.run)


def set_aside_changed(ledger: Ledger) -> None:
    """Have the rows made anew whose bytes another result than before was taken for."""
    with ledger.transaction() as sql:
        sql.execute(queries.SET_ASIDE_CHANGED, {"run": ledger.run})


def _chunks(sql: sqlite3.Connection, last: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each range of a shard's table."""
    end = int(sql.execute(last).fetchone()[0])
    for first in range(1, end + 1, IDS_PER_CHUNK):
        yield {**values, "first": first, "last": first + IDS_PER_CHUNK - 1}


def _take_reviews(sql: sqlite3.Connection, run: int) -> None:
    """Take the decisions of people that are not here yet; of two ledgers that of the later decision tells which one counts."""
    reviewed = sql.execute(queries.REVIEWED)
    for theirs, sha256, counting in reviewed:
        sql.execute(queries.ADD_CONTENT, (sha256,))
        content, our_last = sql.execute(queries.OURS, (sha256,)).fetchone()
        numbers: dict[int | None, int | None] = {None: None}
        their_last, added = "", False
        for number, label, reviewer, decided, item, *row, before in sql.execute(queries.REVIEWS, (theirs,)).fetchall():
            their_last = max(their_last, decided)
            same = sql.execute(queries.SAME_REVIEW, (content, label, reviewer, decided)).fetchone()
            if same is not None:
                numbers[number] = same[0]
                continue
            sql.execute(queries.ADD_ITEM, (content, run, item))
            our_item = sql.execute(queries.ITEM, (item,)).fetchone()[0]
            values = (content, label, reviewer, decided, our_item, *row, numbers.get(before))
            numbers[number] = sql.execute(queries.ADD_REVIEW, values).lastrowid
            added = True
        if added:
            if our_last is None or their_last > our_last:
                sql.execute(queries.COUNT_REVIEW, (numbers.get(counting), content))
            sql.execute(queries.SET_ASIDE, (content,))


@contextmanager
def _attached(ledger: Ledger, shard: ShardLedger) -> Iterator[None]:
    """Attach the ledger of a shard; raises `LedgerError` where it is the one that is damaged, and not that of the whole."""
    sql = ledger.connection
    with database_errors(str(shard.path)):
        sql.execute("ATTACH ? AS shard", (os.path.abspath(shard.path),))  # noqa: PTH100 (links stay as they are)
    try:
        yield
    except LedgerDamagedError as error:
        if not _is_whole(sql):
            raise LedgerError(f"The ledger {shard.path} of a shard is damaged; run that shard again.") from error
        raise
    finally:
        sql.execute("DETACH shard")


def _is_whole(sql: sqlite3.Connection) -> bool:
    """Return whether the ledger that is attached is not damaged."""
    try:
        return bool(sql.execute("PRAGMA shard.quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False
