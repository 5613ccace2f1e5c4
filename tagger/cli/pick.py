"""`fmtag pick`: choose photos to label."""

from pathlib import Path
from typing import Any

import click

from tagger.adaptation.settings import AdaptSettings
from tagger.cli.options import option, with_catalog, with_reviews
from tagger.cli.terminal import say


@click.command()
@option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Number of photos to choose.")
@option("--out", required=True, metavar="FILE", help="Table to fill in (.csv .json .jsonl .parquet), or - for standard output.")
@with_reviews
@with_catalog
def pick(count: int, out: str, ledger: Path | None, no_reviews: bool, **options: Any) -> None:
    """Choose the photos of CATALOG that are most worth labelling: uncertain, varied, no product twice.

    Fill in the column `label` of the table and give it to `fmtag adapt --labels`. Rows with an empty label are skipped.
    Photos that people have decided about in `fmtag review` are not chosen.
    """
    from tagger.adaptation.active_learning import write_picks
    from tagger.cli.progress import progress_bar
    from tagger.cli.reviewed import reviewed_labels

    decided = reviewed_labels(options["catalog"], ledger, no_reviews, "are not chosen again")
    with progress_bar("photos") as progress:
        picked, total = write_picks(AdaptSettings(out=out, **options), count, progress, decided)
    say(f"{picked} of {total:,} photos to label. Written to {out}.", err=True)
