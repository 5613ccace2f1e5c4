"""A shop's table of labels becomes a lesson on a catalog's photos; what is odd in it is said, and never lost in silence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tagger.adaptation.settings import OtherLabels
from tagger.arrays import Classes
from tagger.catalog.label_table import NONE, LabelledPhoto, canonical_labels, first_few, spelling_notes
from tagger.errors import DatasetError
from tagger.models.neighbours import same_looking


@dataclass(frozen=True)
class LabelledExamples:
    """The labels of some photos of a catalog, by K label names; class K is "none of these"."""

    labels: tuple[str, ...]
    known: tuple[int, ...]
    """The network's class that each label is, by its name; -1 for a label of the shop's own."""
    photos: Classes
    """Numbers of the labelled photos in the catalog (l,)."""
    classes: Classes
    """Their classes, 0..K (l,)."""
    products: Classes
    """Photos with the same number show one product, and are never on both sides of a split (l,)."""

    def take(self, chosen: NDArray[np.int64]) -> "LabelledExamples":
        """Return the lesson of some of its photos alone."""
        return replace(self, photos=self.photos[chosen], classes=self.classes[chosen], products=self.products[chosen])


MOST_LABELS = 1_000
"""Different labels that can be learnt: memory is for each photo and label, and more are rather names or numbers of products."""


@dataclass(frozen=True)
class ExamplesAndNotes:
    """A lesson, and what was odd in the table that it is from."""

    lesson: LabelledExamples
    notes: list[str]


def build_examples(
    numbers: Sequence[int],
    rows: Sequence[LabelledPhoto],
    bundle_labels: Sequence[str],
    directions: Tensor,
    tags: Sequence[str],
    other_labels: OtherLabels | None,
) -> ExamplesAndNotes:
    """Return the lesson of a catalog's photos, by their numbers (l,), with the rows that label them (l,).

    `directions` (n, d) and `tags` (n,) are those of the catalog as the bundle sees it. `other_labels` says what becomes of
    the bundle's labels that the table does not name. Raises `DatasetError` where that has to be said and is not, or where
    fewer than two labels are left.
    """
    notes: list[str] = []
    spellings = canonical_labels([row.label for row in rows if row.label != NONE], bundle_labels)
    notes += spelling_notes(spellings)
    names = [spellings.get(row.label, NONE) for row in rows]
    unconfirmed = [
        row.flagged and names[at] == tags[number] for at, (number, row) in enumerate(zip(numbers, rows, strict=True))
    ]
    if any(unconfirmed):
        notes.append(f"Rows still flagged with the bundle's own tag, which nobody has confirmed, left out: {sum(unconfirmed)}.")
    counts = Counter(name for name, left in zip(names, unconfirmed, strict=True) if not left)
    lonely = {name for name, count in counts.items() if count == 1 and name not in (*bundle_labels, NONE)}
    if lonely:
        singles = first_few([repr(name) for name in sorted(lonely)])
        notes.append(f"{singles}: a single photo each, which teaches nothing; label at least one more.")
    used = [at for at, name in enumerate(names) if not unconfirmed[at] and name not in lonely]
    labels = _labels(sorted({names[at] for at in used} - {NONE}), bundle_labels, other_labels)
    class_of = {label: number for number, label in enumerate(labels)} | {NONE: len(labels)}
    classes = np.array([class_of[names[at]] for at in used], np.int64)
    photos = np.array([numbers[at] for at in used], np.int64)
    products = same_looking(directions, photos, _numbered([rows[at].product for at in used]))
    known = tuple(bundle_labels.index(label) if label in bundle_labels else -1 for label in labels)
    return ExamplesAndNotes(LabelledExamples(tuple(labels), known, photos, classes, products), notes)


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
