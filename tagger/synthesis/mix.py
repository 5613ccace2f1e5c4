"""Build the synthetic training mix for photos: Fashion-MNIST, variants of it and of labelled photos, and drawn objects.

The mix (`fmtag retrain --mix catalog`) holds Fashion-MNIST's images as they are, and again as photos of such products look
after extraction. Variants are made from an image of Fashion-MNIST, or from the product cut of a labelled photo, by the
steps in `compose`; shoes, bags and out-of-distribution (OOD) objects are drawn. All randomness comes from the seed. The
class after the last label is "none of these".
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
from tagger.synthesis.bags import draw_bag
from tagger.synthesis.compose import (
    Outfit,
    add_pattern,
    change_tone,
    cut_from_person,
    draw_pair,
    enlarge,
    photo_of_bottom,
    photo_of_top,
    roughen_edges,
    spread_sleeves,
    warp_perspective,
)
from tagger.synthesis.drawing import CANVAS, Rng
from tagger.synthesis.ood_objects import draw_ood_object
from tagger.synthesis.shoes import draw_shoes

TOPS = ("T-shirt/top", "Pullover", "Coat", "Shirt")
SHOES = ("Sandal", "Sneaker", "Ankle boot")
SHIRT, TOP = LABELS.index("Shirt"), LABELS.index("T-shirt/top")

TEACHER_WEIGHT = 0.7
"""Weight of the teacher's probabilities in the targets of Fashion-MNIST's own images; the label has the rest."""

TIMES_PHOTO, TIMES_HELD_OUT = 10, 3
"""Variants per labelled photo, for training and for calibration."""

SHOES_AND_BAGS, OOD_OBJECTS = 20_000, 14_000
"""Number of drawings for training; a tenth of them for calibration."""


@dataclass(frozen=True)
class ProductCut:
    """A product cut out of a labelled photo."""

    product: Pixels
    """uint8 (h, w), a negative on 0, as `photos.product.cut_product` returns it."""
    label: int
    """Index into `LABELS`, or `NONE`."""


def product_cuts(photos: Sequence[ClothingPhoto]) -> list[ProductCut]:
    """Cut the products out of photos; photos that cannot be read or show no product are left out."""
    cuts = []
    for photo in photos:
        decoded = decode(photo.file)
        product = None if isinstance(decoded, Failed) else cut_product(decoded)
        if product is not None:
            cuts.append(ProductCut(product.pixels, photo.label))
    return cuts


def training_mix(images: Images, cuts: Sequence[ProductCut], teacher: Network, judge: Network | None, seed: int) -> Images:
    """Build the training mix: Fashion-MNIST's images, variants of them and of the photos' cuts, and drawings, in this order.

    Args:
        images: Fashion-MNIST's training images.
        cuts: products of labelled photos; may be empty.
        teacher: network whose probabilities are mixed into the targets of `images`, see `TEACHER_WEIGHT`.
        judge: network with a head for photos, or None. Fashion-MNIST labels many blouses and plain tops "Shirt" that photos
            label as tops; the variants of its shirts get the target "T-shirt/top" with the probability that `judge` gives.
        seed: random seed.

    Returns:
        Images with `targets` (n, classes + 1) and `photo`, which is false for `images` and true for all others.
    """
    labels = functional.one_hot(images.labels, NONE + 1).float()
    own_targets = torch.lerp(
        labels, functional.pad(flip_averaged_probabilities(teacher, images.pixels), (0, 1)), TEACHER_WEIGHT
    )
    variants = variants_of(images, 1, seed + 1)
    parts = [variants, variants_of_cuts(cuts, images, TIMES_PHOTO, seed + 2)] if cuts else [variants]
    parts.append(draw_objects(SHOES_AND_BAGS, OOD_OBJECTS, seed + 3))
    targets = [functional.one_hot(part.labels, NONE + 1).float() for part in parts]
    if judge is not None:
        targets[0] = _judged_targets(images, judge)
    photo = torch.arange(len(images) + sum(map(len, parts))) >= len(images)
    whole = concatenate([images, *parts])
    return Images(whole.pixels, whole.labels, torch.cat([own_targets, *targets]), photo)


def calibration_mix(validation: Images, cuts: Sequence[ProductCut], seed: int) -> Images:
    """Build the images that calibrate the head for photos: of the same kinds as in training, from other sources and seeds."""
    parts = [variants_of(validation, 1, seed + 4), draw_objects(SHOES_AND_BAGS // 10, OOD_OBJECTS // 10, seed + 5)]
    if cuts:
        parts.append(variants_of_cuts(cuts, validation, TIMES_HELD_OUT, seed + 6))
    return concatenate(parts)


def _judged_targets(images: Images, judge: Network) -> Tensor:
    """Return targets (n, classes + 1) in which a shirt is a T-shirt/top with the probability that `judge` gives to it."""
    targets = functional.one_hot(images.labels, NONE + 1).float()
    shirts = torch.nonzero(images.labels == SHIRT)[:, 0]
    if len(shirts) == 0:
        return targets
    product_images = np.stack([centred(on_canvas(image)) for image in images.pixels[shirts, 0].numpy()])
    top = logits_in_batches(judge.photo_logits, torch.from_numpy(product_images)[:, None]).softmax(1)[:, TOP]
    targets[shirts, TOP], targets[shirts, SHIRT] = top, 1 - top
    return targets


class Wardrobe:
    """Products by class, as garments for drawn persons."""

    def __init__(self, products: Sequence[Pixels], labels: np.ndarray) -> None:
        self._products = products
        self._by_label = {label: np.flatnonzero(labels == LABELS.index(label)) for label in LABELS}

    def draw(self, rng: Rng, *labels: str) -> Pixels | None:
        """Draw a class of `labels`, then a product of it, uint8 (CANVAS, CANVAS); None where the class has no product."""
        chosen = self._by_label[labels[rng.integers(len(labels))]]
        return on_canvas(self._products[chosen[rng.integers(len(chosen))]]) if len(chosen) else None


def on_canvas(product: Pixels) -> Pixels:
    """Resize an image of Fashion-MNIST or a photo's cut, uint8 (h, w), to uint8 (CANVAS, CANVAS); cuts get a margin."""
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
    """Draw a product image, uint8 (28, 28), that a photo of `product`, uint8 (CANVAS, CANVAS), may give after extraction."""
    name = LABELS[label] if label < NONE else ""
    canvas = product
    if name not in SHOES and rng.random() < (0.2 if name in TOPS or name == "Dress" else 0.05):
        canvas = add_pattern(canvas, rng)
    if name in TOPS and rng.random() < 0.3:
        canvas = change_tone(canvas, rng)
    canvas = _staged(canvas, name, wardrobe, rng)
    return _degrade(canvas, rng)


