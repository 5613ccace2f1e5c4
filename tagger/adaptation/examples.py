"""Labelled examples from a shop's table of labels, with notes on every row that is unusual or left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagger.adaptation.settings import OtherLabels
from tagger.arrays import Classes, Float32s
from tagger.catalog.label_table import NONE, LabelledPhoto, canonical_labels, first_few, spelling_notes
from tagger.errors import DatasetError
from tagger.models.neighbours import same_looking


@dataclass(frozen=True)
class LabelledExamples:
    """The labels of some photos of a catalog, by K label names; class K is "none of these"."""

    labels: tuple[str, ...]
    known: tuple[int, ...]
    """Class of the network with the name of each label; -1 for a label of the shop's own."""
    photos: Classes
    """Indices of the labelled photos in the catalog (l,)."""
    classes: Classes
    """Their classes, 0..K (l,)."""
    products: Classes
    """Product of each photo, as a number (l,); a product is never on both sides of a split."""

    def take(self, chosen: NDArray[np.int64]) -> "LabelledExamples":
        """Return the examples with these indices (m,)."""
        return replace(self, photos=self.photos[chosen], classes=self.classes[chosen], products=self.products[chosen])


MOST_LABELS = 1_000
"""Maximum number of labels. Memory grows with photos times labels, and so many labels are usually product names or numbers."""


@dataclass(frozen=True)
class ExamplesAndNotes:
    """Labelled examples, and sentences on what was unusual in their table."""

    examples: LabelledExamples
    notes: list[str]


def build_examples(
    indices: Sequence[int],
    rows: Sequence[LabelledPhoto],
    bundle_labels: Sequence[str],
    embeddings: Float32s,
    tags: Sequence[str],
    other_labels: OtherLabels | None,
) -> ExamplesAndNotes:
    """Return the labelled examples among a catalog's photos, for their indices (l,) and the rows that label them (l,).

    `embeddings` (n, d) and `tags` (n,) are the bundle's for the whole catalog. `other_labels` keeps or drops the bundle's
    labels that the table does not name. Raises `DatasetError` where that option is needed and missing, or where fewer than two
    or more than `MOST_LABELS` labels remain.
    """
    notes: list[str] = []
    spellings = canonical_labels([row.label for row in rows if row.label != NONE], bundle_labels)
    notes += spelling_notes(spellings)
    names = [spellings.get(row.label, NONE) for row in rows]
    unconfirmed = [
        row.flagged and names[index] == tags[number] for index, (number, row) in enumerate(zip(indices, rows, strict=True))
    ]
    if any(unconfirmed):
        notes.append(f"Rows still flagged with the bundle's own tag, unconfirmed, left out: {sum(unconfirmed)}.")
    counts = Counter(name for name, skip in zip(names, unconfirmed, strict=True) if not skip)
    single = {name for name, count in counts.items() if count == 1 and name not in (*bundle_labels, NONE)}
    if single:
        singles = first_few([repr(name) for name in sorted(single)])
        notes.append(f"{singles}: a single photo each, left out; label at least one more of each.")
    used = [index for index, name in enumerate(names) if not unconfirmed[index] and name not in single]
    labels = _labels(sorted({names[index] for index in used} - {NONE}), bundle_labels, other_labels)
    class_of = {label: number for number, label in enumerate(labels)} | {NONE: len(labels)}
    classes = np.array([class_of[names[index]] for index in used], np.int64)
    photos = np.array([indices[index] for index in used], np.int64)
    products = same_looking(embeddings, photos, _product_numbers([rows[index].product for index in used]))
    known = tuple(bundle_labels.index(label) if label in bundle_labels else -1 for label in labels)
    return ExamplesAndNotes(LabelledExamples(tuple(labels), known, photos, classes, products), notes)


def _labels(own: Sequence[str], bundle_labels: Sequence[str], other_labels: OtherLabels | None) -> list[str]:
    if other_labels is None and not set(own) & set(bundle_labels):
        raise DatasetError(
            f"The table's labels ({', '.join(own) or 'none'}) are none of the bundle's ({', '.join(bundle_labels)}); "
            "add --other-labels keep to keep those too, or --other-labels drop."
        )
    kept = [label for label in bundle_labels if other_labels != "drop" or label in own]
    labels = list(dict.fromkeys([*kept, *own]))
    if len(labels) < 2:
        raise DatasetError(
            f"One label alone ({', '.join(labels)}) cannot be told from anything; label photos of another one too."
        )
    if len(labels) > MOST_LABELS:
        raise DatasetError(
            f"The table has {len(own):,} different labels, more than {MOST_LABELS:,}; "
            "choose the column of the labels with --label-column."
        )
    return labels


def _product_numbers(products: Sequence[str]) -> NDArray[np.int64]:
    """Return a number for each row's product, equal for equal names, and -1 where the row names none."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, products)))}
    return np.array([numbers.get(name, -1) for name in products], np.int64)
