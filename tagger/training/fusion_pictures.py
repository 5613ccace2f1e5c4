"""Collect what the head of a fusion learns from and is calibrated on: what both networks say about photos and drawings.

Three kinds of pictures: labelled photos, the same products staged anew, and painted ones (Fashion-MNIST enlarged, drawn shoes,
bags and other objects) for what the photos lack. No photo that is kept for reporting is opened.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np

from tagger.arrays import Classes, Float32s, Pixels
from tagger.data.clothing import ClothingPhoto, read_clothing_photos
from tagger.data.labels import LABELS, NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import TrainingError
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.predictor import Predictor
from tagger.photos.decode import decode
from tagger.photos.product import centred, cut_in_colour, extract_product
from tagger.processors import available_processors
from tagger.records import Failed, ProductImage
from tagger.synthesis.bags import draw_bag
from tagger.synthesis.colour import paint, restage
from tagger.synthesis.compose import draw_pair, enlarge, warp_perspective
from tagger.synthesis.drawing import Rng
from tagger.synthesis.mix import SHOES
from tagger.synthesis.ood_objects import draw_ood_object
from tagger.synthesis.shoes import draw_shoes

Kind: TypeAlias = Literal["photo", "staged", "painted"]

STAGED = 3
"""Pictures staged anew per photo to learn from."""

PAINTED = {"fashion-mnist": 700, "shoes": 1_000, "bags": 700, "other objects": 2_000}
"""Painted pictures to learn from: per class of Fashion-MNIST or shoes, and in all; a fifth as many to calibrate on."""

PAIRS, TILTED = 0.4, 0.3
"""Shares of Fashion-MNIST's shoes that are shown as a pair, and of its images that are tilted."""

_AT_ONCE = 256
"""Pictures in memory at a time."""


@dataclass(frozen=True)
class Pictures:
    """What both networks say about n pictures."""

    classes: Classes
    """Index into `LABELS`, or `NONE`, (n,)."""
    painted: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"
    """Whether each is a painted picture and no photo, (n,)."""
    staged: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"
    """Whether each is a photo's product staged anew, (n,)."""
    small: Float32s
    """Probabilities by the small network (n, labels + 1)."""
    features: Float32s
    """The backbone's (n, F)."""
    logits: Float32s
    """Of ImageNet's classes (n, 1000)."""

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class _Picture:
    """A product image with its class."""

    image: ProductImage
    label: int
    kind: Kind


def collect_pictures(
    photos: Path,
    fashion_mnist: tuple[Pixels, Classes],
    predictor: Predictor,
    backbone: OnnxBackbone,
    seed: int,
    calibration: bool,
    progress: Callable[[int], None] = lambda done: None,
) -> Pictures:
    """Return what both networks say about the pictures to learn from, or about those to calibrate on.

    Args:
        photos: folder of labelled photos.
        fashion_mnist: images uint8 (n, 28, 28) and their labels (n,).
        predictor: of the small network.
        backbone: ready to run.
        seed: random seed.
        calibration: whether to return those to calibrate on, which come from other senders, images and seeds.
        progress: called with the number of pictures done.

    Raises:
        TrainingError: too few photos can be read.
    """
    folder = photos.resolve().name
    usable = [one for one in read_clothing_photos(photos) if not kept_for_reporting(folder, one.group)]
    usable = [one for one in usable if kept_for_calibration(folder, one.group) == calibration]
    pictures = _photo_pictures(usable, 0 if calibration else STAGED, seed)
    painted = _painted_pictures(*fashion_mnist, seed=seed + (1 if calibration else 0), share=0.2 if calibration else 1.0)
    return _looked_at([pictures, painted], predictor, backbone, progress)


