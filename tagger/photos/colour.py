"""Make the picture that a backbone sees: the product's box in colour, 224x224 pixels, filled up with an even ground.

What the photo shows around a product in its box stays: masks bite off thin and pale parts, and a backbone pretrained on photos
is more often right without their edges. A garment on a person is cut out, as the box holds the person too.
"""

import cv2
import numpy as np

from tagger.arrays import Pixels, as_uint8
from tagger.photos.detector import border_colour

COLOUR_SIDE = 224
"""Side of the picture in pixels."""

FILL, MARGIN = 0.94, 0.05
"""The product's box with a margin on each side, as a share of its longer side, fills this share of the picture's side."""

EDGE = 0.012
"""Width of the rim around the mask that is kept, as a share of the box: masks end inside soft edges."""


def box_crop(pixels: Pixels, mask: Pixels, ground: int | None = None) -> Pixels:
    """Crop the product's box in colour, with what the photo shows in it around the product.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        mask: uint8 (h, w), not 0 on the product; not empty.
        ground: the grey level of the ground where the product is a cut-out: its box may end at the product, and the margin is
            added to it.

    Returns:
        uint8 (224, 224, 3) RGB: the box in the middle, its aspect ratio kept.
    """
    if ground is None:
        return _placed(pixels[_box(mask)], border_colour(pixels))
    x, y, width, height = cv2.boundingRect(mask)
    margin = round(MARGIN * max(width, height))
    product = pixels[y : y + height, x : x + width]
    crop = cv2.copyMakeBorder(product, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=[ground] * 3)
    return _placed(as_uint8(crop), np.full(3, ground, np.uint8))


def cut_crop(pixels: Pixels, mask: Pixels, excluded: Pixels | None = None) -> Pixels:
    """Crop the product in colour, with what is outside the mask replaced by the ground.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        mask: uint8 (h, w), not 0 on the product; not empty.
        excluded: uint8 (h, w), not 0 on what the rim around the mask must not show: the person who wears the product.

    Returns:
        uint8 (224, 224, 3) RGB: the product in the middle, its aspect ratio kept.
    """
    box, colour = _box(mask), border_colour(pixels)
    crop, inside = pixels[box], mask[box]
    rim = max(3, round(EDGE * max(inside.shape)) | 1)
    shown = as_uint8(cv2.dilate(inside, np.ones((rim, rim), np.uint8)))
    if excluded is not None:
        shown &= ~excluded[box]
    height, width = shown.shape
    ground = cv2.copyMakeBorder(colour[None, None], 0, height - 1, 0, width - 1, cv2.BORDER_REPLICATE)
    return _placed(as_uint8(cv2.copyTo(crop, shown, ground)), colour)


def _box(mask: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of the mask's box with its margin."""
    x, y, width, height = cv2.boundingRect(mask)
    margin = round(MARGIN * max(width, height))
    return (
        slice(max(0, y - margin), min(mask.shape[0], y + height + margin)),
        slice(max(0, x - margin), min(mask.shape[1], x + width + margin)),
    )


def _placed(crop: Pixels, colour: Pixels) -> Pixels:
    """Return a crop resized and centred on a ground of one colour, uint8 (224, 224, 3)."""
    scale = FILL * COLOUR_SIDE / max(crop.shape[:2])
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (COLOUR_SIDE - size[1]) // 2, (COLOUR_SIDE - size[0]) // 2
    around = top, COLOUR_SIDE - size[1] - top, left, COLOUR_SIDE - size[0] - left
    return as_uint8(cv2.copyMakeBorder(small, *around, cv2.BORDER_CONSTANT, value=colour.tolist()))
