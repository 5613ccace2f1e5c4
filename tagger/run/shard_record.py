"""Store in the ledger of a run over a part of its source what a merge of all parts needs, and read it."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from tagger.errors import LedgerError
from tagger.run.ledger import Ledger
from tagger.run.shards import Shard


@dataclass(frozen=True)
class ShardRecord:
    """What a run over a part of its source found out, apart from its rows."""

    shard: Shard
    items: int
    """Of the whole source."""
    columns: tuple[str, ...]
    """Names of the table columns that every item carries."""
    schema: bytes | None
    """Their types, as Arrow serializes them; None unless the source is a Parquet table."""
    ignored: Mapping[str, int]
    """Entries of the whole source that are not read as photos, per reason."""
    matched_addresses: int
    """Addresses of the shard that were taken for a file by its name."""


def store_shard(sql: sqlite3.Connection, run: int, record: ShardRecord | None) -> None:
    """Replace what the last run stored, in the transaction that publishes a run; None for a run over its whole source."""
    sql.execute(_FORGET_ROWS)
    sql.execute(_FORGET)
    if record is not None:
        counts = json.dumps({"ignored": dict(record.ignored), "matched_addresses": record.matched_addresses})
        values = (run, *record.shard, record.items, json.dumps(record.columns), record.schema, counts)
        sql.execute(_ADD, values)
        sql.execute(_ADD_ROWS)


def stored_shard(sql: sqlite3.Connection) -> tuple[int, ShardRecord] | None:
    """Return the run that stored what a merge needs, and its record; None where the last finished one was over a whole source.

    Raises `ValueError` where it is not as `store_shard` stored it.
    """
    found = sql.execute(_FIND).fetchone()
    if found is None:
        return None
    run, number, total, items, columns, schema, counts = found
    known = json.loads(counts)
    record = ShardRecord(
        Shard(number, total), items, tuple(json.loads(columns)), schema, known["ignored"], known["matched_addresses"]
    )
    return run, record


def refuse_other_shard(ledger: Ledger, shard: Shard, name: str | None) -> None:
    """Raise `LedgerError` where the last run of a ledger was that of another shard: both would replace each other's rows."""
    with ledger.transaction() as sql:
        found = sql.execute(_FIND).fetchone()
    if found is not None and found[1] != shard.number:
        raise LedgerError(
            f"The ledger {name} is that of shard {found[1]}/{found[2]}, and this is {shard}; "
            f"give each shard an output of its own, such as --out tags-{shard.number}.csv."
        )


_FORGET = "DELETE FROM shards"

_FORGET_ROWS = "DELETE FROM shard_rows"

_ADD = "INSERT INTO shards (run, shard, shards, items, columns, schema, counts) VALUES (?, ?, ?, ?, ?, ?, ?)"

_ADD_ROWS = """
    INSERT INTO shard_rows (position, key, left_out, failure, detail, columns, place)
    SELECT position, key, left_out, failure, detail, columns, place FROM listing ORDER BY position
"""

_FIND = "SELECT run, shard, shards, items, columns, schema, counts FROM shards"
