"""Extract the product image, 28x28 pixels in Fashion-MNIST's form, from a photo.

Fashion-MNIST (arXiv 1708.07747, section 2) was made from shop photos on white: background trimmed, longest side shrunk to
28 pixels, sharpened, centred, negated. Other photos have grey walls, floors, gradients and shadows, so here the background
is modelled from the photo's border and set to exactly 0 before the same steps are applied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels
from tagger.photos.colour import box_crop, cut_crop
from tagger.photos.person import Person, find_person
from tagger.photos.worn import Regions, worn_regions
from tagger.records import Photo, ProductImage, Region, RegionName

VERSION = 3
"""Version of the preprocessing: incremented by every change of any product image, and part of every result's fingerprint."""

SIDE = 28
"""Side of a product image in pixels."""

MASK_SIDE = 160
"""Longer side in pixels at which the product is segmented, and from which the 28x28 image is made."""

EDGE_SHARE = 0.0125
"""Share of the longer side that is cropped on all four sides first: many exports draw a faint frame there."""

BORDER_SHARE = 0.03
"""Width of the border from which the background is modelled, as a share of the shorter side."""

MIN_DIFFERENCE, MAX_DIFFERENCE, NOISE_FACTOR = 5.5, 48.5, 4.0
"""A pixel stands out if it differs from the background by `NOISE_FACTOR` times the background's noise, within these bounds.

In grey levels. Half levels, because differences on an even background are whole ones, and rounding in the fit of the
background must not decide between them."""

MIN_AREA = 0.005
"""Minimum area of a product as a share of the photo; less is dust."""

MIN_PART, MIN_PART_WORN = 0.2, 0.15
"""Minimum area of a further connected part of the product as a share of the largest one; of a garment on a person it is less,
because hair and bags divide it."""

MIN_TONE, MAX_LIFT = 150, 12.5
"""Pale products are darkened, which brightens the negative, until a tenth of their pixels reach `MIN_TONE` (0..255).

The negative is multiplied by at most `MAX_LIFT`. Fashion-MNIST excluded white products, and a network trained on it
recognises next to nothing in a nearly black image."""


def extract_product(photo: Photo) -> ProductImage:
    """Extract the product image of a photo.

    Returns:
        uint8 (28, 28): the product bright on 0, its longest side 28 pixels, centred; and uint8 (224, 224, 3), the product in
        colour. All 0 with `found` false where nothing stands out. Of a person, the most probable of the garments by the
        framing, and all that may be the product as `regions`. An image already in Fashion-MNIST's form is passed through
        unchanged and marked `native`: networks with a separate head for photos classify it with the head for Fashion-MNIST's
        own images.
    """
    if _is_fashion_mnist(photo.pixels):
        return ProductImage(photo.pixels[:, :, 0].copy(), found=True, truncated=photo.truncated, native=True)
    scene = _find_product(photo)
    if scene is None:
        return ProductImage(np.zeros((SIDE, SIDE), np.uint8), found=False, truncated=photo.truncated)
    if not scene.worn:
        whole = scene.region("whole", scene.mask, 1.0)
        return ProductImage(whole.pixels, found=True, truncated=photo.truncated, colour=whole.colour)
    regions = tuple(scene.region(part.name, part.mask, part.prior) for part in scene.worn)
    first = max(regions, key=lambda region: region.prior)
    return ProductImage(
        first.pixels,
        found=True,
        truncated=photo.truncated,
        worn=True,
        colour=first.colour,
        region=first.name,
        regions=regions if len(regions) > 1 else (),
    )


@dataclass(frozen=True)
class Product:
    """A product cut out of its photo, at the photo's resolution."""

    pixels: Pixels
    """uint8 (h, w), its bounding box: grey and negated, at least 1 on the product and 0 elsewhere."""
    worn: bool
    """Whether a person wears it, who was removed."""


def cut_product(photo: Photo) -> Product | None:
    """Cut the product out of a photo, or the garment that a person most probably shows; None where nothing stands out."""
    scene = _find_product(photo)
    if scene is None:
        return None
    mask = max(scene.worn, key=lambda part: part.prior).mask if scene.worn else scene.mask
    return Product(_negative(scene.pixels, _fill_holes(mask)), worn=bool(scene.worn))


def cut_in_colour(photo: Photo) -> Pixels | None:
    """Cut the product out of a photo in colour, uint8 (224, 224, 3) on an even ground; None where nothing stands out.

    A person's garments and the person stay together; for training on products that nobody wears.
    """
    scene = _find_product(photo)
    return None if scene is None else cut_crop(scene.fine, scene.enlarged(_fill_holes(scene.mask)))


