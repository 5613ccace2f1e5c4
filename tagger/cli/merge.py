"""`fmtag merge`: merge the outputs of a source's shards into one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.options import FILE_OR_ADDRESS, YOUR_DEFAULT, Finite, LogFormat, bundle_name, option, with_debug, with_log
from tagger.cli.run_command import (
    told_run,
    with_allow_vanished,
    with_excel,
    with_format,
    with_ledger,
    with_only,
    with_out,
    with_report,
    with_top_k,
)
from tagger.run.settings import RunSettings
from tagger.settings import Format

if TYPE_CHECKING:
    from tagger.run.plan import RunCallbacks
    from tagger.run.summary import RunSummary


@click.command()
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=FILE_OR_ADDRESS)
@with_out
@with_format
@with_top_k
@with_excel
@with_ledger
@with_only
@option("--changes", metavar="FILE", help="Write the rows that differ from the last merge (.csv .json .jsonl .parquet).")
@with_report
@option(
    "--wait",
    type=Finite(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so many seconds for a run that uses one of the ledgers to end.  [default: do not wait]",
)
@with_allow_vanished
@option(
    "--model",
    callback=bundle_name,
    help=f"Bundle that the shards were tagged by: its name, or its folder.  {YOUR_DEFAULT}",
)
@with_log
@with_debug
def merge(shards: tuple[str | Path, ...], format_: Format | None, quiet: bool, log_format: LogFormat, **options: Any) -> int:
    """Write the output of a whole source from all its SHARDs, the outputs of `fmtag run --shard I/N` or their ledgers.

    It is the same as that of one run over the source, to the byte, with duplicates found across shards; no photo is read. The
    ledger beside it records all photos, so that changes are those since the last merge.

    Exit codes: 0 every photo tagged or flagged; 1 the merge could not be done; 2 wrong usage; 3 done, but some photos
    could not be read; 4 a run is using one of the ledgers; 130 or 143 stopped by a signal.
    """
    from tagger.run import merging

    settings = RunSettings(source=merging.source_of(shards), format=format_, **options)

    def put_together(callbacks: "RunCallbacks", summary: "RunSummary") -> None:
        merging.merge(shards, settings, callbacks, summary)

    return told_run(settings, quiet, log_format, put_together)
