"""A photo becomes the 28x28 picture that Fashion-MNIST would have made of it.

Fashion-MNIST (arXiv 1708.07747, section 2) took shop photos on white, trimmed the background, shrank the longest side to
28 pixels, sharpened, centred and negated. Other people's photos have grey walls, floors, gradients and shadows, so here
the background is modelled from the photo's border and cut to exactly 0 before the same steps follow.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels
from tagger.photos.person import worn_mask
from tagger.records import Photo, ProductImage

VERSION = 2
"""Grows with every change that gives another picture; part of every result's fingerprint."""

SIDE = 28

EDGE_SHARE = 0.0125
"""Share of the longer side that is cut off all around first: many exports draw a faint frame there."""

BORDER_SHARE = 0.03
"""Width of the border that the background is modelled from, as a share of the shorter side."""

LEAST_DIFFERENCE, MOST_DIFFERENCE, NOISES = 5.5, 48.5, 4.0
"""Pixels stand out from `NOISES` times the ground's own noise on, kept within these bounds; in grey levels.

Half levels, because on an even ground differences are whole ones, and no rounding of the fit is to decide on them."""

LEAST_AREA = 0.005
"""Share of the photo below which what stands out is dust, not a product."""

LEAST_PART, LEAST_PART_WORN = 0.2, 0.15
"""Share of the largest part from which another one belongs to the product; hair and bags cut what is worn in pieces."""

LEAST_TONE, MOST_LIFT = 150, 12.5
"""Pale products are made darker, until a tenth of their pixels have this tone; by no more than so many times.

Fashion-MNIST left white products out, and a network that learnt from it sees next to nothing where all is nearly black."""


def extract_product(photo: Photo) -> ProductImage:
    """Return the product in `photo` as Fashion-MNIST shows its own: bright on 0, longest side 28, centred."""
    if _is_fashion_mnist(photo.pixels):
        return ProductImage(photo.pixels[:, :, 0].copy(), found=True, truncated=photo.truncated, native=True)
    found = cut_product(photo)
    if found is None:
        return ProductImage(np.zeros((SIDE, SIDE), np.uint8), found=False, truncated=photo.truncated)
    return ProductImage(centred(found.pixels), found=True, truncated=photo.truncated, worn=found.worn)


@dataclass(frozen=True)
class Product:
    """A product alone, uint8 (height, width): grey, negated, at least 1, on 0; of a figure, what it has `worn_mask`."""

    pixels: Pixels
    worn: bool


def cut_product(photo: Photo) -> Product | None:
    """Return the product in `photo`, of a figure what is worn above the hips; None where nothing stands out."""
    pixels = _without_edge(photo.pixels)
    mask = product_mask(pixels)
    if mask is None:
        return None
    garments = worn_mask(pixels, mask)
    shown = mask if garments is None else _large_parts(garments, LEAST_PART_WORN)
    return Product(_negative(pixels, _holes_filled(shown)), worn=garments is not None)


def _is_fashion_mnist(pixels: Pixels) -> bool:
    """Whether a picture is already in Fashion-MNIST's form: 28x28, grey, and not on a bright ground."""
    if pixels.shape[:2] != (SIDE, SIDE) or (pixels != pixels[:, :, :1]).any():
        return False
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    return bool(np.median(corners) < 128)


def _without_edge(pixels: Pixels) -> Pixels:
    edge = round(EDGE_SHARE * max(pixels.shape))
    if edge == 0 or min(pixels.shape[:2]) <= 4 * edge:
        return pixels
    return np.ascontiguousarray(pixels[edge:-edge, edge:-edge])


def product_mask(pixels: Pixels) -> Pixels | None:
    """Return uint8 (h, w), 255 on the product and 0 elsewhere, or None where nothing stands out."""
    difference, noise = _difference_from_background(pixels)
    threshold = min(MOST_DIFFERENCE, max(LEAST_DIFFERENCE, NOISES * noise))
    apart = (difference > threshold).view(np.uint8)
    # An opening by 2x2, which keeps straps; MORPH_OPEN would move it by a pixel, as it does not mirror even kernels.
    apart = _bytes(cv2.dilate(cv2.erode(apart, _SQUARE_2, anchor=(1, 1)), _SQUARE_2, anchor=(0, 0)))
    apart = _bytes(cv2.morphologyEx(apart, cv2.MORPH_CLOSE, _SQUARE_5))
    product = _large_parts(apart, LEAST_PART)
    return product if np.count_nonzero(product) >= LEAST_AREA * product.size else None


def _difference_from_background(pixels: Pixels) -> tuple[Floats, float]:
    """Return the largest channel's difference from the ground, float (h, w), and the ground's noise; in grey levels.

    Each channel's ground is a quadratic surface a + bx + cy + dxy + exx + fyy fitted to the border by iteratively
    reweighted least squares (Geman-McClure's weights), so that a product which touches the border does not bend it.
    """
    basis, colours = _border(pixels)
    residual = _largest(np.abs(colours - np.median(colours, axis=1, keepdims=True)))
    for _ in range(4):
        scale = max(2.0, 1.5 * _quantile(residual, 0.5))
        weighted = basis / (1 + (residual / scale) ** 2) ** 2
        normal = weighted @ basis.T + len(residual) * _STIFFNESS
        coefficients = np.linalg.solve(normal, weighted @ colours.T)
        residual = _largest(np.abs(colours - coefficients.T @ basis))
    ground = residual[residual < 3 * scale]
    noise = _quantile(ground, 0.8) if len(ground) else MOST_DIFFERENCE
    return _largest_difference(pixels, coefficients), noise


