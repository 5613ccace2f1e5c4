"""Photos of the ablation of the backbone: ways to cut them, what a fusion says about them, and the cells of a row."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from benchmarks.accuracy.backbone_cache import PictureSet, photo_set
from tagger.arrays import Classes, Flags, Float32s, Floats, Pixels
from tagger.data.labels import GROUPS, LABELS, NONE
from tagger.data.splits import kept_for_reporting
from tagger.inference.fused import PLAIN, REGION_KINDS
from tagger.inference.regions import choose_region
from tagger.metrics.calibration import calibration_error, reliability_table
from tagger.metrics.classification import auroc
from tagger.metrics.significance import macro_accuracy
from tagger.photos import colour, product
from tagger.photos.background import shrunk
from tagger.photos.product import extract_product
from tagger.records import Photo, ProductImage

RIGHT = 0.965
"""Accuracy of the unflagged photos at which their share is given."""

COLUMNS = (
    "",
    "packshots: all (looked at, reserved)",
    "on-model: all (looked at, reserved)",
    "home, unseen senders",
    "group: packshots, on-model",
    "footwear",
    "AUROC",
    f"share at {RIGHT:.1%} right",
    "calibration error",
)

GROUP_NAMES = tuple(dict.fromkeys(GROUPS.values()))
_GROUP_OF = np.array([GROUP_NAMES.index(GROUPS[label]) for label in LABELS] + [len(GROUP_NAMES)])


class Evidence(NamedTuple):
    """What both networks say about n pictures."""

    small: Float32s
    """(n, labels + 1)."""
    features: Float32s
    """(n, F)."""
    logits: Float32s
    """(n, 1000)."""


# Ways to cut --------------------------------------------------------------------------------------------------------


def parts(photo: Photo) -> Sequence[ProductImage]:
    """Return the images of all parts of a photo that may be the product, each with its prior in `regions`."""
    image = extract_product(photo)
    if not image.found:
        return []
    return [replace(image, pixels=one.pixels, colour=one.colour, region=one.name, regions=(one,)) for one in image.regions] or [
        image
    ]


def small_parts(photo: Photo) -> Sequence[ProductImage]:
    """Return the parts of a photo that was decoded at no more than the small network needs."""
    return parts(Photo(shrunk(photo.pixels)))


def _box(pixels: Pixels, mask: Pixels, excluded: Pixels | None = None) -> Pixels:
    """Crop the product's box with all that is in it, in place of `colour.cut_crop`."""
    return colour.box_crop(pixels, mask)


@contextmanager
def uncut() -> Iterator[None]:
    """Show the backbone the plain box of the photo, of people too."""
    with patch.object(product, "cut_crop", _box), patch.object(product, "box_crop", _box):
        yield


@contextmanager
def all_cut() -> Iterator[None]:
    """Give the backbone the cut of every product, also where nobody wears it."""
    with patch.object(product, "box_crop", colour.cut_crop):
        yield


@contextmanager
def whole_figures() -> Iterator[None]:
    """Find no person, so that a figure is shown from head to foot."""
    with patch.object(product, "find_person", lambda *anything: None):
        yield


# Labelled photos ----------------------------------------------------------------------------------------------------


class Photos:
    """The photos of one folder by way of cutting, with what is known of them."""

    def __init__(self, folder: Path, cache: Path, kept_only: bool) -> None:
        self.name, self._cache = folder.name, cache
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
            rows = [row | {"kept": kept_for_reporting(folder.name, row["group"])} for row in csv.DictReader(file)]
        kept = [row for row in rows if row["kept"]] if kept_only else rows
        self._photos = [(folder / row["path"], row) for row in kept]
        self.classes: Classes = np.array([LABELS.index(row["label"]) if row["label"] in LABELS else NONE for row in kept])
        self.kept: Flags = np.array([row["kept"] for row in kept], bool)
        self.ambiguous: Flags = np.array(["(ambiguous)" in row["kind"] for row in kept], bool)

    def pictures(self, name: str = "cut", extract: Callable[[Photo], Sequence[ProductImage]] = parts) -> PictureSet:
        """Return the pictures of one way of cutting, from the cache or cut now."""
        return photo_set(self._cache / f"{self.name}-{name}", self._photos, extract)

    def decided(self, pictures: PictureSet, probabilities: Floats, choice: Floats) -> "Scores":
        """Return the scores of the photos from probabilities (pictures, labels + 1), of the chosen part of each.

        `choice` (pictures, labels or more) are the probabilities that the part is chosen by.
        """
        rows = pictures.rows
        owners = np.array([row["photo"] for row in rows])
        predicted, confidence = np.full(len(self.classes), -1), np.zeros(len(self.classes))
        chosen = np.zeros(len(self.classes), np.int64)
        for photo in range(len(self.classes)):
            mine = np.flatnonzero(owners == photo)
            if not rows[mine[0]]["found"]:
                continue
            best = 0
            if len(mine) > 1:
                names = [rows[row]["region"] for row in mine]
                best = choose_region(names, [rows[row]["prior"] for row in mine], choice[mine], GROUPS)
            labels = probabilities[mine[best], :NONE]
            predicted[photo], confidence[photo], chosen[photo] = int(labels.argmax()), float(labels.max()), mine[best]
        return Scores(self, predicted, confidence, chosen)


