"""A photo becomes the 28x28 picture that Fashion-MNIST would have made of it.

Fashion-MNIST (arXiv 1708.07747, section 2) took shop photos on white, trimmed the background, shrank the longest side to
28 pixels, sharpened, centred and negated. Other people's photos have grey walls, floors, gradients and shadows, so here
the background is modelled from the photo's border and cut to exactly 0 before the same steps follow.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.records import Garment, Photo, Pixels

VERSION = 1
"""Grows with every change that gives another picture; part of every result's fingerprint."""

SIDE = 28

BORDER_SHARE = 0.03
"""Width of the border that the background is modelled from, as a share of the shorter side."""

LEAST_AREA = 0.005
"""Share of the photo below which what stands out is dust, not a product."""

Floats = NDArray[np.float32]


def garment(photo: Photo) -> Garment:
    """Return the product in `photo` as Fashion-MNIST shows its own: bright on 0, longest side 28, centred."""
    if _is_fashion_mnist(photo.pixels):
        return Garment(photo.pixels[:, :, 0].copy(), found=True, truncated=photo.truncated)
    mask = product_mask(photo.pixels)
    if mask is None:
        return Garment(np.zeros((SIDE, SIDE), np.uint8), found=False, truncated=photo.truncated)
    return Garment(_toned_and_centred(photo.pixels, mask), found=True, truncated=photo.truncated)


def _is_fashion_mnist(pixels: Pixels) -> bool:
    """Whether a picture is already in Fashion-MNIST's form: 28x28, grey, and not on a bright ground."""
    if pixels.shape[:2] != (SIDE, SIDE) or (pixels != pixels[:, :, :1]).any():
        return False
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    return bool(np.median(corners) < 128)


def product_mask(pixels: Pixels) -> Pixels | None:
    """Return uint8 (h, w), 255 on the product and 0 elsewhere, or None where nothing stands out."""
    difference, noise = _difference_from_background(pixels)
    threshold = np.clip(4 * noise, 8, 48)
    apart = (difference > threshold).astype(np.uint8)
    apart = cv2.morphologyEx(apart, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    apart = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    product = _large_parts(apart)
    return _holes_filled(product) if product is not None else None


def _difference_from_background(pixels: Pixels) -> tuple[Floats, float]:
    """Return float (h, w), the largest channel's difference from the background in grey levels, and its noise there.

    Each channel's background is a quadratic surface fitted to the border by iteratively reweighted least squares, so
    that a product which touches the border does not bend it.
    """
    height, width = pixels.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    xs, ys = xs / max(1, width - 1) * 2 - 1, ys / max(1, height - 1) * 2 - 1
    surface = np.stack([np.ones_like(xs), xs, ys, xs * ys, xs * xs, ys * ys], axis=-1)
    rim = max(2, round(BORDER_SHARE * min(height, width)))
    border = np.ones((height, width), bool)
    border[rim:-rim, rim:-rim] = False
    basis, colours = surface[border][::3], pixels[border][::3].astype(np.float32)

    residual = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    for _ in range(4):
        scale = max(2.0, 1.5 * float(np.median(residual)))
        weights = 1 / (1 + (residual / scale) ** 2) ** 2
        weighted = basis * weights[:, None]
        normal = weighted.T @ basis + 1e-3 * len(basis) * np.diag([0, 0.1, 0.1, 1, 1, 1]).astype(np.float32)
        coefficients = np.linalg.solve(normal, weighted.T @ colours)
        residual = np.abs(colours - basis @ coefficients).max(axis=1)
    difference = np.abs(pixels - surface @ coefficients).max(axis=-1)
    close = residual[residual < 3 * scale]
    noise = float(np.quantile(close, 0.8)) if len(close) else 48.0
    return difference.astype(np.float32), noise


def _large_parts(apart: Pixels) -> Pixels | None:
    """Return the connected parts worth keeping: the largest, and others at least a fifth of it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if count == 1 or areas.max() < LEAST_AREA * apart.size:
        return None
    keep = np.flatnonzero(areas >= 0.2 * areas.max()) + 1
    return np.isin(labels, keep).astype(np.uint8) * 255


def _holes_filled(mask: Pixels) -> Pixels:
    """Return the mask with all that the border cannot reach, such as a print in the ground's colour."""
    outside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(outside, None, (0, 0), 255)
    return mask | ~outside[1:-1, 1:-1]


def _toned_and_centred(pixels: Pixels, mask: Pixels) -> Pixels:
    """Return uint8 (28, 28): the product negated on 0, its longest side 28 pixels, sharpened as ImageMagick's 1x1."""
    x, y, width, height = cv2.boundingRect(mask)
    grey = cv2.cvtColor(pixels[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    inside = mask[y : y + height, x : x + width]
    negative = np.where(inside > 0, 255 - grey, 0).astype(np.uint8)
    scale = SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(negative, size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (5, 5), 1.0, borderType=cv2.BORDER_REPLICATE)
    sharp = cv2.addWeighted(small, 1.6, blurred, -0.6, 0)
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = sharp
    return canvas
