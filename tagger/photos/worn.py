"""Segment the garments that a person wears: which parts of a photo may be the product, and how likely each is by the framing.

Fashion-MNIST shows no people. In a photo of somebody wearing the product, the head, bare skin and the other garments would be
read as parts of the product: to a network that knows garments alone nearly every person is a dress.

The tone of the skin is measured in the face that was found. Skin is removed where the landmarks see arms, legs and neck, and
nowhere else, so that a garment or a print of that tone stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Flags, Floats, Pixels
from tagger.photos import detector
from tagger.photos.person import Person
from tagger.records import RegionName

SKIN_SPREAD = np.array([60, 9, 9], np.float32)
"""Scale of the distance between skin and the same person's face in (Y, Cr, Cb): light changes brightness more than hue."""

MAX_SKIN_SHARE = 0.45
"""Where more of a garment has the tone of the face, the garment has that tone itself, and is kept."""

LIMBS = (
    (detector.LEFT_SHOULDER, detector.LEFT_ELBOW, detector.LEFT_WRIST, detector.LEFT_FINGER),
    (detector.RIGHT_SHOULDER, detector.RIGHT_ELBOW, detector.RIGHT_WRIST, detector.RIGHT_FINGER),
    (detector.LEFT_HIP, detector.LEFT_KNEE, detector.LEFT_ANKLE, detector.LEFT_TOE),
    (detector.RIGHT_HIP, detector.RIGHT_KNEE, detector.RIGHT_ANKLE, detector.RIGHT_TOE),
)
"""Landmarks along arms and legs."""

HANDS = (detector.LEFT_WRIST, detector.LEFT_FINGER), (detector.RIGHT_WRIST, detector.RIGHT_FINGER)
"""Landmarks between which a hand lies."""

THIGHS = (detector.LEFT_HIP, detector.LEFT_KNEE), (detector.RIGHT_HIP, detector.RIGHT_KNEE)
"""Landmarks between which a thigh lies."""

LIMB_WIDTH = 0.35
"""Width of the lines along the limbs at which bare skin is looked for, in face widths."""

MIDDLE, WINDOW, MIN_LENGTH, MIN_DISTANCE = 0.7, 0.35, 0.08, 0.6
"""A second garment begins where the colours above and below a row differ, within `MIDDLE` face widths of the body's middle and
`WINDOW` heights of the torso: 1 less the intersection of their histograms is at least `MIN_DISTANCE`. The second garment
is at least `MIN_LENGTH` torsos long."""

SLIVER = 0.2
"""What is narrower than this share of the face's width beside bare skin is the skin's soft edge."""

LONG = 0.35
"""A garment that ends this much of the torso's height below the hips is a coat, a dress or a tunic, not a top over trousers."""

LEG = 1.3
"""Height from the hips to the ankles, in heights of the torso (shoulders to hips)."""

MIN_SHARE = {"upper": 0.15, "lower": 0.1, "whole": 0.15}
"""Minimum area of a region as a share of the person."""

MAX_LOWER = 0.7
"""How likely the garment on the legs is the product in a photo of a whole figure; a photo that ends at the knees or above shows
the one above the hips."""


@dataclass(frozen=True)
class WornRegion:
    """A part of a photo that may be the product."""

    name: RegionName
    mask: Pixels
    """uint8 (h, w), 0 or 255."""
    prior: float
    """How likely it is the product by the framing alone; the priors of a photo sum to 1."""


Regions: TypeAlias = tuple[WornRegion, ...]