@dataclass(frozen=True)
class _Scene:
    """What stands out in a photo, at two resolutions."""

    pixels: Pixels
    """uint8 (h, w, 3): the photo, its longer side about `MASK_SIDE` pixels, without its frame."""
    fine: Pixels
    """uint8 (h, w, 3): the same view at the resolution that the photo was decoded at."""
    mask: Pixels
    """uint8 (h, w) of `pixels`."""
    person: Person | None
    """The person in it, in pixels of `pixels`."""
    worn: Regions
    """The garments of a person, masks of `pixels`; empty where no person is found."""

    def region(self, name: RegionName, mask: Pixels, prior: float) -> Region:
        """Return both pictures of a part of the photo."""
        filled = _fill_holes(mask)
        small, enlarged = centred(_negative(self.pixels, filled)), self.enlarged(filled)
        if not self.worn:
            return Region(name, small, box_crop(self.fine, enlarged), prior)
        return Region(name, small, cut_crop(self.fine, enlarged, self.enlarged(self.mask & ~filled)), prior)

    def enlarged(self, mask: Pixels) -> Pixels:
        """Return a mask at the resolution of `fine`."""
        height, width = self.fine.shape[:2]
        if mask.shape == (height, width):
            return mask
        enlarged = _as_uint8(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR))
        return np.where(enlarged > 127, 255, 0).astype(np.uint8)


def _find_product(photo: Photo) -> _Scene | None:
    """Segment what stands out from the background, and what a person in it wears; None where nothing does."""
    pixels, fine = _crop_frame(_shrunk(photo.pixels)), _crop_frame(photo.pixels)
    mask = product_mask(pixels)
    if mask is None:
        return None
    person = find_person(fine, _scaled_box(cv2.boundingRect(mask), pixels, fine))
    if person is None:
        return _Scene(pixels, fine, mask, None, ())
    scale = pixels.shape[1] / fine.shape[1], pixels.shape[0] / fine.shape[0]
    person = person.scaled(*scale)
    regions = worn_regions(pixels, mask, person)
    parts = tuple(replace(region, mask=_large_parts(region.mask, MIN_PART_WORN)) for region in regions)
    return _Scene(pixels, fine, mask, person, parts)