def _degrade(canvas: Pixels, rng: Rng) -> Pixels:
    """Apply perspective, faults of segmentation, another tone and another aspect ratio at random; returns uint8 (28, 28)."""
    for change, share in ((warp_perspective, 0.4), (roughen_edges, 0.4), (change_tone, 0.45), (_change_aspect_ratio, 0.5)):
        if rng.random() < share:
            canvas = change(canvas, rng)
    return centred(canvas)


def _staged(canvas: Pixels, name: str, wardrobe: Wardrobe, rng: Rng) -> Pixels:
    """Show the product as it is, worn, cut from a person, spread flat or in a pair, as its class allows."""
    kind = rng.random()
    if name in TOPS:
        if kind < 0.2:
            return photo_of_top(_outfit_with_top(canvas, name, wardrobe, rng), rng)
        if kind < 0.5:
            return cut_from_person(canvas, rng)
        return spread_sleeves(canvas, rng) if kind < 0.75 else canvas
    if name == "Dress":
        if kind < 0.25:
            return photo_of_top(Outfit(canvas), rng)
        return cut_from_person(canvas, rng) if kind < 0.6 else canvas
    if name == "Trouser":
        top = wardrobe.draw(rng, "T-shirt/top", "Shirt", "Pullover")
        return photo_of_bottom(Outfit(top, canvas), rng) if kind < 0.45 else canvas
    if name in SHOES:
        min_width = 0.85 if name == "Ankle boot" else 0.65  # narrowed and tilted further, a boot looks like a shoe
        return draw_pair(canvas, rng, min_width) if kind < 0.7 else canvas
    return canvas


