"""Find the person in a photo: the face and the landmarks of the body, by two small networks.

A face alone is no proof: buttons and prints resemble one. A person is accepted where the face network and the landmark network,
which see different crops, agree: the shoulders lie below the face, at most three and a half faces apart. Where there is no
face, because the photo ends at the neck or the person is seen from behind, a person is accepted where the landmark network
sees shoulders, elbows and wrists at two assumed sizes; an empty garment shows none. Tones of skin and hair are not used.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from tagger.arrays import Pixels
from tagger.photos.detector import (
    GLANCE_SIDE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    Body,
    Face,
    Square,
    find_body,
    find_face,
    glance_at_face,
)

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""

MIN_HEIGHT, MIN_ASPECT = 40, 0.75
"""Minimum height in pixels, and of height by width, of what may be a person; smaller or wider things are not examined."""

FACE_SHARE, TALL = 0.6, 1.3
"""Of what is taller than `TALL` times its width, the face is sought in a square of this share of the height, at the top."""

FACES_PER_BODY, FACE_BELOW_TOP = 13, 0.13
"""The body is sought in a square of 13 face heights, which holds a whole figure, also where the photo ends above: the landmark
network takes what it is shown for a whole figure. The face lies this share of the square below its top."""

CLEAR_FACE, MIN_PRESENCE = 0.7, 0.8
"""A face of this score is accepted where the landmark network gives a body at least this presence."""

FAINT_FACE, CLEAR_PRESENCE, MAX_OFFSET, MIN_FAINT_WIDTH = 0.45, 0.97, 0.35, 0.085
"""A face of a lower score, as in a dark photo, is accepted with more evidence: the presence, the distance between the noses
that the two networks see, in face widths, and the width of the face as a share of the person's longer side."""

SHOULDERS_BELOW, MAX_LEAN = (0.6, 2.0), 1.1
"""How far the shoulders lie below the middle of the face, in face heights, and at most beside it, in face widths."""

SHOULDERS_APART, FAINT_SHOULDERS_APART = (0.8, 3.6), (1.4, 3.0)
"""Distance between the shoulders, in face widths; less in profile."""

MIN_GLANCE = 0.25
"""Least score of the most probable face in a small image at which it is looked for in a larger one.

Of 110 people in shop photos, also mirrored, dark, overexposed, grey, blurred, noisy, rotated by 8 degrees or of a third of the
size, who were found without this step, all scored 0.55 or more; of other photos a tenth scores 0.25."""

MAX_GAP_ABOVE = 0.02
"""Greatest gap above a person without a face, as a share of the photo's height: a head that is not seen is cut off by the upper
edge."""

NECK_DEPTH, NECK_WIDTH = 0.03, (0.25, 0.95)
"""How far below its top, as a share of its height, the outline of a person without a head has which share of its width. In 61
photos of people cut off at or below the chin it was 0.41 to 0.86."""

FACES_ACROSS = 5.0, 3.4
"""Widths of a person from hand to hand, in faces, that are assumed where no face is seen."""

MIN_SEEN, MAX_SHIFT = 0.6, 0.3
"""Minimum visibility of both elbows and wrists of a person without a face, and how far a shoulder, an elbow or a wrist may be
from its place at the other size, in distances between the shoulders: the arms that the network imagines on an empty garment
move with the assumed size. Chosen on photos cut at the chin, packshots and phone photos."""

ACROSS, LIMB, MAX_DROP = (0.36, 0.68), (0.45, 1.4), 0.9
"""Of a person without a face: the distance between the shoulders, as a share of the width; the length of upper arms and
forearms and how far the shoulders lie below the upper edge, in distances between the shoulders."""

SHOULDERS_PER_FACE = 1.9
"""Distance between the shoulders of a person who faces the camera, in face widths."""

CHIN_ABOVE = 0.72
"""Height of the chin above the shoulders, in face heights."""

MIN_FACE_WIDTH = 0.04
"""Minimum width of a face as a share of the person's longer side."""


