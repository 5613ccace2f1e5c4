"""A shop's table of labels becomes a lesson on a catalog's photos; what is odd in it is said, and never lost in silence."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tagger.adaptation.fit import Lesson
from tagger.catalog.labelled import labelled_items, place_of, plain
from tagger.errors import DatasetError
from tagger.file_names import file_meant
from tagger.models.neighbours import same_looking
from tagger.records import Item
from tagger.settings import OtherLabels

NONE = "-"
"""The label of photos that show none of the labels."""

MOST_LABELS = 1_000
"""Different labels that can be learnt: memory is for each photo and label, and more are rather names or numbers of products."""

NAMED = 5
"""Names that a sentence lists at most."""


@dataclass(frozen=True)
class Labelled:
    """A photo with its label as the table spells it, and whose product it is, empty where the table does not tell."""

    item: Item
    label: str
    product: str
    flagged: bool
    """Whether the row is one of a run's output that nobody has changed the flag of."""


@dataclass(frozen=True)
class Table:
    """The labelled photos of a table or folder, each once, by their files, and what was odd."""

    photos: Mapping[Path, Labelled]
    said: list[str] = field(default_factory=list)


def read_table(given: str, catalog: str, image_column: str | None = None, label_column: str | None = None) -> Table:
    """Return the labelled photos of a table, a folder with one subfolder a class, or a corrected output of a run.

    Paths are those of the catalog's folder if they are there, else of the table's. Rows without a label are passed over, and
    photos with two different ones left out. Raises `SourceError` or `DatasetError` where nothing is labelled.
    """
    rows: defaultdict[Path, list[Labelled]] = defaultdict(list)
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
        rows[file].append(Labelled(Item(item.path, file), label, product, bool(item.columns.get("flagged"))))
    said = [listed("Rows that cannot be used", unusable)] if unusable else []
    torn = {file for file, row in rows.items() if len({plain(one.label) or one.label for one in row}) > 1}
    if torn:
        paths = [row[0].item.path for file, row in rows.items() if file in torn]
        said.append(listed("Photos with two different labels, which teach nothing", paths))
    photos = {file: row[0] for file, row in rows.items() if file not in torn}
    if not photos:
        raise DatasetError(f"{given} labels no photo; fill its label column in, or give a folder with one subfolder a class.")
    return Table(photos, said)


def checksum(given: str) -> dict[str, str]:
    """Return the sha256 of a table by its name, or that of a labelled folder's listing."""
    place = place_of(given)
    content = place.read_bytes() if place.is_file() else os.fsencode("\n".join(sorted(_files(place))))
    return {f"shop/{place.name or given}": hashlib.sha256(content).hexdigest()}


def _files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _resolved(item: Item, catalog: str) -> Path:
    """Return the file of a row: rows of a run's output name photos within the catalog, wherever that output lies."""
    within = file_meant(Path(catalog, item.path))
    file = within if Path(catalog).is_dir() and os.path.isfile(within) else item.file
    return Path(os.path.realpath(file or item.path))


def spelled(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the one spelling of every label: the bundle's own where it has it, else the most frequent one of the table."""
    own = {plain(label): label for label in known}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        counts[plain(label) or label][label] += 1
    return {label: own.get(key) or ways.most_common(1)[0][0] for key, ways in counts.items() for label in ways}


def merged(spellings: Mapping[str, str]) -> list[str]:
    """Return a sentence on the labels that go by another spelling, or nothing."""
    others = sorted(f"{label!r} as {name!r}" for label, name in spellings.items() if label != name)
    return [f"Labels that differ in case or punctuation alone are one: {first_few(others)}."] if others else []


@dataclass(frozen=True)
class Taught:
    """A lesson, and what was odd in the table that it is from."""

    lesson: Lesson
    said: list[str]


def lesson_of(
    numbers: Sequence[int],
    rows: Sequence[Labelled],
    bundle_labels: Sequence[str],
    directions: Tensor,
    tags: Sequence[str],
    other_labels: OtherLabels | None,
) -> Taught:
    """Return the lesson of a catalog's photos, by their numbers (l,), with the rows that label them (l,).

    `directions` (n, d) and `tags` (n,) are those of the catalog as the bundle sees it. `other_labels` says what becomes of
    the bundle's labels that the table does not name. Raises `DatasetError` where that has to be said and is not, or where
    fewer than two labels are left.
    """
    said: list[str] = []
    spellings = spelled([row.label for row in rows if row.label != NONE], bundle_labels)
    said += merged(spellings)
    names = [spellings.get(row.label, NONE) for row in rows]
    unconfirmed = [
        row.flagged and names[at] == tags[number] for at, (number, row) in enumerate(zip(numbers, rows, strict=True))
    ]
    if any(unconfirmed):
        said.append(f"Rows still flagged with the bundle's own tag, which nobody has confirmed, left out: {sum(unconfirmed)}.")
    counts = Counter(name for name, left in zip(names, unconfirmed, strict=True) if not left)
    lonely = {name for name, count in counts.items() if count == 1 and name not in (*bundle_labels, NONE)}
    if lonely:
        singles = first_few([repr(name) for name in sorted(lonely)])
        said.append(f"{singles}: a single photo each, which teaches nothing; label at least one more.")
    used = [at for at, name in enumerate(names) if not unconfirmed[at] and name not in lonely]
    labels = _labels(sorted({names[at] for at in used} - {NONE}), bundle_labels, other_labels)
    class_of = {label: number for number, label in enumerate(labels)} | {NONE: len(labels)}
    classes = np.array([class_of[names[at]] for at in used], np.int64)
    photos = np.array([numbers[at] for at in used], np.int64)
    products = same_looking(directions, photos, _numbered([rows[at].product for at in used]))
    known = tuple(bundle_labels.index(label) if label in bundle_labels else -1 for label in labels)
    return Taught(Lesson(tuple(labels), known, photos, classes, products), said)


def _labels(own: Sequence[str], bundle_labels: Sequence[str], other_labels: OtherLabels | None) -> list[str]:
    if other_labels is None and not set(own) & set(bundle_labels):
        raise DatasetError(
            f"The table's labels ({', '.join(own) or 'none'}) are none of the bundle's ({', '.join(bundle_labels)}); "
            "say with --other-labels whether to keep those too, or to drop them."
        )
    kept = [label for label in bundle_labels if other_labels != "drop" or label in own]
    labels = list(dict.fromkeys([*kept, *own]))
    if len(labels) < 2:
        raise DatasetError(f"One label alone ({', '.join(labels)}) tells nothing apart; label photos of another one too.")
    if len(labels) > MOST_LABELS:
        raise DatasetError(
            f"The table has {len(own):,} different labels, and at most {MOST_LABELS:,} can be learnt; "
            "name the column that holds them with --label-column."
        )
    return labels


def _numbered(products: Sequence[str]) -> NDArray[np.int64]:
    """Return a number for each product that the table names, and -1 where it names none."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, products)))}
    return np.array([numbers.get(name, -1) for name in products], np.int64)


def listed(what: str, names: Sequence[str]) -> str:
    """Return a sentence of how many there are of something, with the first few names; it reads well for one, too."""
    return f"{what} ({len(names)}): {first_few(names)}."


def first_few(names: Sequence[str], at_most: int = NAMED) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