def _outfit_with_top(top: Pixels, name: str, wardrobe: Wardrobe, rng: Rng) -> Outfit:
    """Draw an outfit with this top, mostly with trousers; half of the coats are worn open over another garment."""
    bottom = wardrobe.draw(rng, "Trouser") if rng.random() < 0.85 else None
    if name == "Coat" and rng.random() < 0.5:
        return Outfit(wardrobe.draw(rng, "T-shirt/top", "Shirt", "Dress"), bottom, over=top)
    return Outfit(top, bottom)


def _change_aspect_ratio(canvas: Pixels, rng: Rng) -> Pixels:
    """Change the width of an image at random; its logarithm has a standard deviation of 0.18."""
    width = max(2, round(canvas.shape[1] * np.exp(rng.normal(0, 0.18))))
    return np.asarray(cv2.resize(canvas, (width, len(canvas)), interpolation=cv2.INTER_AREA), np.uint8)


def variants_of(images: Images, times: int, seed: int) -> Images:
    """Make `times` variants of each image of Fashion-MNIST: one of each in their order, then the next of each."""
    return _variants(list(images.pixels[:, 0].numpy()), images.labels.numpy(), len(images), times, seed)


def variants_of_cuts(cuts: Sequence[ProductCut], images: Images, times: int, seed: int) -> Images:
    """Make `times` variants of each photo's cut; outfits are drawn from the cuts and as many images of Fashion-MNIST."""
    products = [cut.product for cut in cuts] + list(images.pixels[: len(cuts), 0].numpy())
    labels = np.concatenate([[cut.label for cut in cuts], images.labels[: len(cuts)].numpy()])
    return _variants(products, labels, len(cuts), times, seed)


def _variants(products: Sequence[Pixels], labels: np.ndarray, count: int, times: int, seed: int) -> Images:
    """Make `times` variants of the first `count` products, with all products in the wardrobe."""
    rng = np.random.default_rng(seed)
    wardrobe = Wardrobe(products, labels)
    chosen = np.tile(np.arange(count), times)
    variants = [variant(on_canvas(products[i]), int(labels[i]), wardrobe, rng) for i in chosen]
    return _as_images(variants, labels[chosen])


def draw_objects(shoes_and_bags: int, ood_objects: int, seed: int) -> Images:
    """Draw shoes and bags, two fifths of them sandals, which vary most, then OOD objects with the label `NONE`."""
    rng = np.random.default_rng(seed)
    names = [*SHOES, "Sandal", "Bag"]
    drawings, labels = [], []
    for number in range(shoes_and_bags + ood_objects):
        name = names[number % len(names)] if number < shoes_and_bags else ""
        canvas = draw_ood_object(rng) if not name else draw_bag(rng) if name == "Bag" else draw_shoes(rng, name)
        drawings.append(_degrade(canvas, rng))
        labels.append(LABELS.index(name) if name else NONE)
    return _as_images(drawings, np.array(labels))


def _as_images(pixels: Sequence[Pixels], labels: np.ndarray) -> Images:
    return Images(torch.from_numpy(np.stack(pixels))[:, None], torch.from_numpy(labels.astype(np.int64)))


def concatenate(parts: Sequence[Images]) -> Images:
    """Concatenate images and labels; targets and kinds are dropped."""
    return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))
