"""The training mix of `catalog`: Fashion-MNIST as it is, and again as shops' photos show such products once they are cut.

Every picture is made from one of Fashion-MNIST's, or of a labelled photo's cut, by the steps in `compose`, or drawn by
`drawing` and `shoes`. All chance comes from the seed. The class after the last label is "none of these".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tagger.arrays import Pixels
from tagger.data.clothing import ClothingPhoto
from tagger.data.images import Images
from tagger.data.labels import LABELS, NONE
from tagger.models.network import Network, flip_averaged_probabilities, logits_in_batches
from tagger.photos.decode import decode
from tagger.photos.product import SIDE, centred, cut_product
from tagger.records import Failed
from tagger.synthesis.compose import (
    Outfit,
    add_pattern,
    change_tone,
    cut_from_figure,
    enlarge,
    pair,
    photo_of_bottom,
    photo_of_top,
    roughen_edges,
    spread_sleeves,
    warp_perspective,
)
from tagger.synthesis.drawing import CANVAS, Rng, bag, ood_object
from tagger.synthesis.shoes import shoes

TOPS = ("T-shirt/top", "Pullover", "Coat", "Shirt")
SHOES = ("Sandal", "Sneaker", "Ankle boot")
SHIRT, TOP = LABELS.index("Shirt"), LABELS.index("T-shirt/top")

TEACHING = 0.7
"""Share of what the network that training begins with says of Fashion-MNIST's own pictures in their targets."""

TIMES_PHOTO, TIMES_HELD_OUT = 10, 3
"""Variants of each labelled photo's cut, in training and for calibration."""

SHOES_AND_BAGS, STRANGERS = 20_000, 14_000
"""Drawings in training."""


@dataclass(frozen=True)
class ProductCut:
    """A product as `garment.product` cuts it, with its class."""

    product: Pixels
    label: int


def product_cuts(photos: Sequence[ClothingPhoto]) -> list[ProductCut]:
    """Return the products in the photos; photos that cannot be read or show none are left out."""
    cuts = []
    for photo in photos:
        decoded = decode(photo.file)
        found = None if isinstance(decoded, Failed) else cut_product(decoded)
        if found is not None:
            cuts.append(ProductCut(found.pixels, photo.label))
    return cuts


def training_mix(pictures: Images, cuts: Sequence[ProductCut], teacher: Network, judge: Network | None, seed: int) -> Images:
    """Return all that `catalog` learns from: `pictures`, variants of them and of the photos' `cuts`, and drawings.

    On Fashion-MNIST's own pictures the targets also hold what `teacher` says of them. Fashion-MNIST calls many blouses and
    plain tops shirts that photos call tops: in the variants a shirt is a top as far as `judge`, which knows photos, says.
    """
    labels = functional.one_hot(pictures.labels, NONE + 1).float()
    own = torch.lerp(labels, functional.pad(flip_averaged_probabilities(teacher, pictures.pixels), (0, 1)), TEACHING)
    variants = variants_of(pictures, 1, seed + 1)
    parts = [variants, variants_of_cuts(cuts, pictures, TIMES_PHOTO, seed + 2)] if cuts else [variants]
    parts.append(drawings(SHOES_AND_BAGS, STRANGERS, seed + 3))
    targets = [functional.one_hot(part.labels, NONE + 1).float() for part in parts]
    if judge is not None:
        targets[0] = _as_photos_call_them(pictures, judge)
    photo = torch.arange(len(pictures) + sum(map(len, parts))) >= len(pictures)
    whole = concatenate([pictures, *parts])
    return Images(whole.pixels, whole.labels, torch.cat([own, *targets]), photo)


