"""Merge the runs over all parts of a source into one: the output that a run over the whole source would have written."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import __version__
from tagger.catalog import output
from tagger.catalog.destinations import remove_leftovers_of
from tagger.catalog.output_paths import Input, check_output_paths
from tagger.catalog.rows import output_columns
from tagger.errors import BundleError, LedgerDamagedError, LedgerError
from tagger.models import card
from tagger.photos.product import VERSION
from tagger.run.bucket_ledger import kept_in_bucket
from tagger.run.ledger import Ledger, open_ledger
from tagger.run.ledger_merge import begin_merge, list_gathered, list_shard, set_aside_changed, take_shard
from tagger.run.ledger_values import RunKey
from tagger.run.paths import (
    inputs_of,
    last_source,
    ledger_address,
    ledger_in_messages,
    ledger_of_output,
    locked_ledger,
    outputs_of,
)
from tagger.run.plan import RunCallbacks, RunPlan
from tagger.run.publishing import publish
from tagger.run.reviews import begun_anew
from tagger.run.settings import RunSettings
from tagger.run.shard_ledgers import ShardLedger, locked_shards
from tagger.run.stored_columns import plain_columns
from tagger.run.summary import RunSummary
from tagger.storage.addresses import is_remote

if TYPE_CHECKING:
    import pyarrow


def source_of(shards: Sequence[str | Path]) -> str:
    """Return the source of the first shard whose ledger tells it, `-` where none does; `merge` finds out what is wrong."""
    for shard in shards:
        if isinstance(shard, Path):
            with suppress(LedgerError):
                if (source := last_source(ledger_of_output(shard))) is not None:
                    return source
    return "-"


def merge(
    shards: Sequence[str | Path],
    settings: RunSettings,
    callbacks: RunCallbacks | None = None,
    summary: RunSummary | None = None,
) -> RunSummary:
    """Write the output that a run over the whole source of some shards would have written, and return the counts.

    Nothing is read but the ledgers of the shards, and nothing is scored. The ledger beside the output goes on from the last
    merge, or the last run over the whole source, so that changes are those since then.

    Args:
        shards: the output of each shard's run, or its ledger.
        settings: of the output; source, confidence and names of labels are those of the shards.
        callbacks: as in `pipeline.run`; `scored` gets the numbers of items.
        summary: filled as the merge goes on.

    Raises an `FmtagError` where the merge cannot be done, as those of `locked_shards` and `pipeline.run`.
    """
    callbacks = callbacks or RunCallbacks()
    summary = RunSummary() if summary is None else summary
    started = time.monotonic()
    try:
        with locked_shards(shards, settings.wait, summary.traffic) as found:
            _merge(found, settings, callbacks, summary)
    finally:
        summary.seconds = time.monotonic() - started
    return summary


def _merge(shards: Sequence[ShardLedger], settings: RunSettings, callbacks: RunCallbacks, summary: RunSummary) -> None:
    first = shards[0]
    settings = replace(settings, source=first.source)
    check_output_paths(outputs_of(settings), [*inputs_of(settings), *_inputs(shards)], summary.traffic)
    format = output.format_of(settings.out, settings.format)
    if settings.changes is not None:
        output.format_of(settings.changes)
    stored = card.read(settings.model)
    if f"{stored.fingerprint}+g{VERSION}" != first.fingerprint:
        raise BundleError(f"The shards were tagged by {first.model}, and this is {stored.model}; give that bundle to --model.")
    plan = RunPlan(settings, format, stored, first.min_confidence, json.loads(first.names), callbacks, summary)
    address = ledger_address(settings)
    with (
        locked_ledger(settings) as path,
        kept_in_bucket(address, path, summary.traffic, callbacks.warned, callbacks.ignore),
    ):
        for file in (settings.out, settings.changes, settings.report):
            if file is not None and file != "-":
                remove_leftovers_of(file)
        try:
            _merge_into(plan, shards, path)
        except LedgerDamagedError as error:
            if path is None:
                raise
            callbacks.warned(begun_anew(error, path, address))
            summary.reset()
            _merge_into(plan, shards, path)


def _merge_into(plan: RunPlan, shards: Sequence[ShardLedger], path: Path | None) -> None:
    """Merge the shards into the ledger `path`, and write the output."""
    settings, summary, first = plan.settings, plan.summary, shards[0]
    record = first.record
    summary.model = plan.stored.model
    summary.ignored = Counter(record.ignored)
    summary.matched_addresses = sum(one.record.matched_addresses for one in shards)
    with open_ledger(path, ledger_in_messages(settings)) as ledger, ExitStack() as outputs:
        ledger.columns_of = plain_columns
        summary.run = ledger.begin(_run_key(plan, first))
        begin_merge(ledger, first)
        columns = output_columns(record.columns, min(settings.top_k, len(plan.stored.card.labels)))
        of_source = (_schema(record.schema), settings.excel)
        opened = output.open_output(
            settings.out, plan.format, columns, summary.model, *of_source, plan.callbacks.warned, summary.traffic
        )
        writer = outputs.enter_context(opened)
        plan.callbacks.started(summary)
        with summary.timed("list"):
            for one in shards:
                with plan.callbacks.defer():
                    list_shard(ledger, one)
            list_gathered(ledger, record.items)
        plan.note_matched_addresses()
        with summary.timed("merge"):
            _take_results(plan, shards, ledger)
        publish(plan, ledger, writer, columns, outputs)


def _take_results(plan: RunPlan, shards: Sequence[ShardLedger], ledger: Ledger) -> None:
    done = 0

    def taken(items: int) -> None:
        nonlocal done
        done += items
        plan.callbacks.scored(done, shards[0].record.items)

    for one in shards:
        take_shard(ledger, one, one.eyes, plan.callbacks.defer, taken)
    set_aside_changed(ledger)


def _inputs(shards: Sequence[ShardLedger]) -> list[Input]:
    """Return the files of the shards that no output may replace."""
    outputs = [Input("an output of a shard", one.name) for one in shards if not is_remote(one.name)]
    return [*outputs, *(Input("the ledger of a shard", one.path) for one in shards)]


def _run_key(plan: RunPlan, shard: ShardLedger) -> RunKey:
    return RunKey(
        source=shard.source,
        out=plan.settings.out,
        version=__version__,
        model=plan.stored.model,
        fingerprint=shard.fingerprint,
        labels=plan.stored.card.labels,
        eyes=shard.eyes,
        min_confidence=plan.min_confidence,
        names=plan.names,
        root=shard.root,
    )


def _schema(serialized: bytes | None) -> "pyarrow.Schema | None":
    """Return the types of the source table's columns."""
    if serialized is None:
        return None
    import pyarrow

    return pyarrow.ipc.read_schema(pyarrow.py_buffer(serialized))
