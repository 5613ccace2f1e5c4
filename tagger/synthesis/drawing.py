"""Things that Fashion-MNIST does not show, drawn: bags of other kinds, and things of none of its classes.

Every drawing is a negative on 0 with a side of `CANVAS` pixels, as a product looks once its ground is cut away: rough
shapes with the right outline and parts are enough, for the network gets to see 28 pixels of them.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Pixels

CANVAS = 96

Rng = np.random.Generator
Points = NDArray[np.float64]

_MIDDLE = CANVAS / 2


def ood_object(rng: Rng) -> Pixels:
    """Return uint8 (CANVAS, CANVAS): a thing of none of Fashion-MNIST's classes, or several of them."""
    draw = _OOD_OBJECTS[rng.integers(len(_OOD_OBJECTS))]
    canvas = add_texture(draw(rng), rng)
    if rng.random() < 0.25:
        canvas = _several(canvas, rng)
    if rng.random() < 0.5:
        canvas = mirror(canvas)
    return rotate(canvas, rng.normal(0, 10) if rng.random() < 0.8 else rng.uniform(0, 360))


def bag(rng: Rng) -> Pixels:
    """Return uint8 (CANVAS, CANVAS): a rucksack, a waist bag, a bag on a chain or a pouch."""
    draw = (_rucksack, _waist_bag, _bag_on_a_strap, _bag_on_a_strap)[rng.integers(4)]
    return rotate(add_texture(draw(rng), rng), rng.normal(0, 8))


def rotate(canvas: Pixels, degrees: float, scale: float = 1.0) -> Pixels:
    """Return the drawing turned about its middle."""
    matrix = cv2.getRotationMatrix2D((_MIDDLE, _MIDDLE), degrees, scale)
    return np.asarray(cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS)), np.uint8)


def mirror(canvas: Pixels) -> Pixels:
    """Return the drawing as a mirror shows it."""
    return np.ascontiguousarray(canvas[:, ::-1])


