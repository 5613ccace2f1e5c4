"""Load a shop's labelled photos and split them by product into training, validation and test photos.

The split of a product is determined by the sha256 of its name alone, as in `splits`: when photos are added, no photo changes
its split, so that a test photo of an earlier bundle is never trained on by a later one, and photos of one product are never
in two splits.
"""

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
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.data.images import Images
from tagger.errors import DatasetError
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.files import as_csv, encode_text
from tagger.models.side_files import TEST_COLUMNS
from tagger.photos.loader import load_photos
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import Failed, Item, ProductImage

VALIDATION_SHARE, TEST_SHARE = 0.15, 0.15
"""Shares of the products: for model selection and calibration, and for measuring alone; the rest is for training."""

MIN_PRODUCTS_TO_SPLIT = 8
"""Minimum number of products of a label that is split; one with fewer is trained on with all its photos and not measured,
because one product more or less would decide its metrics."""

MIN_PHOTOS_PER_LABEL = 2
"""Minimum number of photos of a label; one with fewer is left out."""

TRAINING, VALIDATION, TEST = range(3)

CanonicalPhoto: TypeAlias = tuple[LabelledPhoto, str]
"""A row of the label table, and the canonical spelling of its label."""


class ProductPhoto(NamedTuple):
    """A labelled photo with its product image."""

    item: Item
    product_image: ProductImage
    label: str
    product: str
    """Name of the product: the table's column `group`, or the sha256 of the product image where the table does not name it."""


@dataclass(frozen=True)
class PhotoSplit:
    """The photos of one split, and the labels of the whole data set."""

    photos: Sequence[ProductPhoto]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def product_images(self) -> list[ProductImage]:
        """The product images of the photos."""
        return [photo.product_image for photo in self.photos]

    @property
    def classes(self) -> NDArray[np.int64]:
        """Indices of the photos' labels, int64 (n,)."""
        return np.array([self.labels.index(photo.label) for photo in self.photos], np.int64)

    @property
    def images(self) -> Images:
        """The photos as tensors to train on."""
        pixels = np.stack([image.pixels for image in self.product_images])[:, None]
        return Images(torch.from_numpy(pixels), torch.from_numpy(self.classes), names=tuple(self.labels))


@dataclass(frozen=True)
class PhotoDataset:
    """Labelled photos in three splits, disjoint by product."""

    labels: tuple[str, ...]
    training: PhotoSplit
    validation: PhotoSplit
    test: PhotoSplit
    notes: list[str] = field(default_factory=list)
    """Sentences on photos and labels that were left out, respelled or not split."""


def load_photo_dataset(
    source: str,
    known: Sequence[str] = (),
    reading: SourceSettings = DEFAULT_READING,
    label_column: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[Sequence[str]], None] = lambda labels: None,
    decoding: DecodeSettings = DEFAULT_DECODING,
) -> PhotoDataset:
    """Load and split the labelled photos of a table, or of a folder with one subfolder per label.

    Labels that differ only in case and punctuation, from each other or from a known label, are merged. Photos that cannot be
    read or show no product, and labels with fewer than `MIN_PHOTOS_PER_LABEL` photos, are left out with a note.

    Args:
        source: table or folder.
        known: labels of the bundle to start from; they come first, in their order and spelling.
        reading: how the source is read.
        label_column: column of the labels; None to find it.
        workers: threads that load photos; None for one per processor.
        progress: called with the number of photos loaded and in all.
        check: called with the labels of enough photos before the first photo is opened; it may raise.
        decoding: how photos are decoded.

    Raises:
        SourceError: if the source cannot be read.
        DatasetError: if there are fewer than two labels with enough photos, or the validation or test split would be empty.
    """
    table = read_label_table(source, source, reading, label_column)
    notes = [*table.notes, *_empty_class_notes(source)]
    rows = _with_canonical_labels(list(table.photos.values()), known, notes)
    check(_frequent_labels(Counter(label for _, label in rows), known))
    photos = _load_product_photos(rows, workers, decoding, progress, notes)
    labels = _trained_labels(source, rows, photos, known, notes)
    return PhotoDataset(labels, *_split(source, [photo for photo in photos if photo.label in labels], labels, notes), notes)


def _empty_class_notes(source: str) -> list[str]:
    """Return a note on subfolders without a photo, where labels are subfolders."""
    folder = labels_location(source)
    if not folder.is_dir():
        return []
    empty = [path.name for path in sorted(folder.iterdir()) if _is_class(path) and not any(map(_is_image, path.rglob("*")))]
    return [count_and_examples("Subfolders without a photo, so no classes", empty)] if empty else []


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _with_canonical_labels(rows: Sequence[LabelledPhoto], known: Sequence[str], notes: list[str]) -> list[CanonicalPhoto]:
    """Return the rows whose label is not `NONE`, each with the canonical spelling of its label."""
    labelled = [row for row in rows if row.label != NONE]
    if len(labelled) < len(rows):
        notes.append(
            f"Photos of none of the labels ({NONE}), left out: {len(rows) - len(labelled)}; fmtag adapt can learn from them."
        )
    spellings = canonical_labels([row.label for row in labelled], known)
    notes += spelling_notes(spellings)
    return [(row, spellings[row.label]) for row in labelled]


