"""Find what people decided about the photos of a catalog, as labels to adapt a bundle by."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tagger.catalog.label_table import NONE, LabelledPhoto, LabelTable, count_and_examples, photo_key
from tagger.errors import LedgerError
from tagger.records import Item
from tagger.review.labels import read_labels
from tagger.review.ledger_reader import LedgerReader
from tagger.review.photos import Photos, Refused
from tagger.run.ledger_file import SUFFIX
from tagger.run.ledger_queries import LAST_RUN
from tagger.run.ledger_values import text_of
from tagger.run.paths import source_key


def find_ledger(catalog: str) -> Path | None:
    """Return the ledger whose last run tagged a catalog, and that has decisions; None where there is none.

    Ledgers are looked for in the working directory, in the catalog (for a table in its folder), and in the folder above that,
    not below. Raises `LedgerError` where several have decisions.
    """
    if catalog == "-":  # two lists on standard input may be of two catalogs
        return None
    inner = Path(catalog) if Path(catalog).is_dir() else Path(catalog).parent
    folders = dict.fromkeys(folder.resolve() for folder in (Path(), inner, inner.resolve().parent))
    found = [path for folder in folders for path in _ledgers_in(folder) if _has_decisions(path, source_key(catalog))]
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise LedgerError(
            f"Several ledgers have decisions of people about {catalog}: {names}. Name one with --ledger, or leave them out "
            "with --no-reviews."
        )
    return _shown(found[0]) if found else None


def label_table_of(ledger: Path) -> LabelTable | None:
    """Return what people decided as labels of the photos whose bytes are still the same; None where nothing is decided.

    Labels that the run's label map has renamed get the bundle's own name again. Raises `LedgerError` where the ledger cannot
    be read.
    """
    photos: dict[Path, LabelledPhoto] = {}
    changed: list[str] = []
    digest = hashlib.sha256()
    with LedgerReader(ledger) as reader:
        rows = reader.rows(_DECIDED)
        if not rows:
            return None
        names = _own_labels(reader)
        files = Photos(reader, follow_links=True)
        for item, key, stored in rows:
            found = files.find(item)
            if isinstance(found, Refused) or isinstance(files.read(found), Refused):
                changed.append(text_of(key))
                continue
            label = names.get(stored, stored) or NONE
            one = Item(found.key, found.place if not isinstance(found.place, str) else Path(found.place))
            photos[photo_key(one)] = LabelledPhoto(one, label, "", False)
            digest.update(found.sha256 + label.encode() + b"\0")
    notes = [count_and_examples("Decided photos that are gone or have other bytes now, left out", changed)] if changed else []
    return LabelTable(photos, notes, {f"shop/{ledger.name}": digest.hexdigest()} if photos else {})


def _own_labels(reader: LedgerReader) -> dict[str, str]:
    """Return the bundle's label by the name that a label map gave it, where it is the only one of that name."""
    labels = read_labels(reader)
    counts = Counter(one.name for one in labels)
    own = {one.label for one in labels}
    return {one.name: one.label for one in labels if counts[one.name] == 1 and one.name not in own}


def _ledgers_in(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())
    except OSError:  # a folder that may not be read
        return


def _has_decisions(ledger: Path, source: str) -> bool:
    """Return whether a file is a ledger whose last run had this source, with decisions that count.

    It is read as it is: one of an older fmtag has none.
    """
    try:
        with closing(sqlite3.connect(ledger, isolation_level=None)) as sql:
            last = sql.execute(LAST_RUN).fetchone()
            return last is not None and text_of(last[0]) == source and sql.execute(_ANY).fetchone() is not None
    except (ValueError, sqlite3.Error):
        return False


def _shown(path: Path) -> Path:
    """Return a path from the working directory, if it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


_ANY = "SELECT 1 FROM contents WHERE review IS NOT NULL LIMIT 1"

_DECIDED = """
    SELECT items.id, key, label FROM items JOIN contents ON contents.id = items.content JOIN reviews ON reviews.id = review
    WHERE published IS NOT NULL ORDER BY key
"""