def shift(canvas: Pixels, right: float, down: float) -> Pixels:
    """Return the drawing moved by so many pixels; what leaves the canvas is lost."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS)), np.uint8)


def add_texture(canvas: Pixels, rng: Rng) -> Pixels:
    """Return the drawing with the unevenness of real things: a light from one side, a pattern, some grain."""
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


# ----- pens ----------------------------------------------------------------------------------------------------------


def _blank() -> Pixels:
    return np.zeros((CANVAS, CANVAS), np.uint8)


def _tone(rng: Rng, low: float = 12, high: float = 255) -> int:
    return int(rng.uniform(low, high))


def _ellipse(canvas: Pixels, x: float, y: float, rx: float, ry: float, tone: int, width: int = -1, **arc: float) -> None:
    """Draw in shares of the canvas; `width` in pixels, filled if negative; `arc` may hold start, end and angle in degrees."""
    centre, axes = (round(x * CANVAS), round(y * CANVAS)), (max(1, round(rx * CANVAS)), max(1, round(ry * CANVAS)))
    start, end = arc.get("start", 0), arc.get("end", 360)
    cv2.ellipse(canvas, centre, axes, arc.get("angle", 0), start, end, tone, width, cv2.LINE_AA)


def _box(canvas: Pixels, left: float, top: float, right: float, bottom: float, tone: int) -> None:
    corners = (round(left * CANVAS), round(top * CANVAS)), (round(right * CANVAS), round(bottom * CANVAS))
    cv2.rectangle(canvas, *corners, tone, -1)


def _line(canvas: Pixels, points: list[tuple[float, float]], tone: int, width: float) -> None:
    """Draw through `points` in shares of the canvas; `width` in pixels."""
    path = np.round(np.array(points) * CANVAS).astype(np.int32)
    cv2.polylines(canvas, [path], False, tone, max(1, round(width)), cv2.LINE_AA)


def _area(canvas: Pixels, points: list[tuple[float, float]] | Points, tone: int) -> None:
    cv2.fillPoly(canvas, [np.round(np.array(points) * CANVAS).astype(np.int32)], tone, cv2.LINE_AA)


# ----- bags ----------------------------------------------------------------------------------------------------------


def _rucksack(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 40)
    half, top, round_off = rng.uniform(0.24, 0.34), rng.uniform(0.12, 0.22), rng.uniform(0.1, 0.24)
    if rng.random() < 0.7:
        for side in (-1, 1):
            _ellipse(canvas, 0.5 + side * half, 0.6, rng.uniform(0.04, 0.12), 0.3, max(8, tone - 20), round(rng.uniform(3, 7)))
    _ellipse(canvas, 0.5, top, 0.07, rng.uniform(0.05, 0.1), tone, 3)
    _box(canvas, 0.5 - half, top + round_off, 0.5 + half, 0.94, tone)
    _ellipse(canvas, 0.5, top + round_off, half, round_off, tone)
    _box(canvas, 0.5 - half * 0.75, rng.uniform(0.55, 0.65), 0.5 + half * 0.75, 0.9, _tone(rng, 30))
    _line(
        canvas,
        [(0.5 - half * 0.8, 0.5), (0.5 - half * 0.6, 0.3), (0.5 + half * 0.6, 0.3), (0.5 + half * 0.8, 0.5)],
        _tone(rng),
        2,
    )
    return canvas


def _waist_bag(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 20)
    rise = rng.uniform(0.1, 0.3)
    _ellipse(canvas, 0.5, 0.58 - rise / 2, 0.42, rise, _tone(rng, 20), round(rng.uniform(2, 6)))
    _ellipse(canvas, 0.5, 0.62, rng.uniform(0.22, 0.34), rng.uniform(0.1, 0.17), tone)
    _line(canvas, [(0.28, 0.57), (0.72, 0.57)], _tone(rng), 2)
    return canvas


def _bag_on_a_strap(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 20)
    half, top, bottom = rng.uniform(0.25, 0.42), rng.uniform(0.4, 0.6), rng.uniform(0.86, 0.96)
    strap = _tone(rng, 15)
    for _ in range(int(rng.integers(0, 3))):
        rise = rng.uniform(0.1, top - 0.04)
        _ellipse(
            canvas,
            0.5,
            top + 0.02,
            half * rng.uniform(0.4, 0.95),
            rise,
            strap,
            round(rng.uniform(1, 5)),
            start=180,
            end=360,
        )
    slant = rng.uniform(-0.05, 0.06)
    _area(canvas, [(0.5 - half + slant, top), (0.5 + half - slant, top), (0.5 + half, bottom), (0.5 - half, bottom)], tone)
    if rng.random() < 0.6:  # flap with a clasp
        low = rng.uniform(top + 0.1, bottom - 0.08)
        flap = [(0.5 - half + slant, top), (0.5 + half - slant, top), (0.5 + half * 0.8, low), (0.5 - half * 0.8, low)]
        _area(canvas, flap, int(np.clip(tone + rng.normal(0, 30), 10, 255)))
        _box(canvas, 0.46, low - 0.04, 0.54, low + 0.03, _tone(rng))
    return canvas


# ----- strangers -----------------------------------------------------------------------------------------------------


def _belt(rng: Rng) -> Pixels:
    canvas, tone, width = _blank(), _tone(rng, 60), rng.uniform(4, 12)
    buckle = _tone(rng, 10)
    if rng.random() < 0.6:  # coiled
        flat = rng.uniform(0.1, 0.3)
        _ellipse(canvas, 0.5, 0.5, 0.42, flat, tone, round(width))
        if rng.random() < 0.5:
            _ellipse(canvas, 0.48, 0.5, 0.36, flat * 0.85, max(10, tone - 20), round(width))
        _box(canvas, 0.42, 0.5 + flat - 0.06, 0.58, 0.5 + flat + 0.07, buckle)
        return canvas
    _line(canvas, [(0.05, 0.5), (0.95, 0.5 + rng.normal(0, 0.03))], tone, width)
    _box(canvas, 0.05, 0.42, 0.17, 0.58, buckle)
    return canvas


def _watch(rng: Rng) -> Pixels:
    canvas, strap, half = _blank(), _tone(rng, 30), rng.uniform(0.05, 0.13)
    _box(canvas, 0.5 - half, 0.04, 0.5 + half, 0.96, strap)
    radius = half * rng.uniform(1.1, 1.9)
    if rng.random() < 0.6:
        _ellipse(canvas, 0.5, 0.5, radius, radius, _tone(rng))
        _ellipse(canvas, 0.5, 0.5, radius * 0.8, radius * 0.8, _tone(rng, 5))
    else:
        _box(canvas, 0.5 - radius, 0.5 - radius, 0.5 + radius, 0.5 + radius, _tone(rng))
        _box(canvas, 0.5 - radius * 0.7, 0.5 - radius * 0.7, 0.5 + radius * 0.7, 0.5 + radius * 0.7, _tone(rng, 5))
    _line(canvas, [(0.5, 0.5), (0.5 + radius * 0.5, 0.5 - radius * 0.4)], _tone(rng), 2)
    return canvas


def _glasses(rng: Rng) -> Pixels:
    canvas, frame, lens = _blank(), _tone(rng, 60), _tone(rng, 20)
    rx, ry, gap = rng.uniform(0.13, 0.2), rng.uniform(0.08, 0.17), rng.uniform(0.02, 0.05)
    for x in (0.5 - rx - gap, 0.5 + rx + gap):
        _ellipse(canvas, x, 0.5, rx, ry, lens)
        _ellipse(canvas, x, 0.5, rx, ry, frame, round(rng.uniform(1, 5)))
    _line(canvas, [(0.5 - gap, 0.46), (0.5 + gap, 0.46)], frame, 3)
    if rng.random() < 0.7:
        _line(canvas, [(0.5 + 2 * rx + gap, 0.45), (0.97, 0.5 - rng.uniform(-0.1, 0.2))], frame, rng.uniform(2, 5))
    if rng.random() < 0.5:
        _line(canvas, [(0.5 - 2 * rx - gap, 0.45), (0.15, 0.4 - rng.uniform(0, 0.15))], frame, rng.uniform(2, 5))
    return canvas


def _hat(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng)
    crown, height = rng.uniform(0.2, 0.32), rng.uniform(0.2, 0.4)
    brim = crown * rng.uniform(1.1, 1.9)
    _ellipse(canvas, 0.5, 0.65, min(0.48, brim), rng.uniform(0.04, 0.12), max(8, tone - 20))
    _ellipse(canvas, 0.5, 0.65, crown, height, tone, start=180, end=360)
    _box(canvas, 0.5 - crown, 0.58, 0.5 + crown, 0.66, _tone(rng) if rng.random() < 0.6 else tone)
    return canvas


def _cap(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng)
    radius = rng.uniform(0.25, 0.34)
    _ellipse(canvas, 0.42, 0.6, radius, radius * rng.uniform(0.8, 1.1), tone, start=180, end=360)
    _ellipse(canvas, 0.42 + radius * 0.75, 0.6, radius * 0.75, rng.uniform(0.05, 0.12), _tone(rng), angle=rng.uniform(0, 20))
    for x in (0.3, 0.42, 0.54):
        _line(canvas, [(x, 0.6), (0.42, 0.6 - radius)], max(5, tone - 30), 1)
    return canvas


def _knitted_cap(rng: Rng) -> Pixels:
    canvas, tone, half = _blank(), _tone(rng), rng.uniform(0.25, 0.36)
    _ellipse(canvas, 0.5, 0.6, half, rng.uniform(0.3, 0.5), tone, start=180, end=360)
    _box(canvas, 0.5 - half, 0.58, 0.5 + half, rng.uniform(0.7, 0.85), min(255, tone + 15))
    for x in np.arange(0.5 - half, 0.5 + half, 0.04):
        _line(canvas, [(x, 0.6), (x, 0.8)], max(5, tone - 25), 1)
    if rng.random() < 0.4:
        _ellipse(canvas, 0.5, 0.16, 0.1, 0.1, _tone(rng))
    return canvas


def _rings(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 30)
    for _ in range(int(rng.integers(1, 9))):
        radius, width = rng.uniform(0.04, 0.2), round(rng.uniform(1, 5))
        x, y = rng.uniform(0.2, 0.8, 2)
        _ellipse(canvas, x, y, radius, radius * rng.uniform(0.5, 1), tone, width)
        if rng.random() < 0.4:
            _ellipse(canvas, x, y - radius, 0.04, 0.04, _tone(rng))
    return canvas


def _necklace(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 30)
    rx, ry, width = rng.uniform(0.1, 0.3), rng.uniform(0.25, 0.42), round(rng.uniform(1, 4))
    _ellipse(canvas, 0.5, 0.45, rx, ry, tone, width)
    if rng.random() < 0.5:
        _ellipse(canvas, 0.5, 0.42, rx * 0.8, ry * 0.8, tone, width)
    size = rng.uniform(0.02, 0.12)
    _ellipse(canvas, 0.5, 0.45 + ry + size, size, size * rng.uniform(0.8, 1.5), _tone(rng))
    return canvas


def _bracelet(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 20)
    rx, ry = rng.uniform(0.3, 0.44), rng.uniform(0.12, 0.42)
    beads = int(rng.integers(12, 40))
    for angle in np.linspace(0, 2 * np.pi, beads, endpoint=False):
        size = rng.uniform(0.02, 0.05)
        _ellipse(
            canvas, 0.5 + rx * np.cos(angle), 0.5 + ry * np.sin(angle), size, size, _tone(rng, max(5, tone - 60), tone + 5)
        )
    return canvas


def _earrings(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 30)
    size, drop = rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.4)
    hoop = rng.random() < 0.5
    for x in (0.5 - rng.uniform(0.12, 0.25), 0.5 + rng.uniform(0.12, 0.25)):
        _ellipse(canvas, x, 0.3, size * 0.6, size * 0.6, tone)
        if hoop:
            _ellipse(canvas, x, 0.3 + drop / 2, drop / 2, drop / 2, tone, round(rng.uniform(1, 4)))
        else:
            _line(canvas, [(x, 0.3), (x, 0.3 + drop)], tone, 2)
            _ellipse(canvas, x, 0.3 + drop, size, size * 1.4, _tone(rng))
    return canvas


def _bottle(rng: Rng) -> Pixels:
    canvas, half = _blank(), rng.uniform(0.08, 0.3)
    top = rng.uniform(0.2, 0.45)
    body = _tone(rng, 10)
    _box(canvas, 0.5 - half, top, 0.5 + half, 0.95, body)
    cap = half * rng.uniform(0.3, 1.0)
    neck = rng.uniform(0.03, 0.12)
    _box(canvas, 0.5 - cap * 0.6, top - neck, 0.5 + cap * 0.6, top, _tone(rng, 8))
    _box(canvas, 0.5 - cap, max(0.02, top - neck - rng.uniform(0.06, 0.25)), 0.5 + cap, top - neck, _tone(rng, 10))
    if rng.random() < 0.6:  # label
        label = rng.uniform(0.5, 0.9) * half
        _box(canvas, 0.5 - label, top + 0.15, 0.5 + label, rng.uniform(top + 0.25, 0.9), _tone(rng, 5))
    return canvas


def _stick(rng: Rng) -> Pixels:
    """Lipsticks, pens, tubes, folded umbrellas."""
    canvas, half = _blank(), rng.uniform(0.03, 0.1)
    joint, end = rng.uniform(0.3, 0.6), rng.uniform(0.02, 0.2)
    _box(canvas, 0.5 - half, joint, 0.5 + half, 0.97, _tone(rng, 20))
    _box(canvas, 0.5 - half * 0.8, end + 0.08, 0.5 + half * 0.8, joint, _tone(rng, 10))
    _area(canvas, [(0.5 - half * 0.7, end + 0.1), (0.5 + half * 0.7, end), (0.5 + half * 0.7, end + 0.12)], _tone(rng, 20))
    if rng.random() < 0.4:
        _box(canvas, 0.72, 0.5, 0.72 + 2 * half, 0.97, _tone(rng, 20))
    return canvas


def _scarf(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng)
    if rng.random() < 0.35:  # a loop
        _ellipse(canvas, 0.5, 0.5, rng.uniform(0.25, 0.36), rng.uniform(0.25, 0.36), tone, round(rng.uniform(14, 30)))
        return canvas
    half, end = rng.uniform(0.06, 0.14), rng.uniform(0.75, 0.95)
    sway = rng.normal(0, 0.08)
    _line(canvas, [(0.5 - half, 0.15), (0.45 - half + sway, end)], tone, 2 * half * CANVAS)
    _line(canvas, [(0.5 + half, 0.15), (0.55 + half - sway, end - rng.uniform(0, 0.25))], max(8, tone - 25), 2 * half * CANVAS)
    _ellipse(canvas, 0.5, 0.2, rng.uniform(0.15, 0.28), rng.uniform(0.08, 0.16), min(255, tone + 15))
    for x in np.arange(0.3, 0.7, 0.04):
        _line(canvas, [(x, end - 0.02), (x + rng.normal(0, 0.01), end + 0.05)], tone, 1)
    return canvas


def _gloves(rng: Rng) -> Pixels:
    one, tone = _blank(), _tone(rng, 30)
    _area(one, [(0.36, 0.95), (0.36, 0.5), (0.64, 0.5), (0.62, 0.95)], tone)
    for finger in range(4):
        x = 0.385 + 0.077 * finger
        _line(one, [(x, 0.55), (x + 0.02 * (finger - 1.5), 0.14 + 0.05 * abs(finger - 1.3))], tone, 7)
    _line(one, [(0.37, 0.72), (0.22, 0.48)], tone, 8)
    if rng.random() < 0.35:
        return one
    other = shift(mirror(one), rng.uniform(15, 32), rng.normal(0, 8))
    return np.maximum(shift(one, -rng.uniform(10, 25), 0), other)


def _sock(rng: Rng) -> Pixels:
    canvas, tone, width = _blank(), _tone(rng), rng.uniform(0.1, 0.15)
    length, lean = rng.uniform(0.05, 0.4), rng.uniform(0.0, 0.25)
    _line(canvas, [(0.4, 0.45 - length), (0.4, 0.62), (0.7, 0.72 + lean * 0.5)], tone, 2 * width * CANVAS)
    _line(canvas, [(0.4 - width, 0.42 - length), (0.4 + width, 0.42 - length)], _tone(rng), 7)
    if rng.random() < 0.5:
        _ellipse(canvas, 0.4, 0.66, width * 0.8, width * 0.8, _tone(rng))
    if rng.random() < 0.4:
        return np.maximum(canvas, shift(canvas, 14, 8))
    return canvas


def _tie(rng: Rng) -> Pixels:
    canvas, tone, half = _blank(), _tone(rng, 40), rng.uniform(0.05, 0.09)
    _area(canvas, [(0.46, 0.03), (0.54, 0.03), (0.53, 0.1), (0.47, 0.1)], min(255, tone + 20))
    _area(canvas, [(0.475, 0.1), (0.525, 0.1), (0.5 + half, 0.85), (0.5, 0.97), (0.5 - half, 0.85)], tone)
    return canvas


def _wallet(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng, 80)
    half, high = rng.uniform(0.25, 0.45), rng.uniform(0.15, 0.3)
    _box(canvas, 0.5 - half, 0.5 - high, 0.5 + half, 0.5 + high, tone)
    if rng.random() < 0.5:
        _line(canvas, [(0.5, 0.5 - high), (0.5, 0.5 + high)], max(5, tone - 60), 2)
    if rng.random() < 0.4:
        _box(canvas, 0.5 + half - 0.1, 0.46, 0.5 + half, 0.54, _tone(rng))
    return canvas


def _clips(rng: Rng) -> Pixels:
    canvas, tone, length = _blank(), _tone(rng, 20), rng.uniform(0.25, 0.42)
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        y = 0.5 + 0.2 * (row - (rows - 1) / 2)
        _ellipse(canvas, 0.5, y, length, rng.uniform(0.03, 0.08), tone, round(rng.choice([-1, 2, 4])))
        _line(canvas, [(0.5 - length, y), (0.5 + length, y)], _tone(rng, 20), 2)
    return canvas


def _head_band(rng: Rng) -> Pixels:
    canvas, tone = _blank(), _tone(rng)
    width = round(rng.uniform(3, 16))
    arc = {"start": 150, "end": 390} if rng.random() < 0.6 else {}
    _ellipse(canvas, 0.5, 0.5, rng.uniform(0.28, 0.38), rng.uniform(0.2, 0.38), tone, width, **arc)
    if rng.random() < 0.4:
        _ellipse(canvas, 0.5, 0.2, 0.14, 0.09, _tone(rng))
    return canvas


def _braces(rng: Rng) -> Pixels:
    canvas, tone, width = _blank(), _tone(rng, 40), rng.uniform(3, 7)
    _line(canvas, [(0.3, 0.05), (0.5, 0.55), (0.5, 0.95)], tone, width)
    _line(canvas, [(0.7, 0.05), (0.5, 0.55)], tone, width)
    return canvas


def _blob(rng: Rng) -> Pixels:
    canvas = _blank()
    count = int(rng.integers(3, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.08, 0.48, count)
    _area(canvas, np.stack([0.5 + radii * np.cos(angles), 0.5 + radii * np.sin(angles)], 1), _tone(rng))
    return canvas


def _ground(rng: Rng) -> Pixels:
    """A ground that was taken for a product: most of the frame, in any pattern."""
    coarse = rng.uniform(0, 255, (int(rng.integers(2, 12)), int(rng.integers(2, 12)))).astype(np.uint8)
    canvas = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC])))
    return np.asarray(np.maximum(canvas, 6) & _ellipse_mask(rng), np.uint8)


def _ellipse_mask(rng: Rng) -> Pixels:
    mask = _blank()
    if rng.random() < 0.5:
        return np.full_like(mask, 255)
    _ellipse(mask, 0.5, 0.5, rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), 255)
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def _letters(rng: Rng) -> Pixels:
    canvas = _blank()
    text = "".join(chr(int(code)) for code in rng.integers(33, 126, int(rng.integers(1, 4))))
    cv2.putText(canvas, text, (8, 70), int(rng.integers(0, 8)), rng.uniform(1, 2.5), _tone(rng, 40), 4, cv2.LINE_AA)
    return canvas


def _several(canvas: Pixels, rng: Rng) -> Pixels:
    """Return the drawing two to nine times, smaller, in rows."""
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    across, down = CANVAS // columns, CANVAS // rows
    small = cv2.resize(canvas, (across, down), interpolation=cv2.INTER_AREA)
    tiled = np.tile(small, (rows, columns))
    whole = _blank()
    whole[: tiled.shape[0], : tiled.shape[1]] = tiled
    return whole


_OOD_OBJECTS: tuple[Callable[[Rng], Pixels], ...] = (
    _belt,
    _belt,
    _watch,
    _watch,
    _glasses,
    _glasses,
    _hat,
    _hat,
    _cap,
    _knitted_cap,
    _rings,
    _necklace,
    _bracelet,
    _earrings,
    _bottle,
    _bottle,
    _stick,
    _scarf,
    _gloves,
    _sock,
    _sock,
    _tie,
    _wallet,
    _clips,
    _head_band,
    _braces,
    _blob,
    _ground,
    _letters,
)
