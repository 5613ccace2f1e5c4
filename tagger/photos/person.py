"""Somebody who wears the product: found by the face, and cut away from what is worn.

Fashion-MNIST shows no people. On photos that do, the head, the skin and what is worn below would otherwise be read as parts
of the garment: nearly every figure is a dress to a network that knows garments alone. There is no trained face detector in
here, only proportions and colours, so a figure that it misses stays whole, and `mix` shows such figures to the network.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels

SKIN_LOW, SKIN_HIGH = (40, 136, 80), (245, 182, 128)
"""Where the skin of all people lies in Y, Cr and Cb, 0..255 (Chai and Ngan 1999, IEEE CSVT 9(4), a little widened)."""

SKIN_SPREAD = np.array([60, 9, 9], np.float32)
"""How far skin may lie from the same person's face, in Y, Cr and Cb: light changes its brightness more than its hue."""

LEAST_RED = 24
"""By how much Cr exceeds Cb in skin at the least, 0..255; in light skin it is twice as much."""

LEAST_HEIGHT = 40
"""Pixels below which a figure is too small to tell a face."""


@dataclass(frozen=True)
class Face:
    """Where a face is, in pixels, and its colour, float (3,) in Y, Cr and Cb."""

    top: int
    chin: int
    middle: float
    width: float
    colour: Floats


def worn_mask(pixels: Pixels, mask: Pixels) -> Pixels | None:
    """Return which part of `mask` the figure in it wears above the hips, uint8 (h, w), or None where it is no figure.

    The head, bare skin in the colour of the face, and what differs in colour from the hips on are taken away.
    """
    colours = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    face = find_face(colours, mask)
    if face is None:
        return None
    skin = _skin(colours, mask, face)
    garment = mask.copy()
    garment[: face.chin] = 0
    torso = _torso(garment, face)
    if np.count_nonzero(skin & torso) < 0.45 * np.count_nonzero(torso):  # else the garment has the colour of skin itself
        garment &= ~skin
    hem = _hem(colours, garment, face)
    if hem is not None:
        garment[hem:] = 0
    return garment if np.count_nonzero(garment) >= 0.15 * np.count_nonzero(mask) else None


def find_face(colours: Pixels, mask: Pixels) -> Face | None:
    """Return the face in `colours`, uint8 (h, w, 3) Y Cr Cb, that stands at the top of a figure in `mask`, if there is one."""
    _, top, width, height = cv2.boundingRect(mask)
    if height < max(LEAST_HEIGHT, 1.05 * width):
        return None
    skin = np.asarray(cv2.inRange(colours, SKIN_LOW, SKIN_HIGH), np.uint8) & mask
    skin[top + round(0.42 * height) :] = 0
    _, labels, stats, centres = cv2.connectedComponentsWithStats(cv2.erode(skin, _SQUARE_2), connectivity=4)
    largest_first = np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:3] + 1
    for part in largest_first:
        if 20 < stats[part, cv2.CC_STAT_AREA] < 0.16 * width * height:
            face = _measured(colours, np.asarray(labels) == part, stats[part], float(centres[part][0]))
            if face is not None and _has_a_head(colours, mask, face) and _has_a_body(mask, face):
                return face
    return None


def _measured(colours: Pixels, part: NDArray[np.bool_], stats: NDArray[np.int32], middle: float) -> Face | None:
    """Return a patch of skin as a face, whose height follows from its width: a bare neck and chest hang below it."""
    top, height = int(stats[cv2.CC_STAT_TOP]), int(stats[cv2.CC_STAT_HEIGHT])
    widths = part[top : top + height].sum(axis=1)
    width = float(np.percentile(widths[: max(3, round(0.7 * height))], 85))
    chin = top + round(min(height, 1.35 * width))
    patch = part[top : chin + 1]
    if width < 4 or np.count_nonzero(patch) < 0.5 * width * (chin - top):
        return None
    colour = np.median(colours[top : chin + 1][patch], axis=0).astype(np.float32)
    return Face(top, chin, middle, width, colour) if colour[1] - colour[2] >= LEAST_RED else None