def _largest_difference(pixels: Pixels, coefficients: Floats) -> Floats:
    """Return float (h, w): the largest channel's difference from the surfaces whose `coefficients` are (6, 3)."""
    height, width = pixels.shape[:2]
    constant, along_x, along_y, along_xy, along_xx, along_yy = coefficients
    none = np.zeros_like(constant)
    # Rows are powers of y, columns powers of x: two small matrix products instead of six full-size terms.
    matrix = np.array([[constant, along_x, along_xx], [along_y, along_xy, none], [along_yy, none, none]], np.float32)
    ground = _powers(height).T @ matrix.transpose(2, 0, 1) @ _powers(width)
    return _largest(np.abs(np.stack(cv2.split(pixels)) - ground))


def _largest(channels: Floats) -> Floats:
    """Return the largest of three channels; a reduction over so short an axis would take three times as long."""
    largest: Floats = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    return largest


def _quantile(values: Floats, share: float) -> float:
    """Return the value below which a `share` of them lies; numpy's own takes ten times as long to weigh neighbours."""
    place = int(share * len(values))
    return float(np.partition(values, place)[place])


def _border(pixels: Pixels) -> tuple[Floats, Floats]:
    """Return the surface's terms float (6, n) and the colours float (3, n) of about 400 pixels along the border."""
    rows, columns, basis = _border_places(*pixels.shape[:2])
    return basis, np.ascontiguousarray(pixels[rows, columns].T, np.float32)


@lru_cache(maxsize=64)  # the photos of one shop have few sizes
def _border_places(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return rows (n,), columns (n,) and the surface's terms there (6, n), with x and y in -1..1."""
    rim = max(1, round(BORDER_SHARE * min(height, width)))
    step = max(1, 2 * (width + height) * rim // 400)
    ys, xs = np.mgrid[0:height, 0:width]
    strips = (np.s_[:rim], np.s_[-rim:], np.s_[:, :rim], np.s_[:, -rim:])
    rows = np.concatenate([ys[strip].ravel() for strip in strips])[::step]
    columns = np.concatenate([xs[strip].ravel() for strip in strips])[::step]
    x, y = _powers(width)[1, columns], _powers(height)[1, rows]
    return rows, columns, np.stack([np.ones_like(x), x, y, x * y, x * x, y * y])


@lru_cache(maxsize=128)
def _powers(count: int) -> Floats:
    """Return 1, x and x squared float (3, count) for x from -1 to 1."""
    x = np.linspace(-1, 1, count, dtype=np.float32)
    return np.stack([np.ones_like(x), x, x * x])


_STIFFNESS = 1e-3 * np.diag([0, 0.1, 0.1, 1, 1, 1]).astype(np.float32)
"""Keeps the surface flat where the border says little."""

_SQUARE_2, _SQUARE_5 = np.ones((2, 2), np.uint8), np.ones((5, 5), np.uint8)


def _large_parts(apart: Pixels, least_share: float) -> Pixels:
    """Return the connected parts worth keeping: the largest, and others with at least `least_share` of its area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept: Pixels = np.where((areas > 0) & (areas >= least_share * areas.max()), 255, 0).astype(np.uint8)
    parts: Pixels = np.take(kept, np.asarray(labels))
    return parts


def _holes_filled(mask: Pixels) -> Pixels:
    """Return the mask with all that the border cannot reach, such as a print in the ground's colour."""
    outside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(outside, None, (0, 0), 255)
    return _bytes(cv2.bitwise_or(mask, cv2.bitwise_not(outside[1:-1, 1:-1])))


def _negative(pixels: Pixels, mask: Pixels) -> Pixels:
    """Return the bounding box of the mask: grey, negated, at least 1, and 0 outside the mask."""
    x, y, width, height = cv2.boundingRect(mask)
    grey = cv2.cvtColor(pixels[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    inside = mask[y : y + height, x : x + width]
    return np.where(inside > 0, np.maximum(255 - _bytes(grey), 1), 0).astype(np.uint8)


def centred(product: Pixels) -> Pixels:
    """Return a negative on 0 as uint8 (28, 28): its longest side 28 pixels, sharpened as ImageMagick's 1x1, centred."""
    x, y, width, height = cv2.boundingRect(product)
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    if width == 0:
        return canvas
    scale = SIDE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(_lifted(product[y : y + height, x : x + width]), size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (5, 5), 1.0, borderType=cv2.BORDER_REPLICATE)
    sharp = cv2.addWeighted(small, 1.6, blurred, -0.6, 0)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = sharp
    return canvas


def _lifted(product: Pixels) -> Pixels:
    """Return a pale product in a darker tone, which is a brighter one in the negative."""
    tones = np.cumsum(np.bincount(product.ravel(), minlength=256)[1:])
    tone = 1 + int(np.searchsorted(tones, 0.9 * tones[-1]))
    if tone >= LEAST_TONE:
        return product
    return _bytes(cv2.convertScaleAbs(product, alpha=min(MOST_LIFT, LEAST_TONE / tone)))


def _bytes(pixels: cv2.typing.MatLike) -> Pixels:
    """Return what OpenCV computed from uint8 as the uint8 that it is; its own types promise any number."""
    return np.asarray(pixels, np.uint8)
