"""A shop's labelled photos as pictures to learn from, in three parts that no photo leaves when more photos come."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.catalog.label_table import (
    NONE,
    LabelledPhoto,
    canonical_labels,
    count_and_examples,
    read_label_table,
    spelling_notes,
)
from tagger.catalog.labelled import labels_location
from tagger.data.images import Images
from tagger.errors import DatasetError
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.file_names import escape_surrogates
from tagger.files import as_csv
from tagger.models.side_files import TEST_COLUMNS
from tagger.photos.loader import load_photos
from tagger.records import Failed, Item, ProductImage

VALIDATION_SHARE, TEST_SHARE = 0.15, 0.15
"""Shares of the products whose photos calibrate and choose, and whose photos only measure."""

MIN_PRODUCTS_TO_SPLIT = 8
"""Products below which a class is learnt whole, and measured by nothing: a part of them would say nothing."""

MIN_PHOTOS_PER_LABEL = 2
"""Photos below which a label teaches nothing."""


Named: TypeAlias = tuple[LabelledPhoto, str]
"""A row of the table, and the one spelling of its label."""


class ProductPhoto(NamedTuple):
    """A labelled photo with the product that was found in it."""

    item: Item
    garment: ProductImage
    label: str
    product: str
    """Photos with the same name show one product."""


@dataclass(frozen=True)
class PhotoSplit:
    """Photos of one part, and the labels of the whole collection."""

    photos: Sequence[ProductPhoto]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def garments(self) -> list[ProductImage]:
        """The products in the photos."""
        return [shown.garment for shown in self.photos]

    @property
    def classes(self) -> NDArray[np.int64]:
        """Numbers of the photos' labels, (n,)."""
        return np.array([self.labels.index(shown.label) for shown in self.photos], np.int64)

    @property
    def pictures(self) -> Images:
        """The photos as a network learns them."""
        pixels = np.stack([garment.pixels for garment in self.garments])[:, None]
        return Images(torch.from_numpy(pixels), torch.from_numpy(self.classes), names=tuple(self.labels))


@dataclass(frozen=True)
class PhotoDataset:
    """The labels of a collection, its three parts, and sentences on all that was odd."""

    labels: tuple[str, ...]
    training: PhotoSplit
    held_out: PhotoSplit
    test: PhotoSplit
    notes: list[str] = field(default_factory=list)


def load_photo_dataset(
    given: str,
    known: Sequence[str] = (),
    image_column: str | None = None,
    label_column: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[Sequence[str]], None] = lambda labels: None,
) -> PhotoDataset:
    """Return the labelled photos of a table, or of a folder with one subfolder a class, read and split.

    The part of a product hangs on its name, or where no column `group` names it on what its picture shows, and on nothing else:
    what was tested on stays so when photos are added. Labels that differ from one another, or from `known` ones, in case and
    punctuation alone are one. `check` is given the labels of enough photos before the first
    photo is opened. Raises `SourceError` or `DatasetError` where there is too little to learn from.
    """
    table = read_label_table(given, given, image_column, label_column)
    notes = [*table.notes, *_empty_classes(given)]
    named = _named(list(table.photos.values()), known, notes)
    check(_frequent(Counter(label for _, label in named), known))
    seen = _seen(named, workers, progress, notes)
    labels = _labels(given, named, seen, known, notes)
    photos = [shown for shown in seen if shown.label in labels]
    return PhotoDataset(labels, *_parts(given, photos, labels, notes), notes)


def _empty_classes(given: str) -> list[str]:
    """Return a sentence on the subfolders without a photo, where the classes are folders."""
    folder = labels_location(given)
    if not folder.is_dir():
        return []
    empty = [one.name for one in sorted(folder.iterdir()) if _is_class(one) and not any(map(_is_image, one.rglob("*")))]
    return [count_and_examples("Subfolders without a photo, so no classes", empty)] if empty else []


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _named(rows: Sequence[LabelledPhoto], known: Sequence[str], notes: list[str]) -> list[Named]:
    """Return the rows that have a label, each with the one spelling of it."""
    rest = [row for row in rows if row.label != NONE]
    if len(rest) < len(rows):
        notes.append(f"Photos of none of the labels ({NONE}), left out: {len(rows) - len(rest)}; adapt can learn from them.")
    spellings = canonical_labels([row.label for row in rest], known)
    notes += spelling_notes(spellings)
    return [(row, spellings[row.label]) for row in rest]


