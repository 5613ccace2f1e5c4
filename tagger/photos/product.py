"""Extract the product image, 28x28 pixels in Fashion-MNIST's form, from a photo.

Fashion-MNIST (arXiv 1708.07747, section 2) was made from shop photos on white: background trimmed, longest side shrunk to
28 pixels, sharpened, centred, negated. Other photos have grey walls, floors, gradients and shadows, so here the background
is modelled from the photo's border and set to exactly 0 before the same steps are applied.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tagger.arrays import Pixels, as_uint8
from tagger.photos.background import large_parts, product_mask, shrunk
from tagger.photos.colour import box_crop, cut_crop
from tagger.photos.cutout import contrasting_ground, on_ground, opaque_box, outlined
from tagger.photos.frame import crop_edge, trim_bars
from tagger.photos.person import Person, find_person
from tagger.photos.worn import Regions, worn_regions
from tagger.records import Photo, ProductImage, Region, RegionName

VERSION = 5
"""Version of the preprocessing: incremented by every change of any product image, and part of every result's fingerprint."""

SIDE = 28
"""Side of a product image in pixels."""

MIN_PART_WORN = 0.15
"""Minimum area of a further connected part of a garment on a person as a share of the largest one; less than `MIN_PART` of
other products, because hair and bags divide it."""

MIN_TONE, MAX_LIFT = 150, 12.5
"""Pale products are darkened, which brightens the negative, until a tenth of their pixels reach `MIN_TONE` (0..255).

The negative is multiplied by at most `MAX_LIFT`. Fashion-MNIST excluded white products, and a network trained on it
recognises next to nothing in a nearly black image."""


def extract_product(photo: Photo, colour: bool = True) -> ProductImage:
    """Extract the product image of a photo.

    Args:
        photo: decoded and upright.
        colour: whether the pictures in colour are needed, as for a backbone; without them they are None.

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
        whole = scene.region("whole", scene.mask, 1.0, colour)
        return ProductImage(whole.pixels, found=True, truncated=photo.truncated, colour=whole.colour)
    regions = tuple(scene.region(part.name, part.mask, part.prior, colour) for part in scene.worn)
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
    return Product(scene.negative(mask, _fill_holes(mask)), worn=bool(scene.worn))


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
    """uint8 (h, w, 3): the photo, its longer side about `background.MASK_SIDE` pixels, without its frame."""
    fine: Pixels
    """uint8 (h, w, 3): the same view at the resolution that the photo was decoded at."""
    mask: Pixels
    """uint8 (h, w) of `pixels`."""
    person: Person | None = None
    """The person in it, in pixels of `pixels`."""
    worn: Regions = ()
    """The garments of a person, masks of `pixels`; empty where no person is found."""
    ground: int | None = None
    """The grey level that `fine` is composited on; None where the photo shows its own ground."""

    def region(self, name: RegionName, mask: Pixels, prior: float, colour: bool = True) -> Region:
        """Return both pictures of a part of the photo, or without `colour` the grey one alone."""
        filled = _fill_holes(mask)
        return Region(name, centred(self.negative(mask, filled)), self._in_colour(filled) if colour else None, prior)

    def _in_colour(self, filled: Pixels) -> Pixels:
        """Return the picture in colour of what a mask without holes shows."""
        if not self.worn:
            return box_crop(self.fine, self.enlarged(filled), self.ground)
        return cut_crop(self.fine, self.enlarged(filled), self.enlarged(self.mask & ~filled))

    def negative(self, mask: Pixels, filled: Pixels) -> Pixels:
        """Return the bounding box of a mask, uint8 (h, w): grey, negated, at least 1, and 0 outside of it with holes filled."""
        negative = _negative(self.pixels, filled)
        return negative if self.ground is None else _outlined_negative(negative, mask)

    def enlarged(self, mask: Pixels) -> Pixels:
        """Return a mask at the resolution of `fine`."""
        height, width = self.fine.shape[:2]
        if mask.shape == (height, width):
            return mask
        enlarged = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        return as_uint8(cv2.threshold(enlarged, 127, 255, cv2.THRESH_BINARY)[1])


def _find_product(photo: Photo) -> _Scene | None:
    """Segment what stands out from the background, and what a person in it wears; None where nothing does."""
    pixels, alpha = photo.pixels, photo.alpha
    if alpha is not None:
        box = opaque_box(pixels, alpha)
        if box is None:
            return _find_cutout(pixels, alpha)
        pixels = np.ascontiguousarray(pixels[box])
    pixels = trim_bars(pixels)
    small, fine = crop_edge(shrunk(pixels)), crop_edge(pixels)
    mask = product_mask(small)
    return None if mask is None else _dressed(_Scene(small, fine, mask))


def _find_cutout(pixels: Pixels, alpha: Pixels) -> _Scene | None:
    """Return what the transparency of a photo outlines, and what a person in it wears."""
    small, mask = shrunk(pixels), outlined(shrunk(alpha))
    if mask is None:
        return None
    ground = contrasting_ground(small, mask)
    return _dressed(_Scene(small, on_ground(pixels, alpha, ground), mask, ground=ground))


def _dressed(scene: _Scene) -> _Scene:
    """Return a scene with the person in it, if there is one, and the garments."""
    pixels, fine, mask = scene.pixels, scene.fine, scene.mask
    person = find_person(fine, pixels, mask)
    if person is None:
        return scene
    person = person.scaled(pixels.shape[1] / fine.shape[1], pixels.shape[0] / fine.shape[0])
    regions = worn_regions(pixels, mask, person)
    parts = tuple(replace(region, mask=large_parts(region.mask, MIN_PART_WORN)) for region in regions)
    return replace(scene, person=person, worn=parts)


def _is_fashion_mnist(pixels: Pixels) -> bool:
    """Return whether an image already has Fashion-MNIST's form: 28x28 pixels, grey, and not on a bright background."""
    if pixels.shape[:2] != (SIDE, SIDE) or (pixels != pixels[:, :, :1]).any():
        return False
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    return bool(np.median(corners) < 128)


