"""The views of a product image that a network averages over, in NumPy, as `torch_network.photo_views` makes them in torch."""

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, Pixels
from tagger.models.bundle import Bundle

SIDE, SMALLER_SIDE = 28, 24
"""Height and width in pixels of a product image, and of what it is downscaled to in the smaller views."""

FIRST_VIEWS = 2
"""Views of a photo's cut that are looked at first: the image, and its flip downscaled, which differ the most."""

CLEAR = 0.98
"""Mean probability of a label over the first views from which on the further ones are left out.

On the home photos that training may use no tag of `catalog` or `catalog-small` changes by it (docs/experiments.md). None of the
labels is never clear: the order of the labels, all of them improbable then, would change."""

MARGIN = (SIDE - SMALLER_SIDE) // 2
"""Pixels of background around a smaller view."""


def needs_all_views(bundle: Bundle) -> bool:
    """Return whether a bundle's small network sees all views of every photo: where its word is stored beside a backbone's.

    The backbone takes four times as long, so that little is saved, and an embedding should hold the best that is known.
    """
    return bundle.fusion is not None


def network_input(images: Pixels | Float32s) -> Float32s:
    """Return images (n, 28, 28) in 0..255 as a network takes them, float32 (n, 1, 28, 28)."""
    return np.ascontiguousarray(images[:, None], np.float32)


def both_sides(image: Pixels) -> Float32s:
    """Return an image, uint8 (28, 28), and its horizontal flip, float32 (2, 28, 28)."""
    return np.stack([image, image[:, ::-1]]).astype(np.float32)


def photo_views(image: Pixels) -> Float32s:
    """Return the views of a photo's cut, uint8 (28, 28), in the order in which they are looked at, float32 (4, 28, 28).

    They are the image, its flip downscaled, its flip, and the image downscaled.
    """
    both = both_sides(image)
    image_downscaled, flip_downscaled = smaller(both)
    return np.stack([both[0], flip_downscaled, both[1], image_downscaled])


def smaller(images: Float32s) -> Float32s:
    """Return images (n, 28, 28) downscaled to 24x24 and padded with 0, float32 (n, 28, 28).

    Bilinear interpolation with antialiasing, as in Pillow and PyTorch: each pixel is the mean of those within 28 / 24 pixels of
    its place, weighted by a triangle. Computed pixel by pixel, so that the result does not depend on the number of images.
    """
    places, weights = _TAPS
    columns = sum(weight * images[:, :, place] for place, weight in zip(places, weights, strict=True))
    shrunk = np.zeros_like(images)
    shrunk[:, MARGIN:-MARGIN, MARGIN:-MARGIN] = sum(
        weight[:, None] * columns[:, place] for place, weight in zip(places, weights, strict=True)
    )
    return shrunk


def _interpolation_taps() -> tuple[NDArray[np.int64], Float32s]:
    """Return for each of `SMALLER_SIDE` pixels the pixels that it is the mean of, and their weights, (taps, 24) each."""
    scale = np.float32(SIDE / SMALLER_SIDE)  # rounded at each step as PyTorch rounds, since networks were calibrated so
    centres = (np.arange(SMALLER_SIDE, dtype=np.float32) + np.float32(0.5)) * scale
    first = (centres - scale + 0.5).astype(np.int64).clip(0)
    last = (centres + scale + 0.5).astype(np.int64).clip(None, SIDE)
    places = first + np.arange((last - first).max())[:, None]
    distances = (places.astype(np.float32) - centres + np.float32(0.5)) * (1 / scale)
    weights = (1 - np.abs(distances)).clip(0) * (places < last)
    return places.clip(None, SIDE - 1), weights / weights.sum(0)


_TAPS = _interpolation_taps()
