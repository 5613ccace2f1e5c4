"""Open the ledgers of runs over the parts of a source, and check that they are all parts of one."""

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import LedgerError, SourceError, reason_of
from tagger.run.ledger_file import SUFFIX, connect, database_errors, exclusive
from tagger.run.ledger_values import text_of
from tagger.run.migrations import APPLICATION_ID, MIGRATIONS
from tagger.run.paths import ledger_address, ledger_of_output
from tagger.run.settings import RunSettings
from tagger.run.shard_record import ShardRecord, stored_shard
from tagger.storage.addresses import is_remote, shown
from tagger.storage.traffic import Traffic

FIRST_FORMAT = 5
"""Of ledgers that know of shards."""

NAMED = 5
"""Missing shards that a message names."""

RUN_AGAIN = "run all shards over a source that does not change meanwhile, such as a list of its photos"


@dataclass(frozen=True)
class ShardLedger:
    """The ledger of a finished run over one part of a source."""

    name: str
    """As the user gave it."""
    path: Path
    record: ShardRecord
    source: str
    root: str
    fingerprint: str
    """Of the bundle and the version of the background cut; it and what follows are as `RunKey` has them."""
    model: str
    eyes: str
    min_confidence: float
    names: str
    """JSON object: labels that go by another name in the output."""
    decoding: str


@contextmanager
def locked_shards(shards: Sequence[str | Path], wait: float, traffic: Traffic) -> Iterator[list[ShardLedger]]:
    """Hold the locks of the ledgers of all shards during the block, and yield them in the order of their numbers, checked.

    Args:
        shards: the output of each shard's run, or its ledger; a path, or the address of an object, which is downloaded.
        wait: seconds to wait for each run that holds one of them.
        traffic: counts the requests to buckets.

    Raises:
        LockedError: a run is going on.
        LedgerError: a ledger is missing, cannot be read, is damaged, from a newer fmtag, or not that of a finished shard.
        SourceError: they are not all parts of one source, or not tagged alike.
    """
    with ExitStack() as stack:
        found = []
        for shard in dict.fromkeys(map(str, shards)):
            if is_remote(shard):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fmtag-")))
                found.append(_read(shown(shard), _downloaded(shard, folder, traffic)))
                continue
            path = ledger_of_output(Path(shard))
            stack.enter_context(exclusive(path, wait))
            found.append(_read(shard, path))
        found.sort(key=lambda one: one.record.shard.number)
        check_shards(found)
        yield found


def check_shards(shards: Sequence[ShardLedger]) -> None:
    """Raise `SourceError` where shards, at least one, are not each part of one source once, tagged in one way."""
    first = shards[0]
    total = first.record.shard.total
    by_number: defaultdict[int, list[ShardLedger]] = defaultdict(list)
    for one in shards:
        if one.record.shard.total != total:
            both = f"{first.name} is shard {first.record.shard}, and {one.name} is {one.record.shard}"
            raise SourceError(f"{both}; give the outputs of all shards of one number N.")
        by_number[one.record.shard.number].append(one)
    for number, same in by_number.items():
        if len(same) > 1:
            raise SourceError(f"{same[0].name} and {same[1].name} are both shard {number}/{total}; give each shard once.")
    if missing := [number for number in range(total) if number not in by_number]:
        raise SourceError(
            f"{len(missing):,} of {total:,} shards {'is' if len(missing) == 1 else 'are'} missing: {_listed(missing)}; "
            f"give the outputs of all shards, from 0/{total} to {total - 1}/{total}."
        )
    for one in shards[1:]:
        for value_of, what, remedy in _MUST_BE_EQUAL:
            if value_of(one) != value_of(first):
                raise SourceError(f"{first.name} and {one.name} {what.format(value_of(first), value_of(one))}; {remedy}.")


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - NAMED:,} more" if len(numbers) > NAMED else ""
    return ", ".join(map(str, numbers[:NAMED])) + more


def _downloaded(address: str, folder: Path, traffic: Traffic) -> Path:
    """Return a copy of the ledger of an output in a bucket, or of a ledger there; raises `LedgerError` where it is missing."""
    from tagger.storage.objects import download, object_state

    ledger = address if address.endswith(SUFFIX) else ledger_address(RunSettings(source="-", out=address))
    if ledger is None or object_state(ledger, traffic) is None:
        raise LedgerError(f"There is no ledger beside {shown(address)}; give the output of a `fmtag run` with --shard.")
    copy = folder / f"shard{SUFFIX}"
    download(ledger, copy, traffic)
    return copy


def _read(name: str, path: Path) -> ShardLedger:
    """Read what a ledger says of its last run; raises `LedgerError` where that is no finished run over a shard."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise LedgerError(f"The ledger {path} cannot be read ({reason_of(error)}).") from error
    with database_errors(str(path)), closing(connect(path, str(path))) as sql:
        _check_format(sql, path)
        last = sql.execute(_LAST_RUN).fetchone()
        try:
            found = stored_shard(sql)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"The ledger {path} is damaged; run its shard again with another --out.") from error
    if last is None or (found is None and last[1] is not None):
        raise LedgerError(f"The last run of {name} was not one over a shard; run it with --shard I/N.")
    run, finished, source, root, *how = last
    if finished is None or found is None or found[0] != run:
        raise LedgerError(f"The last run of {name} did not finish; run that shard again.")
    return ShardLedger(name, path, found[1], text_of(source), text_of(root or ""), *how)


def _check_format(sql: sqlite3.Connection, path: Path) -> None:
    application = sql.execute("PRAGMA application_id").fetchone()[0]
    version = sql.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise LedgerError(f"{path} is no ledger of fmtag; give the output of a run with --shard, or its ledger.")
    if version > len(MIGRATIONS):
        raise LedgerError(f"The ledger {path} is from a newer fmtag; update fmtag.")
    if version < FIRST_FORMAT:
        raise LedgerError(f"The ledger {path} is from an fmtag without shards; run it with --shard I/N.")


_MUST_BE_EQUAL: tuple[tuple[Callable[[ShardLedger], object], str, str], ...] = (
    (lambda one: one.source, "are shards of different sources, {} and {}", "give the shards of one source"),
    (lambda one: one.root, "read relative paths from different folders, {} and {}", "run all shards in one folder"),
    (lambda one: one.record.items, "found different numbers of items in the source, {:,} and {:,}", RUN_AGAIN),
    (lambda one: (one.record.columns, one.record.schema), "found different columns in the source", RUN_AGAIN),
    (lambda one: one.fingerprint, "were tagged by different bundles", "run all shards with one bundle"),
    (lambda one: one.min_confidence, "were flagged below different confidences, {} and {}", "run all shards with one"),
    (lambda one: one.names, "have different names for labels", "run all shards with one --label-map"),
    (lambda one: one.decoding, "were decoded within different limits", "run all shards with one fmtag and one --max-pixels"),
)
"""What all shards must agree on: the value, how they differ, and what to do."""

_LAST_RUN = """
    SELECT runs.id, finished, source, root, fingerprint, models.name, eyes, min_confidence, names, decoding
    FROM runs JOIN decisions ON decisions.id = decision JOIN models ON models.id = model ORDER BY runs.id DESC LIMIT 1
"""