def _shrunk(pixels: Pixels) -> Pixels:
    """Return a photo at `MASK_SIDE`, unchanged if it is no larger."""
    longer = max(pixels.shape[:2])
    if longer <= MASK_SIDE:
        return pixels
    size = [max(1, round(side * MASK_SIDE / longer)) for side in pixels.shape[1::-1]]
    return _as_uint8(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _scaled_box(box: Sequence[int], pixels: Pixels, fine: Pixels) -> tuple[int, int, int, int]:
    """Return a box of `pixels` in pixels of `fine`, the same view at another resolution."""
    along_x, along_y = fine.shape[1] / pixels.shape[1], fine.shape[0] / pixels.shape[0]
    x, y, width, height = box
    return round(x * along_x), round(y * along_y), round(width * along_x), round(height * along_y)


def _is_fashion_mnist(pixels: Pixels) -> bool:
    """Return whether an image already has Fashion-MNIST's form: 28x28 pixels, grey, and not on a bright background."""
    if pixels.shape[:2] != (SIDE, SIDE) or (pixels != pixels[:, :, :1]).any():
        return False
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    return bool(np.median(corners) < 128)


def _crop_frame(pixels: Pixels) -> Pixels:
    """Crop `EDGE_SHARE` off every side, unless the image is too small for that."""
    edge = round(EDGE_SHARE * max(pixels.shape))
    if edge == 0 or min(pixels.shape[:2]) <= 4 * edge:
        return pixels
    return np.ascontiguousarray(pixels[edge:-edge, edge:-edge])


def product_mask(pixels: Pixels) -> Pixels | None:
    """Segment what stands out from the background of an image, uint8 (h, w, 3) RGB.

    Returns:
        uint8 (h, w), 255 on the product and 0 elsewhere, or None where less than `MIN_AREA` of the image stands out.
    """
    difference, noise = _difference_from_background(pixels)
    threshold = min(MAX_DIFFERENCE, max(MIN_DIFFERENCE, NOISE_FACTOR * noise))
    foreground = (difference > threshold).view(np.uint8)
    # An opening by 2x2, which keeps straps. In two steps, because MORPH_OPEN does not mirror kernels of even size and would
    # shift the mask by a pixel.
    foreground = _as_uint8(cv2.dilate(cv2.erode(foreground, _SQUARE_2, anchor=(1, 1)), _SQUARE_2, anchor=(0, 0)))
    foreground = _as_uint8(cv2.morphologyEx(foreground, cv2.MORPH_CLOSE, _SQUARE_5))
    product = _large_parts(foreground, MIN_PART)
    return product if np.count_nonzero(product) >= MIN_AREA * product.size else None


def _difference_from_background(pixels: Pixels) -> tuple[Floats, float]:
    """Return the largest difference of the three channels from the background, float (h, w), and the background's noise.

    Both in grey levels. The background of each channel is a quadratic surface a + bx + cy + dxy + exx + fyy, fitted to the
    border by iteratively reweighted least squares (Geman-McClure weights), so that a product which touches the border does
    not bend it. The noise is the 0.8-quantile of the residuals of the border pixels that fit.
    """
    basis, colours = _border_samples(pixels)
    residual = _channel_max(np.abs(colours - np.median(colours, axis=1, keepdims=True)))
    for _ in range(4):
        scale = max(2.0, 1.5 * _quantile(residual, 0.5))
        weighted = basis / (1 + (residual / scale) ** 2) ** 2
        normal = weighted @ basis.T + len(residual) * _STIFFNESS
        coefficients = np.linalg.solve(normal, weighted @ colours.T)
        residual = _channel_max(np.abs(colours - coefficients.T @ basis))
    inliers = residual[residual < 3 * scale]
    noise = _quantile(inliers, 0.8) if len(inliers) else MAX_DIFFERENCE
    return _largest_difference(pixels, coefficients), noise


def _largest_difference(pixels: Pixels, coefficients: Floats) -> Floats:
    """Return the largest difference of the channels from the surfaces with these coefficients, (6, 3), as float (h, w)."""
    height, width = pixels.shape[:2]
    constant, along_x, along_y, along_xy, along_xx, along_yy = coefficients
    zero = np.zeros_like(constant)
    # Rows are powers of y, columns powers of x: two small matrix products instead of six full-size terms.
    matrix = np.array([[constant, along_x, along_xx], [along_y, along_xy, zero], [along_yy, zero, zero]], np.float32)
    background = _powers(height).T @ matrix.transpose(2, 0, 1) @ _powers(width)
    return _channel_max(np.abs(np.stack(cv2.split(pixels)) - background))


def _channel_max(channels: Floats) -> Floats:
    """Return the maximum over three channels; `max` over so short an axis would take three times as long."""
    largest: Floats = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
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

_SQUARE_2, _SQUARE_5 = np.ones((2, 2), np.uint8), np.ones((5, 5), np.uint8)


def _large_parts(mask: Pixels, min_share: float) -> Pixels:
    """Return a mask of the largest connected part and of others with at least `min_share` of its area, 0 or 255."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept: Pixels = np.where((areas > 0) & (areas >= min_share * areas.max()), 255, 0).astype(np.uint8)
    parts: Pixels = np.take(kept, np.asarray(labels))
    return parts


def _fill_holes(mask: Pixels) -> Pixels:
    """Fill what is enclosed by the mask, such as a print in the background's colour."""
    outside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(outside, None, (0, 0), 255)
    return _as_uint8(cv2.bitwise_or(mask, cv2.bitwise_not(outside[1:-1, 1:-1])))


def _negative(pixels: Pixels, mask: Pixels) -> Pixels:
    """Return the bounding box of the mask, uint8: grey, negated, at least 1, and 0 outside the mask."""
    x, y, width, height = cv2.boundingRect(mask)
    grey = cv2.cvtColor(pixels[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    inside = mask[y : y + height, x : x + width]
    return np.where(inside > 0, np.maximum(255 - _as_uint8(grey), 1), 0).astype(np.uint8)


def centred(product: Pixels) -> Pixels:
    """Resize a negative on 0, uint8 (h, w), to a longest side of 28 pixels, sharpen it and centre it in uint8 (28, 28).

    Pale products are darkened first (see `MIN_TONE`). The sharpening is that of ImageMagick's `-sharpen 1x1`.
    """
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
    """Return the negative of a pale product with its levels multiplied, so that it is brighter; others unchanged."""
    tones = np.cumsum(np.bincount(product.ravel(), minlength=256)[1:])
    tone = 1 + int(np.searchsorted(tones, 0.9 * tones[-1]))
    if tone >= MIN_TONE:
        return product
    return _as_uint8(cv2.convertScaleAbs(product, alpha=min(MAX_LIFT, MIN_TONE / tone)))


def _as_uint8(pixels: cv2.typing.MatLike) -> Pixels:
    """Narrow the type of what OpenCV computed from uint8; its stubs allow any dtype."""
    return np.asarray(pixels, np.uint8)
