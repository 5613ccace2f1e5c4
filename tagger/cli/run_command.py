"""What `fmtag run` and `fmtag merge` have in common: the options of their outputs, and how their work is told and ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tagger.cli.exit_codes import EXIT_FAILED_PHOTOS, EXIT_SIGNAL
from tagger.cli.options import FILE_OR_ADDRESS, OUTPUT_PLACE, LogFormat, option
from tagger.errors import Interrupted
from tagger.run.settings import ONLY, RunSettings
from tagger.settings import FORMATS
from tagger.storage.addresses import shown

if TYPE_CHECKING:
    from tagger.run.plan import RunCallbacks
    from tagger.run.summary import RunSummary

with_out = option(
    "--out",
    required=True,
    help="Output file (.csv .json .jsonl .parquet) or its address in a bucket, or - for standard output.",
)

with_format = option(
    "--format", "format_", type=click.Choice(FORMATS), help="Output format.  [default: by the suffix of --out; csv on stdout]"
)

with_top_k = option("--top-k", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of tags per photo.")

with_excel = option("--excel", is_flag=True, help="Write a CSV for spreadsheets: byte order mark, formulas escaped.")

with_ledger = option(
    "--ledger",
    type=FILE_OR_ADDRESS,
    metavar="FILE",
    help="File that records the processed photos.  [default: beside --out, same name]",
)

with_only = option("--only", type=click.Choice(ONLY), multiple=True, help="Write only these rows; may be repeated.")

with_report = option(
    "--report", type=OUTPUT_PLACE, metavar="FILE.json", help="Write counts, times, versions and every failure."
)

with_allow_vanished = option("--allow-vanished", is_flag=True, help="Continue although most of the known photos are gone.")


def told_run(
    settings: RunSettings,
    quiet: bool,
    log_format: LogFormat,
    work: "Callable[[RunCallbacks, RunSummary], object]",
    list_ignored: bool = False,
) -> int:
    """Do the work of a run, tell how it goes on, write its report, and return the exit code."""
    from tagger.cli.progress import Progress
    from tagger.run.plan import RunCallbacks
    from tagger.run.report import write_report_after
    from tagger.run.summary import RunSummary
    from tagger.signals import SignalGuard

    summary, signals = RunSummary(), SignalGuard()
    with Progress(log_format, quiet) as progress:
        callbacks = RunCallbacks(
            ignored=progress.ignored if list_ignored else lambda path, why: None,
            started=lambda summary: progress.started(summary, shown(settings.source), settings.out),
            warned=progress.warned,
            noted=progress.noted,
            failed=progress.failed,
            scored=progress.looked,
            defer=signals.defer,
            ignore=signals.ignore,
        )
        try:
            with signals.listening(), write_report_after(settings, summary, progress.warned):
                work(callbacks, summary)
        except Interrupted as stop:
            progress.interrupted(summary)
            return EXIT_SIGNAL + stop.signal
        progress.done(summary, settings.out)
    return EXIT_FAILED_PHOTOS if summary.failed else 0
