"""Make and write the rows of a run, or of a merge of runs, in one transaction with the ledger, once all results are in it."""

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import islice

from tagger.catalog import output
from tagger.catalog.rows import COLUMNS, output_row
from tagger.catalog.writers import RowWriter
from tagger.errors import SourceError
from tagger.records import Item
from tagger.run.ledger import ROWS_PER_CHUNK, Ledger
from tagger.run.ledger_values import Event, Totals
from tagger.run.plan import RunPlan
from tagger.run.shard_record import ShardRecord, store_shard
from tagger.streams import is_stream

MAX_LOST_SHARE, MIN_LOST = 0.5, 20
"""A run that lost more than this share of the known photos is refused, if it lost at least this many."""


def publish(
    plan: RunPlan,
    ledger: Ledger,
    writer: RowWriter,
    columns: Mapping[str, str | None],
    outputs: ExitStack,
    shard: ShardRecord | None = None,
) -> None:
    """Make the rows of the items that the ledger has listed, and write them; the outputs are replaced before the rows count.

    Args:
        plan: the run.
        ledger: has the results of all items.
        writer: of the output.
        columns: of the output.
        outputs: holds the output open, and replaces it when it is closed.
        shard: what a merge needs to know of a run over a part of its source; None for a run over all of it.

    Raises `SourceError` where most of the known photos are gone.
    """
    settings, summary = plan.settings, plan.summary
    with ExitStack() as end, summary.timed("publish"), ledger.publishing(plan.cells_of) as sql:
        totals = ledger.totals()
        _refuse_loss(plan, totals)
        _count(plan, ledger, totals)
        _write_rows(plan, ledger, writer, columns)
        store_shard(sql, ledger.run, shard)
        if is_stream(settings.out):
            outputs.close()  # its reader may wait for the end before it reads the changes
        if settings.changes is not None:
            _write_changes(plan, settings.changes, ledger)
        end.enter_context(plan.callbacks.ignore())
        outputs.close()


def _refuse_loss(plan: RunPlan, totals: Totals) -> None:
    """Raise `SourceError` where so many photos are gone that a disk is more likely missing than they are."""
    lost, known = totals.lost, totals.known
    if lost >= MIN_LOST and lost > MAX_LOST_SHARE * known and not plan.settings.allow_vanished:
        raise SourceError(
            f"{lost:,} of the {known:,} photos known from the last run are gone or cannot be reached; nothing was written. "
            "If a disk or share is missing, bring it back; if they are meant to be gone, give --allow-vanished."
        )


def _count(plan: RunPlan, ledger: Ledger, totals: Totals) -> None:
    """Count the rows that are about to be written, and report the failures."""
    summary = plan.summary
    for tag, low_confidence, reason, rows in ledger.counts():
        summary.add_rows(tag, low_confidence, reason, rows)
    summary.changes.update(ledger.changes())
    summary.settling, summary.duplicates = totals.settling, totals.duplicates
    if summary.failed:
        for path, failed in ledger.failures():
            plan.callbacks.failed(failed)
            if plan.settings.report is not None:
                summary.failures.append((path, failed))


def _write_rows(plan: RunPlan, ledger: Ledger, writer: RowWriter, columns: Mapping[str, str | None]) -> None:
    settings, summary = plan.settings, plan.summary
    summary.rows_written = ledger.count_rows(settings.only) if settings.only else summary.photos + summary.without_image
    if list(columns) == [*COLUMNS, "model"] and writer.write_text(ledger.text_rows(summary.model, settings.only)):
        return
    remaining = ledger.rows(settings.only)
    while rows := list(islice(remaining, ROWS_PER_CHUNK)):
        for row, tag in zip(rows, plan.tags_of([row.result for row in rows]), strict=True):
            writer.write(output_row(Item(row.path, None, row.columns), tag, summary.model, columns, row.duplicate_of))


def _write_changes(plan: RunPlan, out: str, ledger: Ledger) -> None:
    columns, form = dict.fromkeys(Event._fields), output.format_of(out)
    warned, traffic = plan.callbacks.warned, plan.summary.traffic
    with output.open_output(out, form, columns, plan.summary.model, waiting=warned, traffic=traffic) as writer:
        for event in ledger.events():
            flags = {"low_confidence": event.low_confidence, "low_confidence_before": event.low_confidence_before}
            writer.write(event._asdict() | {name: flag and flag == "true" for name, flag in flags.items()})
