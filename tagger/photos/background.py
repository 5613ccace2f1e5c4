"""Segment what stands out from the background of a photo, which is modelled from the photo's border.

Photos have grey walls, floors, gradients and shadows, so the background is a smooth surface, and a pixel stands out if it
differs from it by more than the background's own noise.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels, as_uint8, row_medians

BORDER_SHARE = 0.03
"""Width of the border from which the background is modelled, as a share of the shorter side."""

MIN_DIFFERENCE, MAX_DIFFERENCE, NOISE_FACTOR = 5.5, 48.5, 4.0
"""A pixel stands out if it differs from the background by `NOISE_FACTOR` times the background's noise, within these bounds.

In grey levels. Half levels, because differences on an even background are whole ones, and rounding in the fit of the
background must not decide between them."""

MASK_SIDE = 160
"""Longer side in pixels at which the product is segmented, and from which the 28x28 image is made."""

MIN_AREA = 0.005
"""Minimum area of a product as a share of the photo; less is dust."""

MIN_PART = 0.2
"""Minimum area of a further connected part of the product as a share of the largest one."""


def shrunk(pixels: Pixels) -> Pixels:
    """Return a photo, or a mask of one, at `MASK_SIDE`; unchanged if it is no larger."""
    longer = max(pixels.shape[:2])
    if longer <= MASK_SIDE:
        return pixels
    size = [max(1, round(side * MASK_SIDE / longer)) for side in pixels.shape[1::-1]]
    return as_uint8(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def product_mask(pixels: Pixels) -> Pixels | None:
    """Segment what stands out from the background of an image, uint8 (h, w, 3) RGB.

    Returns:
        uint8 (h, w), 255 on the product and 0 elsewhere, or None where less than `MIN_AREA` of the image stands out.
    """
    coefficients, noise = _fitted_background(pixels)
    threshold = min(MAX_DIFFERENCE, max(MIN_DIFFERENCE, NOISE_FACTOR * noise))
    foreground = (_largest_difference(pixels, coefficients) > threshold).view(np.uint8)
    # An opening by 2x2, which keeps straps, and a closing by 5x5. The dilations of both are one by 6x6. `morphologyEx` does not
    # mirror kernels of even size and would shift the mask by a pixel.
    foreground = as_uint8(cv2.dilate(cv2.erode(foreground, _SQUARE_2, anchor=(1, 1)), _SQUARE_6, anchor=(2, 2)))
    foreground = as_uint8(cv2.erode(foreground, _SQUARE_5))
    product = large_parts(foreground, MIN_PART)
    return product if np.count_nonzero(product) >= MIN_AREA * product.size else None


def _fitted_background(pixels: Pixels) -> tuple[Floats, float]:
    """Return the coefficients of the background's surfaces, float32 (6, 3), and its noise in grey levels.

    The background of each channel is a quadratic surface a + bx + cy + dxy + exx + fyy, fitted to the border by iteratively
    reweighted least squares (Geman-McClure weights), so that a product which touches the border does not bend it. The noise
    is the 0.8-quantile of the residuals of the border pixels that fit.
    """
    basis, colours = _border_samples(pixels)
    stiffness = colours.shape[1] * _STIFFNESS
    residual = _channel_max(np.abs(colours - row_medians(colours)[:, None]))
    for _ in range(4):
        scale = max(2.0, 1.5 * _quantile(residual, 0.5))
        weighted = basis / np.square(1 + np.square(residual / scale))
        coefficients = np.linalg.solve(weighted @ basis.T + stiffness, weighted @ colours.T)
        residual = coefficients.T @ basis
        np.subtract(colours, residual, out=residual)
        residual = _channel_max(np.abs(residual, out=residual))
    inliers = residual[residual < 3 * scale]
    noise = _quantile(inliers, 0.8) if len(inliers) else MAX_DIFFERENCE
    return coefficients, noise


def _largest_difference(pixels: Pixels, coefficients: Floats) -> Floats:
    """Return the largest difference of the channels from the surfaces with these coefficients, (6, 3), as float (h, w)."""
    height, width = pixels.shape[:2]
    constant, along_x, along_y, along_xy, along_xx, along_yy = coefficients
    zero = np.zeros_like(constant)
    # Rows are powers of y, columns powers of x: two small matrix products instead of six full-size terms.
    matrix = np.array([[constant, along_x, along_xx], [along_y, along_xy, zero], [along_yy, zero, zero]], np.float32)
    background = _powers(height).T @ matrix.transpose(2, 0, 1) @ _powers(width)
    # In place, as memory that is not in the processor's cache costs more than the numbers do.
    for channel, surface in zip(cv2.split(pixels), background, strict=True):
        np.subtract(channel, surface, out=surface)
    return _channel_max(np.abs(background, out=background))


def _channel_max(channels: Floats) -> Floats:
    """Return the maximum over three channels, in place of the first; `max` over so short an axis takes three times as long."""
    largest: Floats = channels[0]
    for channel in channels[1:]:
        np.maximum(largest, channel, out=largest)
    return largest


def _quantile(values: Floats, share: float) -> float:
    """Return a quantile without interpolation; `np.quantile` takes ten times as long."""
    place = int(share * len(values))
    return float(np.partition(values, place)[place])


def _border_samples(pixels: Pixels) -> tuple[Floats, Floats]:
    """Return the surface's terms, float (6, n), and the colours, float (3, n), of about 400 pixels along the border."""
    rows, columns, basis = _border_positions(*pixels.shape[:2])
    return basis, np.ascontiguousarray(pixels[rows, columns].T, np.float32)


@lru_cache(maxsize=64)  # the photos of a shop have few sizes
def _border_positions(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return the rows (n,) and columns (n,) of the samples and the surface's terms there (6, n), with x and y in -1..1."""
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
    """Return 1, x and x squared for `count` values of x from -1 to 1, float (3, count)."""
    x = np.linspace(-1, 1, count, dtype=np.float32)
    return np.stack([np.ones_like(x), x, x * x])


_STIFFNESS = 1e-3 * np.diag([0, 0.1, 0.1, 1, 1, 1]).astype(np.float32)
"""Ridge penalty on all terms but the constant, which keeps the surface flat where the border determines it poorly."""

_SQUARE_2, _SQUARE_5, _SQUARE_6 = (np.ones((side, side), np.uint8) for side in (2, 5, 6))


def large_parts(mask: Pixels, min_share: float) -> Pixels:
    """Return a mask of the largest connected part and of others with at least `min_share` of its area, 0 or 255."""
    count, found = cv2.connectedComponents(mask, connectivity=8)
    labels = np.asarray(found, np.int32)
    if count > _LEVELS:
        return np.asarray(np.take(_of_large_areas(np.bincount(labels.ravel()), min_share), labels), np.uint8)
    # As bytes, labels are counted and replaced three times as fast as by `connectedComponentsWithStats` and `take`.
    few = labels.astype(np.uint8)
    areas = cv2.calcHist([few], [0], None, [_LEVELS], [0, _LEVELS]).ravel().astype(np.int64)
    return as_uint8(cv2.LUT(few, _of_large_areas(areas, min_share)))


_LEVELS = 256


def _of_large_areas(areas: NDArray[Any], min_share: float) -> Pixels:
    """Return for each label 255 if its area is at least a share of the largest one, else 0; label 0 is the background."""
    areas[0] = 0
    return np.where((areas > 0) & (areas >= min_share * areas.max()), 255, 0).astype(np.uint8)
