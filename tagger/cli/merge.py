"""`fmtag merge`: merge the outputs of a source's shards into one."""

from pathlib import Path
from typing import Any

import click

from tagger.cli.exit_codes import EXIT_FAILED_PHOTOS, EXIT_SIGNAL
from tagger.cli.options import (
    FILE_OR_ADDRESS,
    OUTPUT_PLACE,
    YOUR_DEFAULT,
    Finite,
    LogFormat,
    bundle_name,
    option,
    with_debug,
    with_log,
)
from tagger.errors import Interrupted
from tagger.run.settings import ONLY, RunSettings
from tagger.settings import FORMATS, Format


@click.command()
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=FILE_OR_ADDRESS)
@option(
    "--out",
    required=True,
    help="Output file (.csv .json .jsonl .parquet) or its address in a bucket, or - for standard output.",
)
@option(
    "--format", "format_", type=click.Choice(FORMATS), help="Output format.  [default: by the suffix of --out; csv on stdout]"
)
@option("--top-k", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of tags per photo.")
@option("--excel", is_flag=True, help="Write a CSV for spreadsheets: byte order mark, formulas escaped.")
@option(
    "--ledger",
    type=FILE_OR_ADDRESS,
    metavar="FILE",
    help="File that records the processed photos.  [default: beside --out, same name]",
)
@option("--only", type=click.Choice(ONLY), multiple=True, help="Write only these rows; may be repeated.")
@option("--changes", metavar="FILE", help="Write the rows that differ from the last merge (.csv .json .jsonl .parquet).")
@option("--report", type=OUTPUT_PLACE, metavar="FILE.json", help="Write counts, times, versions and every failure.")
@option(
    "--wait",
    type=Finite(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so many seconds for a run that uses one of the ledgers to end.  [default: do not wait]",
)
@option("--allow-vanished", is_flag=True, help="Continue although most of the known photos are gone.")
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
    from tagger.cli.progress import Progress
    from tagger.run import merging
    from tagger.run.plan import RunCallbacks
    from tagger.run.report import write_report_after
    from tagger.run.summary import RunSummary
    from tagger.signals import SignalGuard

    settings = RunSettings(source=merging.source_of(shards), format=format_, **options)
    summary, signals = RunSummary(), SignalGuard()
    with Progress(log_format, quiet) as progress:
        callbacks = RunCallbacks(
            started=lambda summary: progress.started(summary, settings.source, settings.out),
            warned=progress.warned,
            noted=progress.noted,
            failed=progress.failed,
            scored=progress.looked,
            defer=signals.defer,
            ignore=signals.ignore,
        )
        try:
            with signals.listening(), write_report_after(settings, summary, progress.warned):
                merging.merge(shards, settings, callbacks, summary)
        except Interrupted as stop:
            progress.interrupted(summary)
            return EXIT_SIGNAL + stop.signal
        progress.done(summary, settings.out)
    return EXIT_FAILED_PHOTOS if summary.failed else 0
