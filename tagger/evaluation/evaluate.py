"""Evaluate a bundle on labelled photos and on Fashion-MNIST's test set, by the same code paths as `fmtag run`.

Every photo becomes one row, an `Example` with the tag of `Tagger.decide`; all metrics and reports are computed from these rows.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tagger.arrays import Pixels
from tagger.catalog.columns import normalised
from tagger.catalog.labelled import LABELS_FILE, labelled_items, labels_location
from tagger.data.labels import LABELS
from tagger.data.splits import kept_for_reporting
from tagger.errors import DatasetError, SourceError
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.tagger import Tagger
from tagger.metrics import classification
from tagger.metrics.rounding import rounded
from tagger.photos.loader import LoadedPhoto, ScoredPhoto
from tagger.records import FAILED_REASONS, Holder, Item, ProductImage, Tag

FASHION_MNIST = "fashion-mnist"

AMBIGUOUS = "(ambiguous)"
"""Marks kinds that were mapped to a class only loosely: metrics come with and without their photos."""


@dataclass(frozen=True)
class Example:
    """A labelled photo with the tag that the bundle gives it."""

    file: Holder | None
    """The photo's file, or its row of a table; None for Fashion-MNIST's images."""
    label: str
    known: bool
    """Whether the bundle has the label; other photos are out-of-distribution: no tag is right, they should be flagged."""
    true_group: str
    """The group of the label, as in "footwear"; empty for one that is not known."""
    group: str
    """Photos of one group, such as a product or a sender, are not independent. No two sources share a group."""
    ambiguous: bool
    """Whether the label was mapped only loosely to its class."""
    kept: bool
    """Whether the photo's group is in the half kept for reporting; design choices may use the other half alone."""
    tag: Tag
    image: Pixels | None = field(default=None, compare=False, repr=False)
    """The product image, uint8 (28, 28), 0 for background, where no file holds it."""

    @property
    def failed(self) -> bool:
        """Whether the photo could not be read, so that no metric counts it."""
        return not self.tag.ranked and self.tag.reason in FAILED_REASONS

    @property
    def predicted(self) -> str:
        """The most probable label; empty for a photo without a tag."""
        return self.tag.ranked[0][0] if self.tag.ranked else ""

    @property
    def confidence(self) -> float:
        """The probability of the predicted label, 0..1; 0 for a photo without a tag."""
        return self.tag.ranked[0][1] if self.tag.ranked else 0.0

    @property
    def right(self) -> bool:
        """Whether the predicted label is the true one."""
        return self.predicted == self.label

    @property
    def group_right(self) -> bool:
        """Whether the predicted label is of the true group."""
        return self.known and self.tag.group == self.true_group

    @property
    def unflagged(self) -> bool:
        """Whether the confidence reaches the threshold."""
        return not self.tag.low_confidence