def _seen(
    named: Sequence[Named],
    workers: int | None,
    progress: Callable[[int, int], None],
    notes: list[str],
) -> list[ProductPhoto]:
    """Return the photos that can be read and show a product."""
    seen: list[ProductPhoto] = []
    unreadable: list[str] = []
    nothing: list[str] = []
    for number, (prepared, (row, label)) in enumerate(
        zip(load_photos((row.item for row, _ in named), workers), named, strict=True), 1
    ):
        outcome = prepared.outcome
        if isinstance(outcome, ProductImage) and outcome.found:
            shown = hashlib.sha256(outcome.pixels.tobytes()).hexdigest()
            seen.append(ProductPhoto(row.item, outcome, label, row.product or shown))
        else:
            (unreadable if isinstance(outcome, Failed) else nothing).append(row.item.path)
        progress(number, len(named))
    if unreadable:
        notes.append(count_and_examples("Photos that cannot be read, left out", unreadable))
    if nothing:
        notes.append(count_and_examples("Photos that show no product that stands out, left out", nothing))
    return seen


def _labels(
    given: str, named: Sequence[Named], seen: Sequence[ProductPhoto], known: Sequence[str], notes: list[str]
) -> tuple[str, ...]:
    """Return the labels that enough photos have: `known` ones first, in their order."""
    counts = Counter(photo.label for photo in seen)
    used_labels = {label for _, label in named}
    few = sorted(label for label in used_labels if counts[label] < MIN_PHOTOS_PER_LABEL)
    if few:
        notes.append(f"{', '.join(map(repr, few))}: fewer than {MIN_PHOTOS_PER_LABEL} photos to learn from, so left out.")
    kept = used_labels.difference(few)
    if len(kept) < 2:
        short = (
            f"{given} holds photos of {len(kept)} label{'s' * (len(kept) != 1)} that can be learnt from"
            f"{f' ({next(iter(kept))})' if kept else ''}; label photos of at least two, {MIN_PHOTOS_PER_LABEL} of each."
        )
        raise DatasetError(" ".join([short, *notes]))  # what was left out is why
    if known and (new := sorted(kept.difference(known))):
        notes.append(f"New to the bundle that it begins with: {', '.join(new)}.")
    return _frequent(counts, known)


def _frequent(counts: Mapping[str, int], known: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that have enough photos: `known` ones first, in their order."""
    kept = {label for label, count in counts.items() if count >= MIN_PHOTOS_PER_LABEL}
    return (*(label for label in known if label in kept), *sorted(kept.difference(known)))


def _parts(
    given: str, photos: Sequence[ProductPhoto], labels: Sequence[str], notes: list[str]
) -> tuple[PhotoSplit, PhotoSplit, PhotoSplit]:
    """Return the photos to learn from, those to choose and calibrate by, and those that only measure."""
    products = {label: {shown.product for shown in photos if shown.label == label} for label in labels}
    rare = [label for label, some in products.items() if len(some) < MIN_PRODUCTS_TO_SPLIT or all(map(_part, some))]
    learnt_whole = set().union(*(products[label] for label in rare))
    parts: tuple[list[ProductPhoto], ...] = ([], [], [])
    for shown in photos:
        parts[0 if shown.product in learnt_whole else _part(shown.product)].append(shown)
    if rare:
        notes.append(
            f"{', '.join(rare)}: fewer than {MIN_PRODUCTS_TO_SPLIT} products, so all are learnt, and nothing tells how well."
        )
    for name, part in (("held out", parts[1]), ("tested on", parts[2])):
        if not part:
            raise DatasetError(
                f"{given} holds too few photos: none would be {name}; label {MIN_PRODUCTS_TO_SPLIT} products of a label at least."
            )
        there = {shown.label for shown in part}
        missing = [label for label in labels if label not in rare and label not in there]
        if missing:
            notes.append(f"{', '.join(missing)}: by chance no product is {name}.")
    first, second, third = (PhotoSplit(part, labels) for part in parts)
    return first, second, third


def _part(product: str) -> int:
    """Return 0 to learn from, 1 to hold out or 2 to test on, by the hash of a product's name."""
    place = int.from_bytes(hashlib.sha256(escape_surrogates(product).encode()).digest()[:4], "big") / 2**32
    return 2 if place < TEST_SHARE else 1 if place < TEST_SHARE + VALIDATION_SHARE else 0


def split_as_csv(part: PhotoSplit) -> bytes:
    """Return a CSV of the photos that `fmtag evaluate` takes: where they lie, their labels, whose product they show."""
    rows = ((shown.item.place, shown.label, shown.product) for shown in part.photos)
    return as_csv([TEST_COLUMNS, *rows])