def worn_regions(pixels: Pixels, mask: Pixels, person: Person) -> Regions:
    """Segment what a person wears into one region, or two where a second garment begins and is shown nearly whole.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        mask: uint8 (h, w), 255 where something stands out from the background, 0 elsewhere.
        person: the person in the mask.

    Returns:
        The regions, the one above the hips first. Head and bare skin are in none of them. Empty where nothing is left that
        could be a garment.
    """
    colours = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    garment = mask.copy()
    garment[: max(0, round(person.chin))] = 0
    skin = bare_skin(colours, garment, person)
    garment &= ~(skin | _slivers(garment & ~skin, skin, person))
    hem = find_hem(colours, garment, person)
    size = np.count_nonzero(mask)
    if hem is not None:
        upper, lower = garment.copy(), garment.copy()
        upper[hem:], lower[:hem] = 0, 0
        prior = _prior_of_lower(mask, person, hem)
        if np.count_nonzero(upper) >= MIN_SHARE["upper"] * size:
            if prior > 0 and np.count_nonzero(lower) >= MIN_SHARE["lower"] * size:
                return WornRegion("upper", upper, 1 - prior), WornRegion("lower", lower, prior)
            return (WornRegion("upper", upper, 1.0),)
    if np.count_nonzero(garment) < MIN_SHARE["whole"] * size:
        return ()
    return (WornRegion("upper" if _ends_at_the_hips(mask, person) else "whole", garment, 1.0),)


def skin_colours(colours: Pixels, mask: Pixels, person: Person) -> list[Floats]:
    """Return the colours of the person's skin, each float32 (3,), from uint8 (h, w, 3) in the same colour space.

    The first is that of nose and cheeks. Those of the hands follow where they are visible and resemble it: light from one
    side leaves them brighter or darker than the face. Without a face, the hands' are returned where they are not the clothes'.
    """
    face, points, visibility = person.face, person.body.points, person.body.visibility
    found = []
    if person.has_face:
        top = face.eyes[1] + 0.06 * face.height
        bottom = max(face.mouth[1] - 0.06 * face.height, face.eyes[1] + 0.12 * face.height)
        found = [_median_colour(colours, (top, bottom), (face.nose[0] - 0.2 * face.width, face.nose[0] + 0.2 * face.width))]
    clothes = [] if person.has_face else _clothes_colours(colours, person)
    for wrist, finger in HANDS:
        column, row = (float(place) for place in (points[wrist] + points[finger]) / 2)
        inside = 0 <= round(row) < mask.shape[0] and 0 <= round(column) < mask.shape[1] and mask[round(row), round(column)] > 0
        if inside and visibility[wrist] >= 0.5:
            hand = _patch_colour(colours, (column, row), person)
            like_face = not person.has_face or _distance(hand, found[0], 2) < 1
            if like_face and all(_distance(hand, cloth, 1) >= 1 for cloth in clothes):
                found.append(hand)
    return found


def _clothes_colours(colours: Pixels, person: Person) -> list[Floats]:
    """Return the colours on the chest and on both thighs: a hand in a pocket or a glove may resemble one of them."""
    points = person.body.points
    chest = (person.column, person.shoulders + 0.4 * person.torso)
    thighs = [(points[hip] + points[knee]) / 2 for hip, knee in THIGHS]
    return [_patch_colour(colours, (float(column), float(row)), person) for column, row in (chest, *thighs)]


def _patch_colour(colours: Pixels, place: tuple[float, float], person: Person) -> Floats:
    """Return the median colour around a place, float32 (3,)."""
    column, row = place
    reach = 0.1 * person.face.width
    return _median_colour(colours, (row - reach, row + reach), (column - reach, column + reach))


def _distance(colour: Floats, other: Floats, spread: float) -> float:
    """Return the squared distance between two colours; 1 is as far as skin of one tone varies, times `spread`."""
    return float((((colour - other) / (spread * SKIN_SPREAD)) ** 2).sum())


def _median_colour(colours: Pixels, rows: tuple[float, float], columns: tuple[float, float]) -> Floats:
    """Return the median colour between two rows and two columns, as far as they are in the photo, float32 (3,)."""
    height, width = colours.shape[:2]
    top, left = (min(max(0, round(edge)), side - 1) for edge, side in ((rows[0], height), (columns[0], width)))
    patch = colours[top : max(top, round(rows[1])) + 1, left : max(left, round(columns[1])) + 1]
    return np.asarray(np.median(patch.reshape(-1, 3), axis=0), np.float32)


