"""Segment the garments that a person wears: which parts of a photo may be the product, and how likely each is by the framing.

Fashion-MNIST shows no people. In a photo of somebody wearing the product, the head, bare skin and the other garments would be
read as parts of the product: to a network that knows garments alone nearly every person is a dress.

The tone of the skin is measured in the face that was found. Skin is removed where the landmarks see arms, legs and neck, and
nowhere else, so that a garment or a print of that tone stays.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np

from tagger.arrays import Floats, Pixels
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

LIMB_WIDTH = 0.35
"""Width of the lines along the limbs at which bare skin is looked for, in face widths."""

MIN_GAP, MIN_EXPLAINED = 18, 0.5
"""A second garment begins where the mean colours of the rows differ by this many levels of (Y, Cr, Cb), and splitting the rows
there explains this share of their variance."""

LONG = 0.35
"""A garment that ends this much of the torso's height below the hips is a coat, a dress or a tunic, not a top over trousers."""

LEG = 1.3
"""Height from the hips to the ankles, in heights of the torso (shoulders to hips)."""

MIN_SHARE = {"upper": 0.15, "lower": 0.1, "whole": 0.15}
"""Minimum area of a region as a share of the person."""

MAX_LOWER = 0.6
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
    garment &= ~skin
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


def skin_colour(colours: Pixels, person: Person) -> Floats:
    """Return the median colour of nose and cheeks, float32 (3,) in (Y, Cr, Cb), from uint8 (h, w, 3) in the same order."""
    face = person.face
    height, width = colours.shape[:2]
    half = 0.2 * face.width
    top, bottom = face.eyes[1] + 0.06 * face.height, max(face.mouth[1] - 0.06 * face.height, face.eyes[1] + 0.12 * face.height)
    rows = slice(min(max(0, round(top)), height - 1), max(1, round(bottom) + 1))
    columns = slice(min(max(0, round(face.nose[0] - half)), width - 1), max(1, round(face.nose[0] + half) + 1))
    patch = colours[rows, columns].reshape(-1, 3)
    if not len(patch):
        return np.zeros(3, np.float32)
    return np.asarray(np.median(patch, axis=0), np.float32)


def bare_skin(colours: Pixels, garment: Pixels, person: Person) -> Pixels:
    """Return the part of a mask that is bare skin, uint8 (h, w): in the tone of the face, along arms and legs or at the neck.

    Nothing is skin where the garment on the torso has that tone itself.
    """
    distance = (((colours.astype(np.float32) - skin_colour(colours, person)) / SKIN_SPREAD) ** 2).sum(axis=2)
    skin = np.where((distance < 1) & (garment > 0), 255, 0).astype(np.uint8)
    # In two steps, because MORPH_OPEN does not mirror kernels of even size and would shift the mask by a pixel.
    skin = np.asarray(cv2.dilate(cv2.erode(skin, _SQUARE_2, anchor=(1, 1)), _SQUARE_2, anchor=(0, 0)), np.uint8)
    torso = _torso(garment, person)
    if np.count_nonzero(skin & torso) >= MAX_SKIN_SHARE * np.count_nonzero(torso):
        return np.zeros_like(skin)
    _, labels = cv2.connectedComponents(skin, connectivity=4)
    labels = np.asarray(labels)
    reached = np.zeros(int(labels.max()) + 1, bool)
    reached[np.unique(labels[_limbs(garment.shape, person) > 0])] = True
    reached[0] = False
    return np.where(reached[labels], 255, 0).astype(np.uint8)


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
    """Find the row where the upper garment ends and one of another colour begins; None where no row separates the two.

    It is the row at which splitting the mean colours of rows in two leaves the least variance within both parts, as Otsu's
    threshold does for grey levels. It is sought from the waist to the shins.
    """
    half = max(2.0, 0.9 * person.face.width)
    columns = slice(max(0, round(person.column - half)), max(1, round(person.column + half) + 1))
    first = max(0, round(person.chin + 0.3 * person.face.height))
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
    possible = (rows > person.shoulders + 0.5 * person.torso) & (rows <= person.hips + 1.5 * person.torso)
    best = int(np.argmax(np.where(possible, explained, -1)))
    variance = float(((means - means.mean(axis=0)) ** 2).sum())
    if not possible[best] or explained[best] < MIN_EXPLAINED * variance or gap[best] < MIN_GAP**2:
        return None
    return int(rows[best])


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
