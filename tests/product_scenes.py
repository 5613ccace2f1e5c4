"""Drawn products on drawn backgrounds, and measurements of what is extracted from them."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Pixels
from tagger.photos.product import cut_product, extract_product, product_mask
from tagger.records import Photo, ProductImage

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the last two are exclusive."""

HEIGHT, WIDTH = 160, 120
PRODUCT: Box = (35, 30, 85, 130)


def plain(*colour: int) -> Pixels:
    """Return a background of one colour."""
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def gradient(first: tuple[int, ...], last: tuple[int, ...], along_x: float, along_y: float) -> Pixels:
    """Return a background that runs from one colour to another in the given direction."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    share = (along_x * xs / (WIDTH - 1) + along_y * ys / (HEIGHT - 1)) / (along_x + along_y)
    return np.rint(np.array(first) + share[:, :, None] * np.subtract(last, first)).astype(np.uint8)


def noisy(background: Pixels, deviation: float) -> Pixels:
    """Return a background with Gaussian noise."""
    noise = np.random.default_rng(3).normal(0, deviation, background.shape)
    return np.clip(background + noise, 0, 255).astype(np.uint8)


BACKGROUNDS = {
    "white": plain(255, 255, 255),
    "light grey": plain(225, 225, 225),
    "pink": plain(250, 205, 215),
    "downwards": gradient((255, 255, 255), (190, 190, 195), 0, 1),
    "sideways": gradient((235, 225, 220), (180, 180, 190), 1, 0),
    "slanting": gradient((250, 250, 250), (170, 175, 180), 1, 1),
    "noisy": noisy(plain(235, 235, 235), 2),
}

COLOUR = (60, 70, 110)


def scene(background: Pixels, box: Box = PRODUCT, colour: tuple[int, ...] = COLOUR) -> Pixels:
    """Return the background with a plain product in `box`."""
    left, top, right, bottom = box
    pixels = background.copy()
    pixels[top:bottom, left:right] = colour
    return pixels


def extract(pixels: Pixels) -> ProductImage:
    """Extract the product image, and check its shape and dtype."""
    result = extract_product(Photo(pixels))
    assert (28, 28) == result.pixels.shape
    assert np.uint8 == result.pixels.dtype
    return result


def extent(image: Pixels) -> Box:
    """Return the bounding box of what is not 0."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def intersection_over_union(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks, 0..1."""
    return float((first & second).sum() / (first | second).sum())


def in_box(box: Box) -> NDArray[np.bool_]:
    """Return the mask of a box."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    return inside


def cut(pixels: Pixels) -> Pixels:
    """Cut the product out, at the resolution of the photo."""
    product = cut_product(Photo(pixels))
    assert product is not None
    assert np.uint8 == product.pixels.dtype
    return product.pixels


def mask_of(pixels: Pixels) -> Pixels:
    """Return the product's mask, which must exist."""
    mask = product_mask(pixels)
    assert mask is not None
    return mask