def bare_skin(colours: Pixels, garment: Pixels, person: Person) -> Pixels:
    """Return the part of a mask that is bare skin, uint8 (h, w): in the tone of the face, along arms and legs or at the neck.

    Nothing is skin where the garment on the torso has that tone itself.
    """
    channels = cv2.split(colours)
    alike = np.zeros(garment.shape, bool)
    for colour in skin_colours(colours, garment, person):
        alike |= _squared_distance(channels, colour) < 1
    skin = np.where(alike & (garment > 0), np.uint8(255), np.uint8(0))
    # In two steps, because MORPH_OPEN does not mirror kernels of even size and would shift the mask by a pixel.
    skin = np.asarray(cv2.dilate(cv2.erode(skin, _SQUARE_2, anchor=(1, 1)), _SQUARE_2, anchor=(0, 0)), np.uint8)
    torso = _torso(garment, person)
    if np.count_nonzero(skin & torso) >= MAX_SKIN_SHARE * np.count_nonzero(torso):
        return np.zeros_like(skin)
    return _parts_touching(skin, _limbs(garment.shape, person), connectivity=4)


def _squared_distance(channels: Sequence[NDArray[Any]], colour: Floats) -> Floats:
    """Return the squared distance of every pixel from a skin's colour, float32 (h, w); 1 is as far as skin of one tone varies.

    A pixel's levels are bytes, so the terms are looked up: a tenth of the time of computing them.
    """
    levels = np.arange(256, dtype=np.float32)[:, None]
    terms = np.ascontiguousarray((((levels - colour) / SKIN_SPREAD) ** 2).T)
    luma, red, blue = (cv2.LUT(channel, term) for channel, term in zip(channels, terms, strict=True))
    return np.asarray(cv2.add(cv2.add(luma, red), blue), np.float32)


def _parts_touching(mask: Pixels, other: Pixels, connectivity: int) -> Pixels:
    """Return the connected parts of a mask, uint8 (h, w), that another mask touches, 255 or 0."""
    count, found = cv2.connectedComponents(mask, connectivity=connectivity)
    labels = np.asarray(found, np.int32)
    kept = np.zeros(count, np.uint8)
    kept[labels[other > 0]] = 255
    kept[0] = 0
    return np.asarray(np.take(kept, labels), np.uint8)


