"""`fmtag adapt`: adapt a bundle to a shop's catalog."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from tagger.adaptation.settings import OTHER_LABELS, AdaptSettings
from tagger.cli.options import option, with_catalog, with_label_column, with_reviews
from tagger.cli.terminal import Terminal, say

if TYPE_CHECKING:
    from tagger.adaptation.adapt import AdaptationResult
    from tagger.metrics.significance import Interval

LISTED_SUSPECTS = 20
"""Labels that are probably wrong that are listed on a terminal."""


@click.command()
@option("--out", required=True, metavar="NAME", help="Name of the new bundle, or a folder written with a separator.")
@option(
    "--labels",
    metavar="TABLE",
    help="Labelled photos: a table, a folder with one subfolder per class, or a corrected output of `fmtag run`.",
)
@with_label_column
@option(
    "--other-labels",
    type=click.Choice(OTHER_LABELS),
    help="Keep or drop the bundle's labels that the table does not name.  [default: keep, if it names some of them]",
)
@option("--deep", is_flag=True, help="Fine-tune the network too: takes minutes, for hundreds of labels.")
@option("--force", is_flag=True, help="Write the bundle even if its accuracy is lower or the catalog is too small.")
@with_reviews
@with_catalog
def adapt(out: str, ledger: Path | None, no_reviews: bool, **options: Any) -> None:
    """Adapt a bundle to a shop's catalog, with or without labels.

    CATALOG is any source that `fmtag run` takes. Labels may be those of the bundle or any others; `-` is for photos that show
    none of the labels. What people decided in `fmtag review` counts as labels, too. The accuracy before and after,
    cross-validated over whole products, is printed, and nothing is replaced by a bundle of lower accuracy.
    """
    from tagger.adaptation.adapt import adapt as fit
    from tagger.cli.progress import progress_bar
    from tagger.cli.reviewed import reviewed_labels
    from tagger.models import card

    folder = card.bundle_folder(out)
    decided = reviewed_labels(options["catalog"], ledger, no_reviews, "count as labels")
    with progress_bar("photos") as progress:
        adapted = fit(AdaptSettings(out=str(folder), **options), progress, decided)
    print_adapted(adapted, out)


def print_adapted(adapted: "AdaptationResult", out: str) -> None:
    """Print the result of an adaptation: notes, accuracy by label with 95 % intervals, labels that are probably wrong."""
    console = Terminal()
    for sentence in adapted.notes:
        console.print(sentence, highlight=False)
    if adapted.gains:
        table = Table("label", "n", "right before", "right after", title="Cross-validated over products", box=box.SIMPLE_HEAD)
        for gain in adapted.gains:
            table.add_row(gain.label, str(gain.n), *map(_interval, (gain.before, gain.after)))
        console.print(table)
    if adapted.suspects:
        table = Table("photo", "label", "likely", "probability", title="Labels that are likely wrong", box=box.SIMPLE_HEAD)
        for suspect in adapted.suspects[:LISTED_SUSPECTS]:
            table.add_row(suspect.path, suspect.label, suspect.predicted, f"{suspect.confidence:.2f}")
        console.print(table)
        if len(adapted.suspects) > LISTED_SUSPECTS:
            console.print(f"... and {len(adapted.suspects) - LISTED_SUSPECTS} more.")
    if adapted.written is not None:
        say(
            f"{adapted.photos:,} photos, {adapted.labelled:,} labelled; {adapted.changed:.1%} of the tags change. "
            f"{adapted.written.model}: fmtag run ... --model {out}",
            err=True,
        )


def _interval(interval: "Interval") -> str:
    share, low, high = interval
    return f"{share:.3f} ({low:.3f}-{high:.3f})"
