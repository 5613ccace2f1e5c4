"""`fmtag nights`: show what each night uploaded, and whether the nights have changed."""

import json
from pathlib import Path

import click

from tagger.cli.options import LEDGER_OF_RUNS, OUTPUT_OF_RUNS, option, with_debug
from tagger.escaping import for_json

MOST_TOGETHER = 31
"""Nights that can be compared together: a month."""

SHOWN = 30
"""Nights of each bundle that are printed by default."""


@click.command()
@click.argument("out", type=OUTPUT_OF_RUNS, required=False)
@option("--ledger", type=LEDGER_OF_RUNS, metavar="FILE", help="Ledger of the runs.  [default: the one beside OUT]")
@option(
    "--together",
    type=click.IntRange(1, MOST_TOGETHER),
    default=1,
    show_default=True,
    help="Nights to compare together, for shops whose deliveries last several nights; 7 for weeks.",
)
@option("--all", "everything", is_flag=True, help=f"Print all nights, not the last {SHOWN} of each bundle.")
@option("--json", "as_json", is_flag=True, help="Print JSON: all nights, the state of each statistic, all alarms.")
@with_debug
def nights(out: Path | None, ledger: Path | None, together: int, everything: bool, as_json: bool) -> None:
    """Show photos, uploads, flagged share and confidence of each night, and alarms where the nights have changed.

    OUT is the output of the runs, beside which their ledger lies. The exit code is 0 with and without an alarm.
    """
    from tagger.cli.terminal import require_standard_output
    from tagger.review import nights_text
    from tagger.review.nights import read_nights
    from tagger.run.paths import ledger_of_output

    if ledger is None and out is None:
        raise click.UsageError("Give the output of the runs, such as tags.csv, or --ledger FILE.")
    require_standard_output()
    read = read_nights(ledger if ledger is not None else ledger_of_output(out or Path()), together)
    if as_json:
        click.echo(for_json(json.dumps(nights_text.as_json(read), indent=2, ensure_ascii=False)))
    else:
        click.echo(nights_text.as_text(read, None if everything else SHOWN))
