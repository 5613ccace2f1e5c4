"""`fmtag review`: settle the doubtful photos on a page in the browser."""

from pathlib import Path
from typing import Any

import click

from tagger.cli.options import LEDGER_OF_RUNS, OUTPUT_OF_RUNS, option, with_debug
from tagger.cli.terminal import say
from tagger.cli.web_extra import require_web


@click.command()
@click.argument("output", type=OUTPUT_OF_RUNS, required=False)
@option("--ledger", type=LEDGER_OF_RUNS, metavar="FILE", help="Ledger of the runs.  [default: the one beside OUTPUT]")
@option("--host", default="127.0.0.1", show_default=True, help="Address to serve at; 0.0.0.0 for other machines, too.")
@option("--port", type=click.IntRange(0, 65_535), default=0, help="Port to serve at.  [default: a free one]")
@option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Further name to open the page by; may be repeated.",
)
@option("--reviewer", metavar="NAME", help="Name that decisions are recorded with.  [default: the login name]")
@option("--favourite", "favourites", multiple=True, metavar="LABEL", help="Label of the keys 4 to 9; may be repeated.")
@option("--follow-links", is_flag=True, help="Show photos that are links out of the catalog, too.")
@option("--no-browser", is_flag=True, help="Print the address only.")
@with_debug
def review(output: Path | None, no_browser: bool, **options: Any) -> None:
    """Settle the doubtful photos of OUTPUT, which `fmtag run` wrote, on a page in the browser.

    Photos are grouped by predicted tag, the most doubtful first. Each decision is in the ledger at once and outranks the
    networks; the next `fmtag run` writes it. Stop with Ctrl-C.
    """
    require_web()
    from tagger.web.review_server import ReviewSettings, open_in_browser, serve_review

    def opened(address: str) -> None:
        say(f"Review at {address}", err=True)
        say("Stop with Ctrl-C. The next fmtag run writes the decisions to its output.", err=True)
        if not no_browser:
            open_in_browser(address)

    serve_review(ReviewSettings(output=output, **options), opened)
    say("Stopped.", err=True)
