"""Recognise cut-outs: images whose transparency outlines the product.

Not every transparency is an outline: images are half transparent everywhere, have round corners, a faint vignette, stray pixels
or transparent bars. What they show opaquely is a rectangle with its own ground, in which the product is still to be found.
"""

import cv2
import numpy as np

from tagger.arrays import Pixels, as_uint8
from tagger.photos.background import MIN_AREA, MIN_PART, large_parts, product_mask

MIN_OPAQUE = 0.6
"""The product is where the alpha is at least this share of the image's highest; shadows and glows are fainter."""

RECTANGLE = 0.94
"""Where the opaque part fills this share of its bounding box, it is a rectangle, also with round corners."""

WHOLE = 0.9
"""A rectangle with at least this share of the image's width and height is the photo; a smaller one is a photo if something
stands out in it, else a flat product."""

WHITE, WHITE_GROUND = 12, 230
"""Products of which nine tenths of the pixels are at most this many levels from white are shown on grey of the second level,
all others on white. Chosen on cut-outs made of packshots: grey raises the accuracy of flat white ones alone."""


def opaque_box(pixels: Pixels, alpha: Pixels) -> tuple[slice, slice] | None:
    """Return the rows and columns of the photo that transparency frames; None where it outlines a product instead.

    Args:
        pixels: uint8 (h, w, 3) RGB on white.
        alpha: uint8 (h, w), not 0 everywhere.
    """
    opaque = _opaque(alpha)
    x, y, width, height = cv2.boundingRect(opaque)
    box = slice(y, y + height), slice(x, x + width)
    if np.count_nonzero(opaque[box]) < RECTANGLE * width * height:
        return None
    is_photo = min(width / alpha.shape[1], height / alpha.shape[0]) >= WHOLE or product_mask(pixels[box]) is not None
    return box if is_photo else None


def outlined(alpha: Pixels) -> Pixels | None:
    """Return the mask of the product that an alpha, uint8 (h, w), outlines: 255 on it, 0 elsewhere; None where it is dust."""
    mask = large_parts(_opaque(alpha), MIN_PART)
    return mask if np.count_nonzero(mask) >= MIN_AREA * mask.size else None


def contrasting_ground(pixels: Pixels, mask: Pixels) -> int:
    """Return the grey level, 0..255, on which the product in a mask is shown."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[mask > 0]
    return WHITE_GROUND if np.quantile(grey, 0.1) >= 255 - WHITE else 255


def on_ground(pixels: Pixels, alpha: Pixels, ground: int) -> Pixels:
    """Return an image that is composited on white, uint8 (h, w, 3), composited on a grey level instead."""
    if ground == 255:
        return pixels
    darker = as_uint8(cv2.convertScaleAbs(255 - alpha, alpha=(255 - ground) / 255))
    return as_uint8(cv2.subtract(pixels, cv2.merge([darker] * 3)))


def _opaque(alpha: Pixels) -> Pixels:
    """Return where an alpha is at least `MIN_OPAQUE` of its highest value, uint8 (h, w), 255 or 0."""
    return np.where(alpha >= MIN_OPAQUE * alpha.max(), 255, 0).astype(np.uint8)