@dataclass(frozen=True)
class Evaluation:
    """The rows of every source by its name, and the bundle that predicted them."""

    model: str
    groups: Mapping[str, str]
    """The group of each of the bundle's labels, in their order."""
    min_confidence: float
    sources: Mapping[str, Sequence[Example]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The bundle's labels in their order."""
        return tuple(self.groups)

    def photos(self) -> dict[str, list[Example]]:
        """Return the photos of each source that could be read, without Fashion-MNIST's images.

        Raises `DatasetError` where no photo remains.
        """
        read = {name: [row for row in rows if row.file and not row.failed] for name, rows in self.sources.items()}
        photos = {name: rows for name, rows in read.items() if rows}
        if not photos:
            raise DatasetError(
                "--report FILE.md and --sheet show photos, and fashion-mnist holds none; give labelled photos too."
            )
        return photos


def evaluate(settings: EvaluateSettings) -> Evaluation:
    """Return a row for every image of the sources.

    A source is `fashion-mnist` (its test set), a table with an image and a label column, a folder with such a table
    named `labels.csv`, or a folder with one subfolder per class. A table's column `group` names photos that are not
    independent (without it each photo is a group of its own), and "(ambiguous)" in `kind` marks loosely mapped ones.

    Raises `DatasetError` where a source has no photo that can be read or no source has one with a label of the bundle, and
    `SourceError` where a source cannot be read or is given twice.
    """
    tagger = _tagger(settings)
    names = _names(settings.sources)
    evaluation = _evaluation(tagger, {name: list(_examples(given, name, tagger, settings)) for name, given in names.items()})
    _check_measurable(evaluation)
    return evaluation


def evaluate_test_set(settings: EvaluateSettings) -> Evaluation:
    """Return a row for every image of Fashion-MNIST's test set; the settings' sources are ignored."""
    tagger = _tagger(settings)
    return _evaluation(tagger, {FASHION_MNIST: list(_rows(_test_set(tagger, settings), FASHION_MNIST, FASHION_MNIST, tagger))})


def _tagger(settings: EvaluateSettings) -> Tagger:
    return Tagger(
        settings.model,
        device=settings.device,
        batch_size=settings.batch_size,
        workers=settings.workers,
        max_pixels=settings.decoding.max_pixels,
    )


def _evaluation(tagger: Tagger, sources: Mapping[str, Sequence[Example]]) -> Evaluation:
    card = tagger.bundle.card
    groups = {label: card.groups[label] for label in card.labels}
    return Evaluation(tagger.bundle.model, groups, tagger.min_confidence, sources)


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return the metrics of the only source, or those of each by its name under `sources`, as JSON values.

    They are those of `classification.classification_report` with counts of the photos that it leaves out: unreadable ones
    under `failed`, those with a label that the bundle lacks under `other_labels`. Photos without a tag count as wrong with
    confidence 0. Where no label is known, `n` is 0 and no accuracy is given. Where some photos are loosely mapped,
    `unambiguous` holds the metrics of the others.
    """
    by_source = metrics_by_source(evaluation)
    return next(iter(by_source.values())) if len(by_source) == 1 else {"sources": by_source}


def metrics_by_source(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Return the metrics of each source by its name, as `metrics_of` describes them."""
    return {name: _metrics(rows, evaluation) for name, rows in evaluation.sources.items()}


def _metrics(rows: Sequence[Example], evaluation: Evaluation) -> dict[str, Any]:
    read = [row for row in rows if not row.failed]
    known = [row for row in read if row.known]
    others = [row for row in read if not row.known]
    clear = [row for row in rows if not row.ambiguous]
    return {
        **(_measured(known, evaluation) if known else {"n": 0}),
        "model": evaluation.model,
        **(_flags(known) if known else {}),
        "min_confidence": evaluation.min_confidence,
        "not_recognised": sum(not row.tag.ranked for row in known),
        "failed": dict(Counter(row.tag.reason for row in rows if row.failed)),
        "other_labels": dict(Counter(row.label for row in others)),
        "other_labels_flagged": sum(not row.unflagged for row in others),
        **({"unambiguous": _metrics(clear, evaluation)} if len(clear) < len(rows) else {}),
    }


def _measured(known: Sequence[Example], evaluation: Evaluation) -> dict[str, Any]:
    numbers = {label: number for number, label in enumerate(evaluation.labels)}
    return classification.classification_report(
        np.array([numbers.get(row.predicted, classification.NO_TAG) for row in known]),
        np.array([row.confidence for row in known]),
        np.array([numbers[row.label] for row in known]),
        evaluation.labels,
    )


def _flags(known: Sequence[Example]) -> dict[str, float | None]:
    sure = [row.right for row in known if row.unflagged]
    return {
        "group_accuracy": rounded(np.mean([row.group_right for row in known])),
        "unflagged_share": rounded(len(sure) / len(known)),
        "unflagged_accuracy": rounded(np.mean(sure)) if sure else None,
    }


def _check_measurable(evaluation: Evaluation) -> None:
    """Raise `DatasetError` where a source has no readable photo, or no source has one with a label of the bundle."""
    for name, rows in evaluation.sources.items():
        if all(row.failed for row in rows):
            raise DatasetError(
                f"{name} holds no photo that can be read, of {len(rows)}, so nothing was measured; check its files."
            )
    read = [row for rows in evaluation.sources.values() for row in rows if not row.failed]
    if not any(row.known for row in read):
        found = ", ".join(sorted({row.label for row in read}))
        names = ", ".join(evaluation.sources)
        raise DatasetError(
            f"No readable photo of {names} has a label of the bundle {evaluation.model} ({', '.join(evaluation.labels)}); "
            f"the labels found: {found}. Use the bundle's labels, or give a bundle with these labels as --model."
        )


# From sources to rows ----------------------------------------------------------------------------------------------


def _is_test_set(given: str) -> bool:
    """Return whether a source is Fashion-MNIST's test set; a file or folder of that name takes precedence."""
    return given == FASHION_MNIST and not os.path.exists(given)


def _examples(given: str, name: str, tagger: Tagger, settings: EvaluateSettings) -> Iterator[Example]:
    """Yield the rows of one source."""
    if _is_test_set(given):
        scored = _test_set(tagger, settings)
    else:
        scored = tagger.score(labelled_items(given, settings.reading, settings.label_column))
    yield from _rows(scored, name, _folder_name(given), tagger)


def _rows(scored: Iterable[ScoredPhoto], name: str, folder: str, tagger: Tagger) -> Iterator[Example]:
    """Yield the rows of the scored photos of the source `name`, whose items have the columns `label`, `kind` and `group`.

    `folder` is the name that the half kept for reporting is drawn by.
    """
    groups = tagger.bundle.card.groups
    spellings = {normalised(label): label for label in groups}
    for photo in scored:
        columns = {column: str(value) for column, value in photo.item.columns.items()}
        # Folder names cannot hold a / and people vary the case, so the bundle's own spelling replaces the given one.
        label = spellings.get(normalised(columns["label"]), columns["label"])
        group = columns["group"] or photo.item.path
        yield Example(
            photo.item.holder,
            label,
            label in groups,
            groups.get(label, ""),
            f"{name}/{group}",
            AMBIGUOUS in columns["kind"],
            kept_for_reporting(folder, group),
            tagger.decide(photo),
            photo.outcome.pixels if photo.item.place is None and isinstance(photo.outcome, ProductImage) else None,
        )


def _test_set(tagger: Tagger, settings: EvaluateSettings) -> Iterator[ScoredPhoto]:
    from tagger.data.fashion_mnist import load_fashion_mnist  # imports torch, which photos do not need

    images = load_fashion_mnist("test", settings.data)
    pixels, labels = images.pixels[:, 0].numpy(), images.labels.tolist()
    return tagger.score_prepared(
        LoadedPhoto(
            Item(str(number), None, {"label": LABELS[label], "kind": "", "group": ""}),
            ProductImage(image, found=True, native=True),
        )
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True))
    )


# Names -------------------------------------------------------------------------------------------------------------


def _names(sources: Sequence[str]) -> dict[str, str]:
    """Return the sources by unique names: that of the folder or table, with as many parents as needed."""
    places = [_named_by(given).parts for given in sources]
    for place, given in zip(places, sources, strict=True):
        if places.count(place) > 1:
            raise SourceError(f"{given} is given more than once; give each source once.")
    return {_shortest(place, places): given for place, given in zip(places, sources, strict=True)}


def _shortest(place: tuple[str, ...], places: Sequence[tuple[str, ...]]) -> str:
    """Return the fewest last parts of a path that no other path ends with."""
    lengths = range(1, len(place) + 1)
    length = next((some for some in lengths if sum(other[-some:] == place[-some:] for other in places) == 1), len(place))
    return "/".join(place[-length:])


def _folder_name(given: str) -> str:
    return _named_by(given).name


def _named_by(given: str) -> Path:
    """Return the path that gives a source its name: the folder of a `labels.csv`, else its own."""
    if _is_test_set(given):
        return Path(given)
    place = labels_location(given)
    path = place.absolute() if place.name not in ("", "..") else place.resolve()
    return path.parent if path.name == LABELS_FILE else path
