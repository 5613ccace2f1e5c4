"""Detect a person by the face and segment the garment worn above the hips.

Fashion-MNIST shows no people. In a photo of somebody wearing the product, the head, the skin and the garment below would
be read as parts of the product: to a network that knows garments alone nearly every person is a dress. Detection uses
proportions and colours, without a trained detector. A person that it misses stays whole, which is why the synthetic
training mix (`synthesis.mix`) shows people to the network.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels

SKIN_LOW, SKIN_HIGH = (40, 136, 80), (245, 182, 128)
"""Bounds of human skin colours in (Y, Cr, Cb), 0..255, slightly wider than Chai and Ngan's (1999, IEEE CSVT 9(4))."""

SKIN_SPREAD = np.array([60, 9, 9], np.float32)
"""Scale of the distance between skin and the same person's face in (Y, Cr, Cb): light changes brightness more than hue."""

MIN_RED = 24
"""Minimum of Cr - Cb in skin, in levels of 0..255; light skin has twice as much."""

MIN_HEIGHT = 40
"""Minimum height of a person in pixels; in a smaller one no face can be recognised."""


@dataclass(frozen=True)
class Face:
    """Position of a face in pixels, and its colour."""

    top: int
    chin: int
    middle: float
    """Column of the centre."""
    width: float
    colour: Floats
    """Median (Y, Cr, Cb), float32 (3,)."""


def worn_mask(pixels: Pixels, mask: Pixels) -> Pixels | None:
    """Segment the garment that a person in the mask wears above the hips.

    The head, bare skin in the colour of the face, and a garment of another colour from the hips down are removed.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        mask: uint8 (h, w), 255 where something stands out from the background, 0 elsewhere.

    Returns:
        The part of `mask` that is the garment, uint8 (h, w), or None where the mask shows no person.
    """
    colours = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    face = find_face(colours, mask)
    if face is None:
        return None
    skin = _skin(colours, mask, face)
    garment = mask.copy()
    garment[: face.chin] = 0
    torso = _torso(garment, face)
    if np.count_nonzero(skin & torso) < 0.45 * np.count_nonzero(torso):  # otherwise the garment itself is skin-coloured
        garment &= ~skin
    hem = _hem(colours, garment, face)
    if hem is not None:
        garment[hem:] = 0
    return garment if np.count_nonzero(garment) >= 0.15 * np.count_nonzero(mask) else None


def find_face(colours: Pixels, mask: Pixels) -> Face | None:
    """Find the face at the top of a person in the mask; None where no patch of skin has a head and a body around it.

    Args:
        colours: uint8 (h, w, 3) in Y, Cr, Cb.
        mask: uint8 (h, w), 255 where something stands out from the background, 0 elsewhere.
    """
    _, top, width, height = cv2.boundingRect(mask)
    if height < max(MIN_HEIGHT, 1.05 * width):
        return None
    skin = np.asarray(cv2.inRange(colours, SKIN_LOW, SKIN_HIGH), np.uint8) & mask
    skin[top + round(0.42 * height) :] = 0
    _, labels, stats, centres = cv2.connectedComponentsWithStats(cv2.erode(skin, _SQUARE_2), connectivity=4)
    largest_first = np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:3] + 1
    for part in largest_first:
        if 20 < stats[part, cv2.CC_STAT_AREA] < 0.16 * width * height:
            face = _measure_face(colours, np.asarray(labels) == part, stats[part], float(centres[part][0]))
            if face is not None and _has_a_head(colours, mask, face) and _has_a_body(mask, face):
                return face
    return None


def _measure_face(colours: Pixels, part: NDArray[np.bool_], stats: NDArray[np.int32], middle: float) -> Face | None:
    """Measure a connected patch of skin, bool (h, w), as a face; None where it is too narrow, too sparse or not reddish.

    The height is derived from the width, because a bare neck and chest may continue the patch below the chin.
    """
    top, height = int(stats[cv2.CC_STAT_TOP]), int(stats[cv2.CC_STAT_HEIGHT])
    widths = part[top : top + height].sum(axis=1)
    width = float(np.percentile(widths[: max(3, round(0.7 * height))], 85))
    chin = top + round(min(height, 1.35 * width))
    patch = part[top : chin + 1]
    if width < 4 or np.count_nonzero(patch) < 0.5 * width * (chin - top):
        return None
    colour = np.median(colours[top : chin + 1][patch], axis=0).astype(np.float32)
    return Face(top, chin, middle, width, colour) if colour[1] - colour[2] >= MIN_RED else None