@dataclass(frozen=True)
class Person:
    """A person in a photo; places in pixels of the photo."""

    face: Face
    """The face, or where it would be."""
    body: Body
    has_face: bool = True
    """Whether the face is seen."""

    def scaled(self, along_x: float, along_y: float) -> "Person":
        """Return the person in another resolution of the photo."""
        factors = np.array([along_x, along_y], np.float32)

        def moved(point: tuple[float, float]) -> tuple[float, float]:
            return point[0] * along_x, point[1] * along_y

        face = replace(
            self.face,
            x=self.face.x * along_x,
            y=self.face.y * along_y,
            width=self.face.width * along_x,
            height=self.face.height * along_y,
            eyes=moved(self.face.eyes),
            nose=moved(self.face.nose),
            mouth=moved(self.face.mouth),
        )
        return Person(face, replace(self.body, points=self.body.points * factors), self.has_face)

    @property
    def chin(self) -> float:
        """Row of the chin."""
        return self.face.y + self.face.height / 2

    @property
    def shoulders(self) -> float:
        """Row of the shoulders."""
        return _middle(self.body, LEFT_SHOULDER, RIGHT_SHOULDER)[1]

    @property
    def hips(self) -> float:
        """Row of the hips; below the photo's edge where they are not in it. At least a face below the shoulders."""
        return max(_middle(self.body, LEFT_HIP, RIGHT_HIP)[1], self.shoulders + self.face.height)

    @property
    def torso(self) -> float:
        """Height from the shoulders to the hips."""
        return self.hips - self.shoulders

    @property
    def column(self) -> float:
        """Column of the torso's middle."""
        return (_middle(self.body, LEFT_SHOULDER, RIGHT_SHOULDER)[0] + _middle(self.body, LEFT_HIP, RIGHT_HIP)[0]) / 2


def find_person(pixels: Pixels, small: Pixels, mask: Pixels) -> Person | None:
    """Find the person that a mask outlines; None where the networks see none.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        small: uint8, the same view at a lower resolution.
        mask: uint8 of the size of `small`, not 0 on what stands out from the background; not empty.

    Returns:
        The person, in pixels of `pixels`.
    """
    x, y, width, height = cv2.boundingRect(mask)
    outline = x, y, width, height
    box = _scaled_box(outline, small, pixels)
    width, height = box[2:]
    if height < max(MIN_HEIGHT, MIN_ASPECT * width):
        return None
    square, small_square = face_square(box), face_square(outline)
    in_small = small_square.side >= GLANCE_SIDE / 2  # enough pixels for a glance
    if (glance_at_face(small, small_square) if in_small else glance_at_face(pixels, square)) >= MIN_GLANCE:
        face = find_face(pixels, square)
        if face.score >= FAINT_FACE and face.width >= MIN_FACE_WIDTH * max(width, height):
            body = find_body(pixels, _body_square(face.x, face.y, face.height))
            if _agree(face, body, max(width, height)):
                return Person(face, body)
    return _find_without_face(pixels, box) if may_end_at_neck(mask) else None


def _scaled_box(box: Box, small: Pixels, pixels: Pixels) -> Box:
    """Return a box of `small` in pixels of `pixels`, the same view at another resolution."""
    along_x, along_y = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
    x, y, width, height = box
    return round(x * along_x), round(y * along_y), round(width * along_x), round(height * along_y)