def _has_a_head(colours: Pixels, mask: Pixels, face: Face) -> bool:
    """Whether hair surrounds the face, in another tone, and eyes and mouth make it uneven."""
    top = cv2.boundingRect(mask)[1]
    if not 0.08 * face.width <= face.top - top <= 1.6 * face.width:
        return False
    head = mask[top : face.chin] > 0
    near = np.abs(colours[top : face.chin].astype(np.float32) - face.colour) / SKIN_SPREAD
    hair = head & ((near**2).sum(axis=2) >= 1)
    brightness = colours[top : face.chin, :, 0]
    inside = brightness[face.top - top :, _columns(face, 0.5, mask)]
    if np.count_nonzero(hair) < 0.4 * np.count_nonzero(head) or inside.std() < _share_of_light(face, 35):
        return False
    return bool(abs(float(np.median(brightness[hair])) - face.colour[0]) >= _share_of_light(face, 15))


def _share_of_light(face: Face, levels: float) -> float:
    """Return what `levels` on a well-lit face of light skin, at 120, are on this one: dark skin shows less of everything."""
    return levels * min(1.0, float(face.colour[0]) / 120)


def _has_a_body(mask: Pixels, face: Face) -> bool:
    """Whether the figure is narrow at the face and about twice as wide below, where its shoulders are."""
    _, top, whole, height = cv2.boundingRect(mask)
    widths = (mask > 0).sum(axis=1)
    length = face.chin - face.top
    shoulders = round(face.chin + 0.6 * length + 0.3 * face.width)
    hips = round(shoulders + 1.7 * face.width)
    if hips > top + height or length > 0.42 * height or face.width < 0.12 * whole:
        return False
    head = float(np.median(widths[face.top : face.top + round(0.8 * length) + 1]))
    body = float(np.median(widths[shoulders:hips]))
    return head <= 3.2 * face.width and body >= max(1.5 * face.width, 1.1 * head)


def _skin(colours: Pixels, mask: Pixels, face: Face) -> Pixels:
    """Return where `mask` has the colour of the face, uint8 (h, w), without specks."""
    distance = (((colours.astype(np.float32) - face.colour) / SKIN_SPREAD) ** 2).sum(axis=2)
    skin = np.where((distance < 1) & (mask > 0), 255, 0).astype(np.uint8)
    # MORPH_OPEN would move it by a pixel, as it does not mirror even kernels.
    eroded = cv2.erode(skin, _SQUARE_2, anchor=(1, 1))
    return np.asarray(cv2.dilate(eroded, _SQUARE_2, anchor=(0, 0)), np.uint8)


def _torso(garment: Pixels, face: Face) -> Pixels:
    torso = np.zeros_like(garment)
    rows = slice(face.chin + round(0.8 * face.width), face.chin + round(3 * face.width))
    columns = _columns(face, 0.7, garment)
    torso[rows, columns] = garment[rows, columns]
    return torso


def _hem(colours: Pixels, garment: Pixels, face: Face) -> int | None:
    """Return the row in which what is worn above ends and something in another colour begins, or None.

    It is where splitting the rows' colours in two leaves the least variance within, as Otsu's threshold does with grey
    levels, if that explains half of it.
    """
    columns = _columns(face, 0.9, garment)
    first = face.chin + round(0.6 * face.width)
    strip, seen = colours[first:, columns].astype(np.float32), garment[first:, columns] > 0
    used = np.flatnonzero(seen.sum(axis=1) >= 3)
    if len(used) <= 10:
        return None
    strip, seen = strip[used], seen[used, :, None]
    means = (strip * seen).sum(axis=1) / seen.sum(axis=1)
    above = np.arange(1, len(used), dtype=np.float32)[:, None]
    sums = means.cumsum(axis=0)
    upper = sums[:-1] / above
    lower = (sums[-1] - sums[:-1]) / (len(used) - above)
    gap = ((upper - lower) ** 2).sum(axis=1)
    explained = above[:, 0] * (len(used) - above[:, 0]) / len(used) * gap
    rows = first + used[1:]
    possible = (rows > face.chin + 2 * face.width) & (rows <= face.chin + 6 * face.width)
    best = int(np.argmax(np.where(possible, explained, -1)))
    whole = float(((means - means.mean(axis=0)) ** 2).sum())
    if not possible[best] or explained[best] < 0.5 * whole or gap[best] < 18**2:
        return None
    return int(rows[best])


def _columns(face: Face, half: float, mask: Pixels) -> slice:
    """Return the columns within `half` widths of the face's middle."""
    left, right = round(face.middle - half * face.width), round(face.middle + half * face.width)
    return slice(max(0, left), min(mask.shape[1], right + 1))


_SQUARE_2 = np.ones((2, 2), np.uint8)
