"""Read a shop's table of labels: each labelled photo once, one spelling per label, and notes on what was odd."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger.catalog.columns import normalised
from tagger.catalog.labelled import labelled_items, labels_location
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.errors import DatasetError
from tagger.file_names import resolve_escaped
from tagger.records import EmbeddedPhoto, Item

NONE = "-"
"""The label of photos that show none of the labels."""

MAX_NAMES = 5
"""Names that a note lists."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A labelled photo: `label` as the table spells it, `product` the product it shows, "" where the table does not tell."""

    item: Item
    label: str
    product: str
    flagged: bool
    """Whether the row is one of a run's output whose `low_confidence` is still true."""


@dataclass(frozen=True)
class LabelTable:
    """The labelled photos of a table or folder by their `photo_key`, each once, and notes on the rows left out."""

    photos: Mapping[Path, LabelledPhoto]
    notes: list[str] = field(default_factory=list)
    checksums: Mapping[str, str] = field(default_factory=dict)
    """sha256 of what the labels were read from, by its name, for the card."""


def read_label_table(
    given: str, catalog: str, reading: SourceSettings = DEFAULT_READING, label_column: str | None = None
) -> LabelTable:
    """Read the labelled photos of a table, of a folder with one subfolder per class, or of a corrected output of a run.

    Relative paths start from the catalog's folder if the file exists there, else from the table's. Rows without a label are
    passed over, and photos with two different labels left out. Raises `SourceError` or `DatasetError` where no photo is
    labelled.
    """
    if given != catalog and labels_location(given).is_file():  # patterns are meant for the catalog
        reading = replace(reading, include=(), exclude=())
    rows: defaultdict[Path, list[LabelledPhoto]] = defaultdict(list)
    unusable: list[str] = []
    for item in labelled_items(given, reading, label_column):
        label = str(item.columns["label"]).strip()
        if not label:
            continue
        if item.problem is not None or item.place is None:
            unusable.append(item.problem.detail if item.problem else item.path)
            continue
        file = _real_file(item, catalog)
        product = str(item.columns["group"])
        place = item.place if isinstance(item.place, EmbeddedPhoto) else file
        rows[file].append(LabelledPhoto(Item(item.path, place), label, product, bool(item.columns.get("flagged"))))
    notes = [count_and_examples("Rows that cannot be used", unusable)] if unusable else []
    conflicting = {file for file, row in rows.items() if len({normalised(one.label) or one.label for one in row}) > 1}
    if conflicting:
        paths = [row[0].item.path for file, row in rows.items() if file in conflicting]
        notes.append(count_and_examples("Photos with two different labels, left out", paths))
    photos = {file: row[0] for file, row in rows.items() if file not in conflicting}
    if not photos:
        raise DatasetError(f"{given} labels no photo; fill its label column in, or give a folder with one subfolder per class.")
    return LabelTable(photos, notes, checksum(given))


def with_decisions(table: LabelTable | None, decided: LabelTable | None) -> LabelTable | None:
    """Return the labels of a table together with what people decided; the table's counts where both label a photo."""
    if table is None or decided is None:
        return decided if table is None else table
    both = [(row, table.photos[file]) for file, row in decided.photos.items() if file in table.photos]
    keys = [(row.item.path, *(normalised(one.label) or one.label for one in (row, other))) for row, other in both]
    otherwise = [path for path, label, other in keys if label != other]
    what = "Photos that the table labels otherwise than people decided, where the table counts"
    notes = [count_and_examples(what, otherwise)] if otherwise else []
    return LabelTable(
        {**decided.photos, **table.photos}, [*table.notes, *decided.notes, *notes], {**decided.checksums, **table.checksums}
    )


def checksum(given: str) -> dict[str, str]:
    """Return the sha256 of a table, or of a labelled folder's listing, by its name."""
    place = labels_location(given)
    content = place.read_bytes() if place.is_file() else os.fsencode("\n".join(sorted(_files(place))))
    return {f"shop/{place.name or given}": hashlib.sha256(content).hexdigest()}


def _files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _real_file(item: Item, catalog: str) -> Path:
    """Return the file of a row: an output of a run names photos within the catalog, wherever that output lies."""
    within = resolve_escaped(Path(catalog, item.path))
    is_within = not isinstance(item.place, EmbeddedPhoto) and Path(catalog).is_dir() and os.path.isfile(within)
    return photo_key(Item(item.path, within) if is_within else item)


def photo_key(item: Item) -> Path:
    """Return what tells the photo of an item from others: its real file, or below that of a table its row and column."""
    if isinstance(item.place, EmbeddedPhoto):
        return Path(os.path.realpath(item.place.table), str(item.place.row), item.place.column, *map(str, item.place.keys))
    return Path(os.path.realpath(item.file or item.path))


# Spellings ---------------------------------------------------------------------------------------------------------


def canonical_labels(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Map every label to its one spelling: that of `known`, the bundle's labels, else the most frequent one of `labels`."""
    known_spellings = {normalised(label): label for label in known}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        counts[normalised(label) or label][label] += 1
    return {
        label: known_spellings.get(key) or spellings.most_common(1)[0][0]
        for key, spellings in counts.items()
        for label in spellings
    }


def spelling_notes(spellings: Mapping[str, str]) -> list[str]:
    """Return a note on the labels whose spelling was changed; none where every label keeps its own."""
    changed = sorted(f"{label!r} as {name!r}" for label, name in spellings.items() if label != name)
    return [f"Labels that differ only in case or punctuation count as one: {first_few(changed)}."] if changed else []


# Notes -------------------------------------------------------------------------------------------------------------


def count_and_examples(what: str, names: Sequence[str]) -> str:
    """Return a note with the number of `names` and the first few of them; it reads well for one, too."""
    return f"{what} ({len(names)}): {first_few(names)}."


def first_few(names: Sequence[str], at_most: int = MAX_NAMES) -> str:
    """Return the first names as a list in a sentence, and how many more there are."""
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