def _slivers(garment: Pixels, skin: Pixels, person: Person) -> Pixels:
    """Return the narrow parts of a garment beside bare skin, uint8 (h, w): edges of arms and legs. Straps are none."""
    side = max(3, round(SLIVER * person.face.width) | 1)
    opened = cv2.morphologyEx(garment, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    narrow = garment & ~np.asarray(opened, np.uint8)
    narrow[_straps(garment.shape, person)] = 0
    return _parts_touching(narrow, np.asarray(cv2.dilate(skin, np.ones((3, 3), np.uint8)), np.uint8), connectivity=8)


def _straps(shape: tuple[int, ...], person: Person) -> Flags:
    """Return where straps may run, bool (h, w): between the shoulders down to the chest, but not beside the neck."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    left, right = sorted(float(person.body.points[joint][0]) for joint in (detector.LEFT_SHOULDER, detector.RIGHT_SHOULDER))
    beside_neck = (rows < person.shoulders) & (np.abs(columns - person.face.x) < 0.6 * person.face.width)
    return np.asarray((rows < person.shoulders + 0.35 * person.torso) & (columns >= left) & (columns <= right) & ~beside_neck)


def _limbs(shape: tuple[int, ...], person: Person) -> Pixels:
    """Draw the neck and the limbs that are in the photo as lines, uint8 (h, w)."""
    lines = np.zeros(shape[:2], np.uint8)
    points, visibility = person.body.points, person.body.visibility
    width = max(2, round(LIMB_WIDTH * person.face.width))
    for limb in LIMBS:
        for start, end in pairwise(limb):
            if min(visibility[start], visibility[end]) >= 0.3:
                cv2.line(lines, _pixel(points[start]), _pixel(points[end]), 255, width)
    neck = (person.face.x, person.chin), (person.column, person.shoulders + 0.3 * person.torso)
    cv2.line(lines, _pixel(neck[0]), _pixel(neck[1]), 255, 2 * width)
    return lines


def find_hem(colours: Pixels, garment: Pixels, person: Person) -> int | None:
    """Find the row where the upper garment ends and another begins; None where no row separates the two.

    It is the row above and below which the histograms of the colours differ most, so that stripes and prints separate
    nothing. It is sought from the waist to the shins, in the middle of the body.
    """
    half = max(2.0, MIDDLE * person.face.width)
    columns = slice(max(0, round(person.column - half)), max(1, round(person.column + half) + 1))
    histograms = _row_histograms(colours[:, columns], garment[:, columns])
    sums = np.concatenate([np.zeros_like(histograms[:1]), histograms.cumsum(axis=0)])
    height, reach = len(histograms), max(3, round(WINDOW * person.torso))
    rows = np.arange(
        max(1, round(person.shoulders + 0.58 * person.torso)), min(height, round(person.hips + 1.1 * person.torso) + 1)
    )
    if not len(rows):
        return None
    above = sums[rows] - sums[np.maximum(rows - reach, 0)]
    below = sums[np.minimum(rows + reach, height)] - sums[rows]
    filled = np.concatenate([[0], (histograms.sum(axis=1) >= 3).cumsum()])
    enough = filled[np.minimum(rows + reach, height)] - filled[rows] >= max(3, MIN_LENGTH * person.torso)
    enough &= above.sum(axis=1) >= 10
    shares = [part / np.maximum(part.sum(axis=1, keepdims=True), 1) for part in (above, below)]
    distance = np.where(enough, 1 - np.minimum(*shares).sum(axis=1), 0)
    best = int(np.argmax(distance))
    return int(rows[best]) if distance[best] >= MIN_DISTANCE else None


def _row_histograms(colours: Pixels, garment: Pixels) -> Floats:
    """Return the histogram of the garment's colours in each row, float32 (h, 288): 8 levels of Y, 6 each of Cr and Cb."""
    luma, red, blue = (cv2.LUT(channel, table) for channel, table in zip(cv2.split(colours), _BINS, strict=True))
    bins = np.asarray(cv2.add(cv2.add(luma, red), blue)) + np.arange(len(colours), dtype=np.int32)[:, None] * 288
    counts = np.bincount(bins[garment > 0], minlength=288 * len(colours))
    return counts.reshape(len(colours), 288).astype(np.float32)


_LEVELS = np.arange(256, dtype=np.int32)
_CHROMA = np.clip((_LEVELS - 128) // 12 + 3, 0, 5)
_BINS = _LEVELS // 32 * 36, _CHROMA * 6, _CHROMA
"""What the level of each channel adds to the number of a colour's bin."""


def _prior_of_lower(mask: Pixels, person: Person, hem: int) -> float:
    """Return how likely the garment below the hem is the product: 0 to `MAX_LOWER`, by how much of the legs is shown."""
    if hem > person.hips + LONG * person.torso:
        return 0.0
    shown = (_bottom(mask) - person.hips) / (LEG * person.torso)
    return MAX_LOWER * float(np.clip((shown - 0.6) / 0.3, 0, 1))


def _ends_at_the_hips(mask: Pixels, person: Person) -> bool:
    return _bottom(mask) < person.hips + LONG * person.torso


def _bottom(mask: Pixels) -> int:
    """Return the row below a mask."""
    _, top, _, height = cv2.boundingRect(mask)
    return top + height


def _torso(garment: Pixels, person: Person) -> Pixels:
    """Return the part of the garment that covers chest and waist, uint8 (h, w)."""
    torso = np.zeros_like(garment)
    half = 0.7 * person.face.width
    rows = slice(max(0, round(person.shoulders + 0.15 * person.torso)), max(0, round(person.hips)))
    columns = slice(max(0, round(person.column - half)), max(0, round(person.column + half) + 1))
    torso[rows, columns] = garment[rows, columns]
    return torso


def _pixel(point: Floats | tuple[float, float]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


_SQUARE_2 = np.ones((2, 2), np.uint8)