def may_end_at_neck(mask: Pixels) -> bool:
    """Return whether a mask, uint8 (h, w), may outline a person whose head the photo's upper edge cuts off.

    It reaches that edge, as broad there as a neck or shoulders, and not both sides of the photo: elbows and wrists have to be
    seen. Other photos are spared the network of the body, the dearest step of all.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if y > MAX_GAP_ABOVE * len(mask) or (x <= 1 and x + width >= mask.shape[1] - 1):
        return False
    top = min(y + max(1, round(NECK_DEPTH * height)), len(mask) - 1)
    return bool(NECK_WIDTH[0] * width <= np.count_nonzero(mask[top]) <= NECK_WIDTH[1] * width)


def _find_without_face(pixels: Pixels, box: Box) -> Person | None:
    """Find a person whose face is not seen, assumed to begin at the neck; None where no shoulders and arms are seen."""
    x, y, width, _ = box
    sizes = [width / faces for faces in FACES_ACROSS]
    first = find_body(pixels, _body_square(x + width / 2, y - sizes[0] / 2, sizes[0]))
    if not _has_arms(first, box):
        return None
    second = find_body(pixels, _body_square(x + width / 2, y - sizes[1] / 2, sizes[1]))
    if not _shows_arms(second):
        return None
    across = _apart(first, LEFT_SHOULDER, RIGHT_SHOULDER)
    if any(math.dist(first.points[joint], second.points[joint]) > MAX_SHIFT * across for joint in _JOINTS):
        return None
    size = across / SHOULDERS_PER_FACE
    column, row = _middle(first, LEFT_SHOULDER, RIGHT_SHOULDER)
    row = max(y - size / 2, row - (CHIN_ABOVE + 0.5) * size)
    eyes, mouth = (column, row - size / 4), (column, row + size / 4)
    return Person(Face(column, row, size, size, 0.0, eyes, (column, row), mouth), first, has_face=False)


_JOINTS = (LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST)


def _shows_arms(body: Body) -> bool:
    """Return whether a body is present and its elbows and wrists are visible."""
    return body.presence >= CLEAR_PRESENCE and bool(body.visibility[list(_JOINTS[2:])].min() >= MIN_SEEN)


def _has_arms(body: Body, box: Box) -> bool:
    """Return whether arms of a person's proportions are seen, with the shoulders at the top of a box."""
    if not _shows_arms(body):
        return False
    across = _apart(body, LEFT_SHOULDER, RIGHT_SHOULDER)
    if not ACROSS[0] < across / box[2] < ACROSS[1]:
        return False
    bones = (LEFT_SHOULDER, LEFT_ELBOW), (LEFT_ELBOW, LEFT_WRIST), (RIGHT_SHOULDER, RIGHT_ELBOW), (RIGHT_ELBOW, RIGHT_WRIST)
    if not all(LIMB[0] < _apart(body, *bone) / across < LIMB[1] for bone in bones):
        return False
    return _middle(body, LEFT_SHOULDER, RIGHT_SHOULDER)[1] - box[1] < MAX_DROP * across


def _apart(body: Body, one: int, other: int) -> float:
    """Return the distance between two landmarks, at least a pixel."""
    return max(1.0, math.dist(body.points[one], body.points[other]))


def _body_square(column: float, row: float, size: float) -> Square:
    """Return the square in which the body is sought below a face at this place, of this height."""
    side = max(1, round(FACES_PER_BODY * size))
    return Square(round(column - side / 2), round(row - FACE_BELOW_TOP * side), side)


def face_square(box: Box) -> Square:
    """Return the square in which the face is sought: the upper part of a tall box, a little larger than it."""
    x, y, width, height = box
    side = FACE_SHARE * height if height >= TALL * width else max(width, 0.75 * height)
    return Square(round(x + width / 2 - 0.55 * side), round(y - 0.05 * side), round(1.1 * side))


def _agree(face: Face, body: Body, size: int) -> bool:
    """Return whether a face and a body are one person's."""
    column, row = _middle(body, LEFT_SHOULDER, RIGHT_SHOULDER)
    apart = _apart(body, LEFT_SHOULDER, RIGHT_SHOULDER) / face.width
    if not SHOULDERS_BELOW[0] < (row - face.y) / face.height < SHOULDERS_BELOW[1]:
        return False
    if abs(column - face.x) > MAX_LEAN * face.width:
        return False
    if face.score >= CLEAR_FACE:
        return body.presence >= MIN_PRESENCE and SHOULDERS_APART[0] < apart < SHOULDERS_APART[1]
    if body.presence < CLEAR_PRESENCE or not FAINT_SHOULDERS_APART[0] < apart < FAINT_SHOULDERS_APART[1]:
        return False
    offset = math.dist(body.points[NOSE], face.nose) / face.width
    return offset <= MAX_OFFSET and face.width >= MIN_FAINT_WIDTH * size


def _middle(body: Body, left: int, right: int) -> tuple[float, float]:
    """Return the middle of two landmarks."""
    column, row = (body.points[left] + body.points[right]) / 2
    return float(column), float(row)
