"""`fmtag explain`: show what the ledger records about one photo."""

import json
from pathlib import Path

import click

from tagger.cli.options import LEDGER_OF_RUNS, option, with_debug
from tagger.escaping import for_json


@click.command()
@click.argument("path")
@option(
    "--ledger", type=LEDGER_OF_RUNS, required=True, metavar="FILE", help="Ledger of the runs, which lies beside their output."
)
@option(
    "--model",
    metavar="BUNDLE",
    help="Folder or name of the bundle that scored the photo, to show what each of its networks makes of it."
    "  [default: found among the bundles that have a name]",
)
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_debug
def explain(path: str, ledger: Path, model: str | None, as_json: bool) -> None:
    """Show what the ledger records about the photo PATH: bytes, bundle, probabilities and those of each network,
    reason of the flag, every run.

    PATH is written as in the column `path` of the output.
    """
    from tagger.cli.terminal import require_standard_output
    from tagger.run import explain as explaining

    require_standard_output()
    known = explaining.explain(path, ledger, model)
    click.echo(for_json(json.dumps(known, indent=2, ensure_ascii=False)) if as_json else explaining.as_text(known))
