"""Drawing primitives for synthetic objects: pens, transformations and texture on a square canvas.

Every drawing is a negative on 0 with a side of `CANVAS` pixels, like a product whose background was removed. Rough shapes
with the right outline and parts are enough, as they are shrunk to 28 pixels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Pixels

CANVAS = 96
"""Side of a drawing in pixels: more than the network sees, so that drawings shrink as photos do."""

Rng = np.random.Generator
Points = NDArray[np.float64]

_MIDDLE = CANVAS / 2


def rotate(canvas: Pixels, degrees: float, scale: float = 1.0) -> Pixels:
    """Rotate a drawing about its centre, counter-clockwise by `degrees`, and scale it; what leaves the canvas is lost."""
    matrix = cv2.getRotationMatrix2D((_MIDDLE, _MIDDLE), degrees, scale)
    return np.asarray(cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS)), np.uint8)


def mirror(canvas: Pixels) -> Pixels:
    """Flip a drawing horizontally."""
    return np.ascontiguousarray(canvas[:, ::-1])


def shift(canvas: Pixels, right: float, down: float) -> Pixels:
    """Shift a drawing by `right` and `down` pixels; what leaves the canvas is lost."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS)), np.uint8)


def add_texture(canvas: Pixels, rng: Rng) -> Pixels:
    """Multiply a drawing by a gradient of light and, at random, by stripes and grain.

    The background stays 0; the object is clipped to 3..255.
    """
    y, x = np.mgrid[0:CANVAS, 0:CANVAS] / CANVAS - 0.5
    factor = 1 + rng.normal(0, 0.5) * x + rng.normal(0, 0.3) * y
    if rng.random() < 0.2:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(6, 40)
        stripes = np.sin(waves * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 6))
        factor = factor * (1 + rng.uniform(0.1, 0.6) * stripes)
    if rng.random() < 0.5:
        grain = cv2.resize(rng.normal(0, 1, (24, 24)), (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
        factor = factor * (1 + rng.uniform(0.05, 0.35) * grain)
    return np.where(canvas > 0, np.clip(canvas * factor, 3, 255), 0).astype(np.uint8)


def blank_canvas() -> Pixels:
    """Return a black canvas, uint8 (CANVAS, CANVAS)."""
    return np.zeros((CANVAS, CANVAS), np.uint8)


def random_tone(rng: Rng, low: float = 12, high: float = 255) -> int:
    """Draw a grey level of the negative uniformly from `low` to `high`."""
    return int(rng.uniform(low, high))


def draw_ellipse(canvas: Pixels, x: float, y: float, rx: float, ry: float, tone: int, width: int = -1, **arc: float) -> None:
    """Draw an ellipse with centre and radii in shares of the canvas.

    `width` is that of the outline in pixels; a negative one fills the ellipse. `arc` may hold `start`, `end` and the
    rotation `angle`, in degrees.
    """
    centre, axes = (round(x * CANVAS), round(y * CANVAS)), (max(1, round(rx * CANVAS)), max(1, round(ry * CANVAS)))
    start, end = arc.get("start", 0), arc.get("end", 360)
    cv2.ellipse(canvas, centre, axes, arc.get("angle", 0), start, end, tone, width, cv2.LINE_AA)


def draw_box(canvas: Pixels, left: float, top: float, right: float, bottom: float, tone: int) -> None:
    """Fill a rectangle, given in shares of the canvas."""
    corners = (round(left * CANVAS), round(top * CANVAS)), (round(right * CANVAS), round(bottom * CANVAS))
    cv2.rectangle(canvas, *corners, tone, -1)


def draw_line(canvas: Pixels, points: list[tuple[float, float]], tone: int, width: float) -> None:
    """Draw a polyline through `points`, in shares of the canvas, `width` pixels wide."""
    path = np.round(np.array(points) * CANVAS).astype(np.int32)
    cv2.polylines(canvas, [path], False, tone, max(1, round(width)), cv2.LINE_AA)


def draw_polygon(canvas: Pixels, points: list[tuple[float, float]] | Points, tone: int) -> None:
    """Fill a polygon, given in shares of the canvas."""
    cv2.fillPoly(canvas, [np.round(np.array(points) * CANVAS).astype(np.int32)], tone, cv2.LINE_AA)
