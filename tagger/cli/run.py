"""`fmtag run`: tag photos."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.options import FILE, PLACE, Finite, LogFormat, option, with_fetching, with_flagging, with_log, with_model
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
from tagger.run.shards import Shard, parse_shard
from tagger.settings import Format
from tagger.streams import is_stream


def shard_of(context: click.Context, parameter: click.Parameter, value: str | None) -> Shard | None:
    """Return the part of a source that a text such as `0/8` names; one that names none is wrong usage."""
    try:
        return None if value is None else parse_shard(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


if TYPE_CHECKING:
    from tagger.run.engine import Engine
    from tagger.run.plan import RunCallbacks
    from tagger.run.summary import RunSummary

ENGINES = ("local", "ray")


@click.command()
@click.argument("source")
@with_out
@with_format
@with_top_k
@with_flagging
@with_excel
@option("--list-ignored", is_flag=True, help="List the entries of a folder that are not read, and why.")
@option("--debug-garments", type=PLACE, metavar="DIR", help="Write the network's input images as PNG files.")
@option("--label-map", type=FILE, metavar="FILE.csv", help="Replace labels by other names: two columns, label and name.")
@with_ledger
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
@with_only
@option("--changes", metavar="FILE", help="Write the rows that differ from the last run (.csv .json .jsonl .parquet).")
@with_report
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
@with_allow_vanished
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
    from tagger.run import pipeline

    settings = RunSettings(format=format_, **options)
    if settings.shard is not None and settings.ledger is None and is_stream(settings.out):
        raise click.UsageError("A shard is merged by its ledger, which standard output has not: give --out or --ledger a file.")
    runs_elsewhere = _engine(engine, ray_address, settings)
    stdin = None if sys.stdin is None else sys.stdin.buffer  # schedulers may close it

    def tag(callbacks: "RunCallbacks", summary: "RunSummary") -> None:
        pipeline.run(settings, stdin, callbacks, summary, runs_elsewhere)

    return told_run(settings, quiet, log_format, tag, list_ignored)


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