def _load_product_photos(
    rows: Sequence[CanonicalPhoto],
    workers: int | None,
    decoding: DecodeSettings,
    progress: Callable[[int, int], None],
    notes: list[str],
) -> list[ProductPhoto]:
    """Load the photos that can be read and show a product."""
    photos: list[ProductPhoto] = []
    unreadable: list[str] = []
    empty: list[str] = []
    loaded_photos = load_photos((row.item for row, _ in rows), workers, decoding)
    for number, (loaded, (row, label)) in enumerate(zip(loaded_photos, rows, strict=True), 1):
        outcome = loaded.outcome
        if isinstance(outcome, ProductImage) and outcome.found:
            digest = hashlib.sha256(outcome.pixels.tobytes()).hexdigest()
            photos.append(ProductPhoto(row.item, outcome, label, row.product or digest))
        else:
            (unreadable if isinstance(outcome, Failed) else empty).append(row.item.path)
        progress(number, len(rows))
    if unreadable:
        notes.append(count_and_examples("Photos that cannot be read, left out", unreadable))
    if empty:
        notes.append(count_and_examples("Photos in which no product stands out, left out", empty))
    return photos


def _trained_labels(
    source: str, rows: Sequence[CanonicalPhoto], photos: Sequence[ProductPhoto], known: Sequence[str], notes: list[str]
) -> tuple[str, ...]:
    """Return the labels with enough photos, `known` ones first in their order; raises `DatasetError` for fewer than two."""
    counts = Counter(photo.label for photo in photos)
    used = {label for _, label in rows}
    rare = sorted(label for label in used if counts[label] < MIN_PHOTOS_PER_LABEL)
    if rare:
        notes.append(f"{', '.join(map(repr, rare))}: fewer than {MIN_PHOTOS_PER_LABEL} usable photos, left out.")
    kept = used.difference(rare)
    if len(kept) < 2:
        message = (
            f"{source} holds {len(kept)} label{'s' * (len(kept) != 1)} that can be learnt"
            f"{f' ({next(iter(kept))})' if kept else ''}; label photos of at least two, {MIN_PHOTOS_PER_LABEL} of each."
        )
        raise DatasetError(" ".join([message, *notes]))  # the notes name the labels that were left out
    if known and (new := sorted(kept.difference(known))):
        notes.append(f"New to the bundle that training starts from: {', '.join(new)}.")
    return _frequent_labels(counts, known)


def _frequent_labels(counts: Mapping[str, int], known: Sequence[str]) -> tuple[str, ...]:
    """Return the labels with enough photos: `known` ones first in their order, then the others sorted."""
    kept = {label for label, count in counts.items() if count >= MIN_PHOTOS_PER_LABEL}
    return (*(label for label in known if label in kept), *sorted(kept.difference(known)))


def _split(
    source: str, photos: Sequence[ProductPhoto], labels: Sequence[str], notes: list[str]
) -> tuple[PhotoSplit, PhotoSplit, PhotoSplit]:
    """Split the photos by product; raises `DatasetError` if the validation or the test split would be empty.

    Products of a label with too few of them, or with none that the hash assigns to training, are all trained on.
    """
    products = {label: {photo.product for photo in photos if photo.label == label} for label in labels}
    unsplit = [label for label, names in products.items() if len(names) < MIN_PRODUCTS_TO_SPLIT or all(map(split_of, names))]
    trained_whole = set().union(*(products[label] for label in unsplit))
    splits: tuple[list[ProductPhoto], ...] = ([], [], [])
    for photo in photos:
        splits[TRAINING if photo.product in trained_whole else split_of(photo.product)].append(photo)
    if unsplit:
        notes.append(
            f"{', '.join(unsplit)}: fewer than {MIN_PRODUCTS_TO_SPLIT} products, so all their photos are trained on and none "
            "measures them."
        )
    for name, split in (("validation", splits[VALIDATION]), ("test", splits[TEST])):
        if not split:
            raise DatasetError(
                f"{source} holds too few photos: the {name} split would be empty; label at least {MIN_PRODUCTS_TO_SPLIT} "
                "products of a label."
            )
        present = {photo.label for photo in split}
        missing = [label for label in labels if label not in unsplit and label not in present]
        if missing:
            notes.append(f"{', '.join(missing)}: no product is in the {name} split, by the hash of the products' names.")
    training, validation, test = (PhotoSplit(split, labels) for split in splits)
    return training, validation, test


def split_of(product: str) -> int:
    """Return the split of a product, `TRAINING`, `VALIDATION` or `TEST`, by the sha256 of its name.

    The first four bytes of the hash, as a fraction of 2**32, are uniform in 0..1: below `TEST_SHARE` is the test split, below
    `TEST_SHARE + VALIDATION_SHARE` the validation split.
    """
    position = int.from_bytes(hashlib.sha256(encode_text(product)).digest()[:4], "big") / 2**32
    return TEST if position < TEST_SHARE else VALIDATION if position < TEST_SHARE + VALIDATION_SHARE else TRAINING


def split_as_csv(split: PhotoSplit) -> bytes:
    """Return a CSV of the photos' files, labels and products, as `fmtag evaluate` reads it."""
    rows = ((photo.item.file or photo.item.path, photo.label, photo.product) for photo in split.photos)
    return as_csv([TEST_COLUMNS, *rows])
