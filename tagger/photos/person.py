"""Find the person in a photo: the face and the landmarks of the body, by two small networks.

A face alone is no proof: buttons and prints resemble one. A person is accepted where the face network and the landmark network,
which see different crops, agree: the shoulders lie below the face, at most three and a half faces apart. Neither tone of
skin nor hair is used. A person whose head is cropped, or seen from behind, is not found, and the photo is kept whole.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tagger.arrays import Pixels
from tagger.photos.detector import (
    LEFT_HIP,
    LEFT_SHOULDER,
    NOSE,
    RIGHT_HIP,
    RIGHT_SHOULDER,
    Body,
    Face,
    Square,
    find_body,
    find_face,
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

MIN_FACE_WIDTH = 0.04
"""Minimum width of a face as a share of the person's longer side."""


@dataclass(frozen=True)
class Person:
    """A person in a photo; places in pixels of the photo."""

    face: Face
    body: Body

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
        return Person(face, replace(self.body, points=self.body.points * factors))

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


def find_person(pixels: Pixels, box: Box) -> Person | None:
    """Find the person who fills a box of a photo; None where there is no face with a body below it.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        box: bounds of what stands out from the background.
    """
    width, height = box[2:]
    if height < max(MIN_HEIGHT, MIN_ASPECT * width):
        return None
    face = find_face(pixels, face_square(box))
    if face.score < FAINT_FACE or face.width < MIN_FACE_WIDTH * max(width, height):
        return None
    side = round(FACES_PER_BODY * face.height)
    body = find_body(pixels, Square(round(face.x - side / 2), round(face.y - FACE_BELOW_TOP * side), side))
    return Person(face, body) if _agree(face, body, max(width, height)) else None


def face_square(box: Box) -> Square:
    """Return the square in which the face is sought: the upper part of a tall box, a little larger than it."""
    x, y, width, height = box
    side = FACE_SHARE * height if height >= TALL * width else max(width, 0.75 * height)
    return Square(round(x + width / 2 - 0.55 * side), round(y - 0.05 * side), round(1.1 * side))


def _agree(face: Face, body: Body, size: int) -> bool:
    """Return whether a face and a body are one person's."""
    column, row = _middle(body, LEFT_SHOULDER, RIGHT_SHOULDER)
    left, right = body.points[LEFT_SHOULDER], body.points[RIGHT_SHOULDER]
    apart = math.hypot(left[0] - right[0], left[1] - right[1]) / face.width
    if not SHOULDERS_BELOW[0] < (row - face.y) / face.height < SHOULDERS_BELOW[1]:
        return False
    if abs(column - face.x) > MAX_LEAN * face.width:
        return False
    if face.score >= CLEAR_FACE:
        return body.presence >= MIN_PRESENCE and SHOULDERS_APART[0] < apart < SHOULDERS_APART[1]
    if body.presence < CLEAR_PRESENCE or not FAINT_SHOULDERS_APART[0] < apart < FAINT_SHOULDERS_APART[1]:
        return False
    offset = math.hypot(body.points[NOSE][0] - face.nose[0], body.points[NOSE][1] - face.nose[1]) / face.width
    return offset <= MAX_OFFSET and face.width >= MIN_FAINT_WIDTH * size


def _middle(body: Body, left: int, right: int) -> tuple[float, float]:
    """Return the middle of two landmarks."""
    column, row = (body.points[left] + body.points[right]) / 2
    return float(column), float(row)
