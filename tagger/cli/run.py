"""`fmtag run`: tag photos."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.exit_codes import EXIT_FAILED_PHOTOS, EXIT_SIGNAL
from tagger.cli.options import (
    FILE,
    FILE_OR_ADDRESS,
    OUTPUT_PLACE,
    PLACE,
    Finite,
    LogFormat,
    option,
    with_fetching,
    with_flagging,
    with_log,
    with_model,
)
from tagger.errors import Interrupted
from tagger.run.settings import ONLY, RunSettings
from tagger.run.shards import Shard, parse_shard
from tagger.settings import FORMATS, Format
from tagger.storage.addresses import shown
from tagger.streams import is_stream


def shard_of(context: click.Context, parameter: click.Parameter, value: str | None) -> Shard | None:
    """Return the part of a source that a text such as `0/8` names; one that names none is wrong usage."""
    try:
        return None if value is None else parse_shard(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


if TYPE_CHECKING:
    from tagger.run.engine import Engine

ENGINES = ("local", "ray")


@click.command()
@click.argument("source")
@option(
    "--out",
    required=True,
    help="Output file (.csv .json .jsonl .parquet) or its address in a bucket, or - for standard output.",
)
@option(
    "--format", "format_", type=click.Choice(FORMATS), help="Output format.  [default: by the suffix of --out; csv on stdout]"
)
@option("--top-k", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of tags per photo.")
@with_flagging
@option("--excel", is_flag=True, help="Write a CSV for spreadsheets: byte order mark, formulas escaped.")
@option("--list-ignored", is_flag=True, help="List the entries of a folder that are not read, and why.")
@option("--debug-garments", type=PLACE, metavar="DIR", help="Write the network's input images as PNG files.")
@option("--label-map", type=FILE, metavar="FILE.csv", help="Replace labels by other names: two columns, label and name.")
@option(
    "--ledger",
    type=FILE_OR_ADDRESS,
    metavar="FILE",
    help="File that records the processed photos.  [default: beside --out, same name]",
)
@option("--fresh", is_flag=True, help="Process every photo again, whatever the ledger records.")
@option("--verify", is_flag=True, help="Read all files, even where size and time are unchanged.")
@option("--settle", type=Finite(0), default=0.0, metavar="SECONDS", help="Leave out files written within so many seconds.")
@option(
    "--give-up",
    type=click.IntRange(1, 1_000_000),
    default=RunSettings.give_up,
    show_default=True,
    metavar="N",
    help="Stop trying a photo that could not be read in N runs, until its file changes.",
)
@option("--only", type=click.Choice(ONLY), multiple=True, help="Write only these rows; may be repeated.")
@option("--changes", metavar="FILE", help="Write the rows that differ from the last run (.csv .json .jsonl .parquet).")
@option("--report", type=OUTPUT_PLACE, metavar="FILE.json", help="Write counts, times, versions and every failure.")
@option(
    "--wait",
    type=Finite(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so many seconds for another run to end.  [default: do not wait]",
)
@option(
    "--shard",
    callback=shard_of,
    metavar="I/N",
    help="Tag the Ith of N parts of the source only, I from 0 to N-1; fmtag merge puts their outputs together.",
)
@option("--allow-vanished", is_flag=True, help="Continue although most of the known photos are gone.")
@option("--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="What runs the work on photos.")
@option(
    "--ray-address", metavar="ADDRESS", help="Ray cluster for --engine ray.  [default: RAY_ADDRESS, or Ray on this machine]"
)
@with_log
@with_model
@with_fetching
def run(
    format_: Format | None,
    list_ignored: bool,
    quiet: bool,
    log_format: LogFormat,
    engine: str,
    ray_address: str | None,
    **options: Any,
) -> int:
    """Tag the photos of SOURCE: a folder, an image, a table (CSV, Excel, JSON, Parquet), or - for paths on stdin.

    A ledger beside the output records the processed photos, so the same command, run again, processes new and changed photos
    only, and continues where a run was stopped.

    Exit codes: 0 every photo tagged or flagged; 1 the run could not be done; 2 wrong usage; 3 done, but some photos
    could not be read (they are rows all the same); 4 another run is using the ledger; 130 or 143 stopped by a signal.
    """
    from tagger.cli.progress import Progress
    from tagger.run import pipeline
    from tagger.run.report import write_report_after
    from tagger.run.summary import RunSummary
    from tagger.signals import SignalGuard

    settings = RunSettings(format=format_, **options)
    if settings.shard is not None and settings.ledger is None and is_stream(settings.out):
        raise click.UsageError("A shard is merged by its ledger, which standard output has not: give --out or --ledger a file.")
    runs_elsewhere = _engine(engine, ray_address, settings)
    summary, signals = RunSummary(), SignalGuard()
    stdin = None if sys.stdin is None else sys.stdin.buffer  # schedulers may close it
    with Progress(log_format, quiet) as progress:
        callbacks = pipeline.RunCallbacks(
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
                pipeline.run(settings, stdin, callbacks, summary, runs_elsewhere)
        except Interrupted as stop:
            progress.interrupted(summary)
            return EXIT_SIGNAL + stop.signal
        progress.done(summary, settings.out)
    return EXIT_FAILED_PHOTOS if summary.failed else 0


def _engine(name: str, address: str | None, settings: RunSettings) -> "Engine | None":
    """Return the engine of that name, None for this machine's own processes; reject options that do not go with it."""
    if name == "local":
        if address is not None:
            raise click.UsageError("--ray-address needs --engine ray.")
        return None
    if settings.debug_garments is not None:
        raise click.UsageError("--debug-garments does not go with --engine ray; write the images of a few photos without it.")
    from tagger.cluster.engine import ray_engine

    return ray_engine(address)
