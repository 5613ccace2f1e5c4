"""Composite images with transparency on white, and keep the transparency beside them."""

from collections.abc import Callable

import numpy as np
from PIL import Image

UNUSED_ALPHA = ("BMP", "DIB")
"""Formats whose programs leave a channel for alpha at 0 where they mean an opaque image."""

SAMPLE_SIDE = 256
"""Longer side in pixels of the sample that shows whether colours are premultiplied."""

PREMULTIPLIED = 0.98
"""Share of the half transparent pixels none of whose channels exceeds the alpha, in images with premultiplied colours."""

BLACK, FAINT, MIN_FAINT = 8, 64, 0.05
"""Pixels up to this level are left out of that, as black under a shadow is the same in both forms. At least this share of the
others has an alpha below 64: where an image is evenly half transparent, the values say nothing."""


def flattened(image: Image.Image, reduced: Callable[[Image.Image], Image.Image]) -> list[Image.Image]:
    """Return an image on white, and its alpha where that says something.

    Colours that are already multiplied by their alpha are told by their values: PNG and WebP store others, but many programs
    write such ones.

    Args:
        image: loaded, of any mode of 8 bits per channel.
        reduced: shrinks an image, weighing colours by their alpha.

    Returns:
        The image, RGB, shrunk; and its alpha, L, of the same size, unless it is 255 everywhere or 0 everywhere.
    """
    if not image.has_transparency_data:
        if image.mode in ("RGB", "RGBX", "L"):
            image = reduced(image)  # before it is copied; the result is the same
        return [reduced(image.convert("RGB"))]
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    lowest, highest = rgba.getchannel("A").getextrema()
    if lowest == 255 or (highest == 0 and image.format in UNUSED_ALPHA):
        return [reduced(rgba.convert("RGB"))]
    if highest == 0:
        return [reduced(Image.new("RGB", rgba.size, "white"))]
    if _is_premultiplied(rgba):
        rgba = Image.frombytes("RGBa", rgba.size, rgba.tobytes()).convert("RGBA")
    rgba = reduced(rgba)
    white = Image.new("RGBA", rgba.size, "white")
    return [Image.alpha_composite(white, rgba).convert("RGB"), rgba.getchannel("A")]


def _is_premultiplied(image: Image.Image) -> bool:
    """Return whether the colours of an RGBA image are already multiplied by their alpha: none of them exceeds it."""
    step = -(-max(image.size) // SAMPLE_SIDE)
    size = max(1, image.width // step), max(1, image.height // step)
    *colours, alpha = np.asarray(image.resize(size, Image.Resampling.NEAREST)).transpose(2, 0, 1)
    brightest = np.max(colours, axis=0)
    partly = (alpha > 0) & (alpha < 255) & (brightest > BLACK)
    count = np.count_nonzero(partly)
    if not count or np.count_nonzero(partly & (alpha < FAINT)) < MIN_FAINT * count:
        return False
    return bool(np.count_nonzero(partly & (brightest <= alpha)) >= PREMULTIPLIED * count)
