"""Find what people decided about a catalog's photos, and say that it is used."""

from pathlib import Path
from typing import TYPE_CHECKING

from tagger.cli.terminal import say

if TYPE_CHECKING:
    from tagger.catalog.label_table import LabelTable


def reviewed_labels(catalog: str, ledger: Path | None, leave_out: bool, effect: str) -> "LabelTable | None":
    """Return what people decided about the photos of a catalog, and print a line about it; None where there is nothing.

    `ledger` is the one to use; without it, one is looked for. `effect` says what becomes of these photos. Raises `LedgerError`
    where the ledger that is given cannot be read, or several that are found have decisions.
    """
    if leave_out:
        return None
    from tagger.review.catalog_decisions import find_ledger, label_table_of

    found = ledger or find_ledger(catalog)
    table = None if found is None else label_table_of(found)
    if table is None:
        if ledger is not None:
            say(f"Note: {ledger} has no decisions of people.", err=True)
        return None
    for sentence in table.notes:
        say(f"Note: {sentence}", err=True)
    if not table.photos:
        return None
    photos = "1 photo" if len(table.photos) == 1 else f"{len(table.photos):,} photos"
    say(f"Note: decisions of people about {photos}, from {found}, {effect}; leave them out with --no-reviews.", err=True)
    return table