def _has_a_head(colours: Pixels, mask: Pixels, face: Face) -> bool:
    """Return whether hair of another brightness surrounds the face, and eyes and mouth make the face uneven."""
    top = cv2.boundingRect(mask)[1]
    if not 0.08 * face.width <= face.top - top <= 1.6 * face.width:
        return False
    head = mask[top : face.chin] > 0
    near = np.abs(colours[top : face.chin].astype(np.float32) - face.colour) / SKIN_SPREAD
    hair = head & ((near**2).sum(axis=2) >= 1)
    brightness = colours[top : face.chin, :, 0]
    inside = brightness[face.top - top :, _columns(face, 0.5, mask)]
    if np.count_nonzero(hair) < 0.4 * np.count_nonzero(head) or inside.std() < _scaled_contrast(face, 35):
        return False
    return bool(abs(float(np.median(brightness[hair])) - face.colour[0]) >= _scaled_contrast(face, 15))


def _scaled_contrast(face: Face, levels: float) -> float:
    """Scale a contrast, in levels of brightness on a face of Y = 120 or more, to this face: dark skin shows less contrast."""
    return levels * min(1.0, float(face.colour[0]) / 120)


def _has_a_body(mask: Pixels, face: Face) -> bool:
    """Return whether the mask is narrow at the face and about twice as wide between shoulders and hips.

    Row widths are medians of mask pixels per row. The shoulders begin about one face below the chin; the hips are 1.7 face
    widths further down and must lie within the mask.
    """
    _, top, mask_width, mask_height = cv2.boundingRect(mask)
    row_widths = (mask > 0).sum(axis=1)
    length = face.chin - face.top
    shoulders = round(face.chin + 0.6 * length + 0.3 * face.width)
    hips = round(shoulders + 1.7 * face.width)
    if hips > top + mask_height or length > 0.42 * mask_height or face.width < 0.12 * mask_width:
        return False
    head_width = float(np.median(row_widths[face.top : face.top + round(0.8 * length) + 1]))
    body_width = float(np.median(row_widths[shoulders:hips]))
    return head_width <= 3.2 * face.width and body_width >= max(1.5 * face.width, 1.1 * head_width)


def _skin(colours: Pixels, mask: Pixels, face: Face) -> Pixels:
    """Return the part of the mask in the colour of the face, uint8 (h, w), without specks."""
    distance = (((colours.astype(np.float32) - face.colour) / SKIN_SPREAD) ** 2).sum(axis=2)
    skin = np.where((distance < 1) & (mask > 0), 255, 0).astype(np.uint8)
    # In two steps, because MORPH_OPEN does not mirror kernels of even size and would shift the mask by a pixel.
    eroded = cv2.erode(skin, _SQUARE_2, anchor=(1, 1))
    return np.asarray(cv2.dilate(eroded, _SQUARE_2, anchor=(0, 0)), np.uint8)


def _torso(garment: Pixels, face: Face) -> Pixels:
    """Return the part of the garment below the face where it covers the chest and the waist, uint8 (h, w)."""
    torso = np.zeros_like(garment)
    rows = slice(face.chin + round(0.8 * face.width), face.chin + round(3 * face.width))
    columns = _columns(face, 0.7, garment)
    torso[rows, columns] = garment[rows, columns]
    return torso


def _hem(colours: Pixels, garment: Pixels, face: Face) -> int | None:
    """Find the row where the upper garment ends and one of another colour begins; None where no row separates the two.

    It is the row at which splitting the mean colours of rows in two leaves the least variance within both parts, as Otsu's
    threshold does for grey levels, if the split explains at least half of the variance and the colours differ by 18 levels.
    """
    columns = _columns(face, 0.9, garment)
    first = face.chin + round(0.6 * face.width)
    strip, covered = colours[first:, columns].astype(np.float32), garment[first:, columns] > 0
    used = np.flatnonzero(covered.sum(axis=1) >= 3)
    if len(used) <= 10:
        return None
    strip, covered = strip[used], covered[used, :, None]
    means = (strip * covered).sum(axis=1) / covered.sum(axis=1)
    above = np.arange(1, len(used), dtype=np.float32)[:, None]
    sums = means.cumsum(axis=0)
    upper = sums[:-1] / above
    lower = (sums[-1] - sums[:-1]) / (len(used) - above)
    gap = ((upper - lower) ** 2).sum(axis=1)
    explained = above[:, 0] * (len(used) - above[:, 0]) / len(used) * gap
    rows = first + used[1:]
    possible = (rows > face.chin + 2 * face.width) & (rows <= face.chin + 6 * face.width)
    best = int(np.argmax(np.where(possible, explained, -1)))
    variance = float(((means - means.mean(axis=0)) ** 2).sum())
    if not possible[best] or explained[best] < 0.5 * variance or gap[best] < 18**2:
        return None
    return int(rows[best])


def _columns(face: Face, half_width: float, mask: Pixels) -> slice:
    """Return the columns within `half_width` face widths of the face's centre."""
    left, right = round(face.middle - half_width * face.width), round(face.middle + half_width * face.width)
    return slice(max(0, left), min(mask.shape[1], right + 1))


_SQUARE_2 = np.ones((2, 2), np.uint8)