def _fill_holes(mask: Pixels) -> Pixels:
    """Fill what is enclosed by the mask, such as a print in the background's colour."""
    outside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(outside, None, (0, 0), 255)
    return as_uint8(cv2.bitwise_or(mask, cv2.bitwise_not(outside[1:-1, 1:-1])))


def _negative(pixels: Pixels, mask: Pixels) -> Pixels:
    """Return the bounding box of the mask, 255 or 0, uint8: grey, negated, at least 1, and 0 outside the mask."""
    x, y, width, height = cv2.boundingRect(mask)
    grey = cv2.cvtColor(pixels[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    return as_uint8(cv2.bitwise_and(np.maximum(as_uint8(cv2.bitwise_not(grey)), 1), mask[y : y + height, x : x + width]))


def _outlined_negative(product: Pixels, mask: Pixels) -> Pixels:
    """Return the negative of a cut-out, uint8 (h, w), brightened by a constant where lifting alone would leave it dark.

    The outline shows whatever the tone, so a white product is not nearly black. Holes stay dark, as they are on white.
    """
    lifted = _lifted(product)
    missing = MIN_TONE - _tone(lifted)
    if missing <= 0:
        return product
    x, y, width, height = cv2.boundingRect(mask)
    return np.where(
        mask[y : y + height, x : x + width] > 0, np.minimum(lifted.astype(np.int16) + missing, 255), product
    ).astype(np.uint8)


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
    tone = _tone(product)
    if tone >= MIN_TONE:
        return product
    return as_uint8(cv2.convertScaleAbs(product, alpha=min(MAX_LIFT, MIN_TONE / tone)))


def _tone(product: Pixels) -> int:
    """Return the level that a tenth of the pixels of a negative reach, of those that are not 0."""
    # OpenCV counts bytes in half the time of `bincount`; its floats hold any number of pixels of a decoded photo exactly.
    tones = np.cumsum(cv2.calcHist([product], [0], None, [256], [0, 256]).ravel()[1:], dtype=np.float64)
    return 1 + int(np.searchsorted(tones, 0.9 * tones[-1]))