def calibration_mix(held_out: Images, cuts: Sequence[ProductCut], seed: int) -> Images:
    """Return pictures to calibrate the head for photos by: of the same kinds, none of them or of their sources trained on."""
    parts = [variants_of(held_out, 1, seed + 4), drawings(SHOES_AND_BAGS // 10, STRANGERS // 10, seed + 5)]
    if cuts:
        parts.append(variants_of_cuts(cuts, held_out, TIMES_HELD_OUT, seed + 6))
    return concatenate(parts)


def _as_photos_call_them(pictures: Images, judge: Network) -> Tensor:
    """Return targets (n, classes + 1) in which a shirt is a top with the probability that `judge` gives to it."""
    targets = functional.one_hot(pictures.labels, NONE + 1).float()
    shirts = torch.nonzero(pictures.labels == SHIRT)[:, 0]
    if len(shirts) == 0:
        return targets
    cut = np.stack([centred(on_canvas(picture)) for picture in pictures.pixels[shirts, 0].numpy()])
    top = logits_in_batches(judge.photo_logits, torch.from_numpy(cut)[:, None]).softmax(1)[:, TOP]
    targets[shirts, TOP], targets[shirts, SHIRT] = top, 1 - top
    return targets


class Wardrobe:
    """Products by class, on canvases, from which figures can be dressed."""

    def __init__(self, products: Sequence[Pixels], labels: np.ndarray) -> None:
        self._products = products
        self._by_label = {label: np.flatnonzero(labels == LABELS.index(label)) for label in LABELS}

    def some(self, rng: Rng, *labels: str) -> Pixels | None:
        """Return a product of one of the classes, uint8 (CANVAS, CANVAS), or None where there is none."""
        chosen = self._by_label[labels[rng.integers(len(labels))]]
        return on_canvas(self._products[chosen[rng.integers(len(chosen))]]) if len(chosen) else None


def on_canvas(product: Pixels) -> Pixels:
    """Return a picture of Fashion-MNIST or a photo's cut, uint8 (h, w), as uint8 (CANVAS, CANVAS) with some room around."""
    if product.shape == (SIDE, SIDE):
        return enlarge(product)
    scale = 0.88 * CANVAS / max(product.shape)
    size = (max(1, round(product.shape[1] * scale)), max(1, round(product.shape[0] * scale)))
    small = cv2.resize(product, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    top, left = (CANVAS - size[1]) // 2, (CANVAS - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def variant(product: Pixels, label: int, wardrobe: Wardrobe, rng: Rng) -> Pixels:
    """Return one way, uint8 (28, 28), in which a shop's photo of `cut_product`, uint8 (CANVAS, CANVAS), may end."""
    name = LABELS[label] if label < NONE else ""
    canvas = product
    if name not in SHOES and rng.random() < (0.2 if name in TOPS or name == "Dress" else 0.05):
        canvas = add_pattern(canvas, rng)
    if name in TOPS and rng.random() < 0.3:
        canvas = change_tone(canvas, rng)
    canvas = _staged(canvas, name, wardrobe, rng)
    return _as_a_cut_leaves_it(canvas, rng)


def _as_a_cut_leaves_it(canvas: Pixels, rng: Rng) -> Pixels:
    """Return uint8 (28, 28): askew, ragged, in another tone or other proportions, each by chance."""
    for change, share in ((warp_perspective, 0.4), (roughen_edges, 0.4), (change_tone, 0.45), (_resized_unevenly, 0.5)):
        if rng.random() < share:
            canvas = change(canvas, rng)
    return centred(canvas)


def _staged(canvas: Pixels, name: str, wardrobe: Wardrobe, rng: Rng) -> Pixels:
    """Return the product as it is, worn, cut out of a figure, laid out or beside its fellow, as its class allows."""
    kind = rng.random()
    if name in TOPS:
        if kind < 0.2:
            return photo_of_top(_dressed(canvas, name, wardrobe, rng), rng)
        if kind < 0.5:
            return cut_from_figure(canvas, rng)
        return spread_sleeves(canvas, rng) if kind < 0.75 else canvas
    if name == "Dress":
        if kind < 0.25:
            return photo_of_top(Outfit(canvas), rng)
        return cut_from_figure(canvas, rng) if kind < 0.6 else canvas
    if name == "Trouser":
        top = wardrobe.some(rng, "T-shirt/top", "Shirt", "Pullover")
        return photo_of_bottom(Outfit(top, canvas), rng) if kind < 0.45 else canvas
    if name in SHOES:
        least = 0.85 if name == "Ankle boot" else 0.65  # a boot much narrowed and tilted looks as a shoe does
        return pair(canvas, rng, least) if kind < 0.7 else canvas
    return canvas


def _dressed(top: Pixels, name: str, wardrobe: Wardrobe, rng: Rng) -> Outfit:
    bottom = wardrobe.some(rng, "Trouser") if rng.random() < 0.85 else None
    if name == "Coat" and rng.random() < 0.5:
        return Outfit(wardrobe.some(rng, "T-shirt/top", "Shirt", "Dress"), bottom, over=top)
    return Outfit(top, bottom)


def _resized_unevenly(canvas: Pixels, rng: Rng) -> Pixels:
    """Return the picture in other proportions."""
    width = max(2, round(canvas.shape[1] * np.exp(rng.normal(0, 0.18))))
    return np.asarray(cv2.resize(canvas, (width, len(canvas)), interpolation=cv2.INTER_AREA), np.uint8)


def variants_of(pictures: Images, times: int, seed: int) -> Images:
    """Return `times` variants of each of Fashion-MNIST's pictures, all of them in order and then again."""
    return _variants(list(pictures.pixels[:, 0].numpy()), pictures.labels.numpy(), len(pictures), times, seed)


def variants_of_cuts(cuts: Sequence[ProductCut], pictures: Images, times: int, seed: int) -> Images:
    """Return `times` variants of each photo's cut; figures are dressed from them and from Fashion-MNIST, half and half."""
    products = [cut.product for cut in cuts] + list(pictures.pixels[: len(cuts), 0].numpy())
    labels = np.concatenate([[cut.label for cut in cuts], pictures.labels[: len(cuts)].numpy()])
    return _variants(products, labels, len(cuts), times, seed)


def _variants(products: Sequence[Pixels], labels: np.ndarray, count: int, times: int, seed: int) -> Images:
    """Return `times` variants of the first `count` products; all of them are there to be worn with."""
    rng = np.random.default_rng(seed)
    wardrobe = Wardrobe(products, labels)
    chosen = np.tile(np.arange(count), times)
    made = [variant(on_canvas(products[i]), int(labels[i]), wardrobe, rng) for i in chosen]
    return _pictures(made, labels[chosen])


def drawings(shoes_and_bags: int, strangers: int, seed: int) -> Images:
    """Return so many drawn shoes and bags, two fifths of them sandals, the most varied, and things of none of the classes."""
    rng = np.random.default_rng(seed)
    names = [*SHOES, "Sandal", "Bag"]
    made, labels = [], []
    for number in range(shoes_and_bags + strangers):
        name = names[number % len(names)] if number < shoes_and_bags else ""
        canvas = ood_object(rng) if not name else bag(rng) if name == "Bag" else shoes(rng, name)
        made.append(_as_a_cut_leaves_it(canvas, rng))
        labels.append(LABELS.index(name) if name else NONE)
    return _pictures(made, np.array(labels))


def _pictures(made: Sequence[Pixels], labels: np.ndarray) -> Images:
    return Images(torch.from_numpy(np.stack(made))[:, None], torch.from_numpy(labels.astype(np.int64)))


def concatenate(parts: Sequence[Images]) -> Images:
    """Return all the pictures, part after part."""
    return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))
