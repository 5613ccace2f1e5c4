"""A shop's table of labels: each labelled photo once, and what was odd in the table."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.catalog.labelled import labelled_items, labels_location, normalised
from tagger.errors import DatasetError
from tagger.file_names import resolve_escaped
from tagger.records import Item

NONE = "-"
"""The label of photos that show none of the labels."""

NAMED = 5
"""Names that a sentence lists at most."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with its label as the table spells it, and whose product it is, empty where the table does not tell."""

    item: Item
    label: str
    product: str
    flagged: bool
    """Whether the row is one of a run's output that nobody has changed the flag of."""


@dataclass(frozen=True)
class LabelTable:
    """The labelled photos of a table or folder, each once, by their files, and what was odd."""

    photos: Mapping[Path, LabelledPhoto]
    notes: list[str] = field(default_factory=list)


def read_label_table(given: str, catalog: str, image_column: str | None = None, label_column: str | None = None) -> LabelTable:
    """Return the labelled photos of a table, a folder with one subfolder a class, or a corrected output of a run.

    Paths are those of the catalog's folder if they are there, else of the table's. Rows without a label are passed over, and
    photos with two different ones left out. Raises `SourceError` or `DatasetError` where nothing is labelled.
    """
    rows: defaultdict[Path, list[LabelledPhoto]] = defaultdict(list)
    unusable: list[str] = []
    for item in labelled_items(given, image_column, label_column):
        label = str(item.columns["label"]).strip()
        if not label:
            continue
        if item.problem is not None or item.file is None:
            unusable.append(item.problem.detail if item.problem else item.path)
            continue
        file = _resolved(item, catalog)
        product = str(item.columns["group"])
        rows[file].append(LabelledPhoto(Item(item.path, file), label, product, bool(item.columns.get("flagged"))))
    notes = [count_and_examples("Rows that cannot be used", unusable)] if unusable else []
    torn = {file for file, row in rows.items() if len({normalised(one.label) or one.label for one in row}) > 1}
    if torn:
        paths = [row[0].item.path for file, row in rows.items() if file in torn]
        notes.append(count_and_examples("Photos with two different labels, which teach nothing", paths))
    photos = {file: row[0] for file, row in rows.items() if file not in torn}
    if not photos:
        raise DatasetError(f"{given} labels no photo; fill its label column in, or give a folder with one subfolder a class.")
    return LabelTable(photos, notes)


def checksum(given: str) -> dict[str, str]:
    """Return the sha256 of a table by its name, or that of a labelled folder's listing."""
    place = labels_location(given)
    content = place.read_bytes() if place.is_file() else os.fsencode("\n".join(sorted(_files(place))))
    return {f"shop/{place.name or given}": hashlib.sha256(content).hexdigest()}


def _files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _resolved(item: Item, catalog: str) -> Path:
    """Return the file of a row: rows of a run's output name photos within the catalog, wherever that output lies."""
    within = resolve_escaped(Path(catalog, item.path))
    file = within if Path(catalog).is_dir() and os.path.isfile(within) else item.file
    return Path(os.path.realpath(file or item.path))


def canonical_labels(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the one spelling of every label: the bundle's own where it has it, else the most frequent one of the table."""
    own = {normalised(label): label for label in known}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        counts[normalised(label) or label][label] += 1
    return {label: own.get(key) or ways.most_common(1)[0][0] for key, ways in counts.items() for label in ways}


def spelling_notes(spellings: Mapping[str, str]) -> list[str]:
    """Return a sentence on the labels that go by another spelling, or nothing."""
    others = sorted(f"{label!r} as {name!r}" for label, name in spellings.items() if label != name)
    return [f"Labels that differ in case or punctuation alone are one: {first_few(others)}."] if others else []


def count_and_examples(what: str, names: Sequence[str]) -> str:
    """Return a sentence of how many there are of something, with the first few names; it reads well for one, too."""
    return f"{what} ({len(names)}): {first_few(names)}."


def first_few(names: Sequence[str], at_most: int = NAMED) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