def _looked_at(
    parts: Sequence[Iterable[_Picture]], predictor: Predictor, backbone: OnnxBackbone, progress: Callable[[int], None]
) -> Pictures:
    labels: list[int] = []
    kinds: list[Kind] = []
    small, features, logits = [], [], []
    pictures = (one for part in parts for one in part)
    while batch := list(islice(pictures, _AT_ONCE)):
        labels += [one.label for one in batch]
        kinds += [one.kind for one in batch]
        small.append(predictor.extract([one.image for one in batch]).probabilities)
        seen = backbone([one.image.colour for one in batch if one.image.colour is not None])
        features.append(seen[0])
        logits.append(seen[1])
        progress(len(labels))
    names = np.array(kinds)
    if not (names == "photo").any():
        raise TrainingError("The photos are too few, or none of them can be read; add photos of more senders.")
    numbers = np.array(labels, np.int64)
    return Pictures(
        numbers, names == "painted", names == "staged", np.concatenate(small), np.concatenate(features), np.concatenate(logits)
    )


def _photo_pictures(photos: Sequence[ClothingPhoto], staged: int, seed: int) -> Iterator[_Picture]:
    """Yield the product of each photo that can be read, in its box and cut out, and the pictures staged anew from the cut."""
    for number, (photo, product) in enumerate(zip(photos, _products_of(photos), strict=True)):
        if product is None:
            continue
        image, cut = product
        yield _Picture(image, photo.label, "photo")
        yield _Picture(replace(image, colour=cut), photo.label, "photo")
        rng = np.random.default_rng((seed, number))
        for _ in range(staged):
            picture = restage(cut, rng)
            yield _Picture(ProductImage(image.pixels, found=True, colour=picture), photo.label, "staged")


def _products_of(photos: Sequence[ClothingPhoto]) -> Iterator[tuple[ProductImage, Pixels] | None]:
    """Yield the product of each photo and its cut in colour, or None, computed in threads, `_AT_ONCE` at a time."""
    with ThreadPoolExecutor(available_processors(), "photos") as pool:
        for start in range(0, len(photos), _AT_ONCE):
            yield from pool.map(_product_of, photos[start : start + _AT_ONCE])


def _product_of(photo: ClothingPhoto) -> tuple[ProductImage, Pixels] | None:
    decoded = decode(photo.file)
    if isinstance(decoded, Failed):
        return None
    product = extract_product(decoded)
    cut = cut_in_colour(decoded) if product.found and not product.worn and not product.native else product.colour
    if not product.found or product.native or cut is None:
        return None
    return replace(product, regions=()), cut  # of a person, the one part that both networks are to look at


def _painted_pictures(images: Pixels, labels: Classes, seed: int, share: float) -> Iterator[_Picture]:
    """Yield painted pictures of every class, in an order that does not depend on how they are computed."""
    wanted: list[tuple[str, int]] = []
    for label in range(len(LABELS)):
        wanted += [("fashion-mnist", label)] * round(share * PAINTED["fashion-mnist"])
    for name in SHOES:
        wanted += [("shoes", LABELS.index(name))] * round(share * PAINTED["shoes"])
    wanted += [("bags", LABELS.index("Bag"))] * round(share * PAINTED["bags"])
    wanted += [("other objects", NONE)] * round(share * PAINTED["other objects"])
    for number, (source, label) in enumerate(wanted):
        rng = np.random.default_rng((seed, number, label))
        negative = _negative_of(source, label, images, labels, rng)
        colour = paint(negative, rng)
        if colour is not None:
            yield _Picture(ProductImage(centred(negative), found=True, colour=colour), label, "painted")


def _negative_of(source: str, label: int, images: Pixels, labels: Classes, rng: Rng) -> Pixels:
    """Return a negative on 0, uint8 (h, w), of a class, from a source of `PAINTED`."""
    if source == "shoes":
        return draw_shoes(rng, LABELS[label])
    if source == "bags":
        return draw_bag(rng)
    if source == "other objects":
        return draw_ood_object(rng)
    image = images[rng.choice(np.flatnonzero(labels == label))]
    if LABELS[label] in SHOES and rng.random() < PAIRS:
        return draw_pair(enlarge(image), rng)
    if rng.random() < TILTED:
        return warp_perspective(enlarge(image), rng)
    return np.asarray(cv2.flip(image, 1), np.uint8) if rng.random() < 0.5 else image