def kinds_of(pictures: PictureSet) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Return the kinds of pictures for their embeddings, uint8 (n,)."""
    return np.array([REGION_KINDS[row["region"]] if row.get("region") else PLAIN for row in pictures.rows], np.uint8)


def spread_to_parts(whole: PictureSet, others: PictureSet) -> Classes:
    """Return for each picture of `others` the picture of the same photo in `whole`, which has one for each photo."""
    first = {row["photo"]: number for number, row in reversed(list(enumerate(whole.rows)))}
    return np.array([first[row["photo"]] for row in others.rows])


# Metrics ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Tags of one folder's photos."""

    photos: Photos
    predicted: Classes
    """-1 for a photo without a tag (n,)."""
    confidence: Floats
    chosen: Classes
    """The picture that was chosen of each photo (n,)."""

    def known(self, part: Flags | None = None) -> Flags:
        """Return which photos show one of the labels, unambiguously, and are in a part."""
        flags = (self.photos.classes < NONE) & ~self.photos.ambiguous
        return flags if part is None else flags & part

    def macro(self, part: Flags) -> float:
        """Return the macro accuracy of a part of the photos."""
        return macro_accuracy((self.predicted == self.photos.classes)[part], self.photos.classes[part])

    def group_right(self) -> float:
        """Return the share of photos whose tag is of the right group."""
        known = self.known()
        return float((_GROUP_OF[self.predicted] == _GROUP_OF[self.photos.classes])[known].mean())


def cells(scores: Mapping[str, Scores]) -> list[str]:
    """Return the cells of a row from the scores of packshots, on-model, home and other-products."""
    shops = [scores[name] for name in ("packshots", "on-model")]
    halves = []
    for one in shops:
        whole, looked_at, reserved = (one.macro(one.known(part)) for part in (None, ~one.photos.kept, one.photos.kept))
        halves.append(f"{whole:.3f} ({looked_at:.3f}, {reserved:.3f})")
    home = scores["home"]
    first = shops[0]
    footwear = first.known(_GROUP_OF[first.photos.classes] == GROUP_NAMES.index("footwear"))
    right = np.concatenate([(one.predicted == one.photos.classes)[one.known()] for one in shops])
    confidence = np.concatenate([one.confidence[one.known()] for one in shops])
    others = scores["other-products"]
    area = auroc(confidence, others.confidence[others.photos.classes == NONE])
    return [
        *halves,
        f"{home.macro(home.known(home.photos.kept)):.3f}",
        ", ".join(f"{one.group_right():.3f}" for one in shops),
        f"{first.macro(footwear):.3f}",
        f"{area:.3f}",
        f"{coverage(confidence, right):.3f}",
        f"{calibration_error(reliability_table(confidence, right)):.3f}",
    ]


def coverage(confidence: Floats, right: Flags, accuracy: float = RIGHT) -> float:
    """Return the greatest share of the most confident tags that has an accuracy; tags (n,) of confidences 0..1."""
    order = np.argsort(-confidence, kind="stable")
    accuracies = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(accuracies >= accuracy)
    return float(good[-1] + 1) / len(order) if len(good) else 0.0


def counts(scores: Mapping[str, Scores]) -> str:
    """Return a sentence with the numbers of photos."""
    found: list[str] = []
    for name, one in scores.items():
        known: Any = one.known()
        kept = int((known & one.photos.kept).sum())
        found.append(f"{name} {int(known.sum())} ({int(known.sum()) - kept}, {kept})" if known.any() else "")
    none = int((scores["other-products"].photos.classes == NONE).sum())
    return f"Photos (looked at, reserved): {', '.join(filter(None, found))}; other-products {none}."
