"""`fmtag doctor`: say what a run would read, leave out and refuse, before the first one."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from tagger.catalog.settings import SourceSettings
from tagger.cli.exit_codes import EXIT_FAILED_PHOTOS
from tagger.cli.options import (
    OUTPUT_FILE,
    Finite,
    option,
    with_debug,
    with_decoding,
    with_fetching,
    with_source_reading,
    with_workers,
)
from tagger.cli.terminal import Terminal, results_console, say
from tagger.files import as_json, write_file
from tagger.inspection.settings import InspectionSettings
from tagger.photos.settings import DecodeSettings
from tagger.storage.addresses import shown

if TYPE_CHECKING:
    from tagger.inspection.report import Section


@click.command()
@click.argument("source")
@option("--out", type=OUTPUT_FILE, metavar="FILE.json", help="Write all of the report as JSON; with - the text goes to stderr.")
@option(
    "--sample", type=click.IntRange(min=0), metavar="N", help="Decode at most N photos.  [default: as many as the time allows]"
)
@option(
    "--seconds",
    type=Finite(0, min_open=True),
    default=InspectionSettings.seconds,
    show_default=True,
    metavar="SECONDS",
    help="Time to look at photos; the source is always listed to its end.",
)
@with_workers
@with_decoding
@with_source_reading
@with_fetching
@with_debug
@click.pass_context
def doctor(context: click.Context, /, **options: Any) -> int:
    """Say what a run on SOURCE would read, leave out and refuse, why, and what to do first. Runs no network.

    All of the source is listed. Of the photos as many as the time allows are decoded, of the others the headers are read: a
    sample that is spread over the source. Photos in buckets and on web servers are only listed. Nothing is written but --out.

    Exit codes: 0 every photo that was opened can be read; 1 the source as a whole cannot be read; 2 wrong usage; 3 some photos
    would fail.
    """
    from tagger.catalog.output_paths import Input, Output, check_output_paths
    from tagger.cli.progress import progress_bar
    from tagger.errors import SourceError
    from tagger.inspection.inspect import inspect_source, why_nothing
    from tagger.inspection.report import as_values, error_values, make_report, sections

    settings = InspectionSettings(**options)
    console = results_console([settings.out])
    inputs = [] if settings.source == "-" else [Input("the source itself", settings.source)]
    check_output_paths([Output("--out", settings.out)], inputs)
    try:
        with progress_bar("photos") as progressed:
            inspection = inspect_source(settings, getattr(sys.stdin, "buffer", None), progressed)
    except SourceError as error:
        _write(settings.out, error_values(shown(settings.source), str(error)))
        raise
    report = make_report(inspection, _run_command(context, shown(settings.source)))
    _write(settings.out, as_values(report))
    _print(sections(report), console)
    if why := why_nothing(inspection):
        raise SourceError(why)
    return EXIT_FAILED_PHOTOS if inspection.failed else 0


def _run_command(context: click.Context, source: str) -> str:
    """Return the run on the same source, with the same options of what is read, quoted for a shell."""
    reading = {field.name for kind in (SourceSettings, DecodeSettings) for field in fields(kind)}
    words = ["fmtag", "run", source, "--out", "tags.csv"]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in reading and value != parameter.get_default(context) and value is not None:
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                words += [parameter.opts[0]] if one is True else [parameter.opts[0], str(one)]
    return shlex.join(words)


def _write(out: Path | None, values: dict[str, Any]) -> None:
    if out is not None:
        write_file(out, as_json(values))


def _print(parts: Iterable["Section"], console: Terminal) -> None:
    """Print the sections as tables on a terminal, and otherwise as lines that begin with their names."""
    for title, rows in parts:
        if not console.is_terminal:
            say(f"{title}:", err=console.stderr)
            for name, text in rows:
                say(f"  {name}: {text}", err=console.stderr)
            continue
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(style="cyan", max_width=28)
        table.add_column(overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(Text(title, "bold"))
        console.print(table)
