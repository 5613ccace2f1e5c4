"""Draw shoes as solids seen from any side; Fashion-MNIST shows them from the side alone.

A shoe is one unit long: x from the heel at -0.5 to the toes at 0.5, y across, z up. It is drawn slice by slice from the
ground up (painter's algorithm), so that nearer parts cover farther ones for every view that is not from below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tagger.arrays import Pixels
from tagger.synthesis.drawing import CANVAS, Points, Rng, add_texture, blank_canvas

Heights = Callable[[Points], Points]

UNIT = 0.6 * CANVAS
"""Length of a shoe in pixels."""

_SLICES = 20
"""Horizontal slices of a closed shoe."""


@dataclass(frozen=True)
class View:
    """Orthographic view of a shoe: `yaw` turns it on the ground, `pitch` is 0 from the side and 90 from above; in degrees."""

    yaw: float
    pitch: float
    right: float = 0.0
    """Offset of the shoe across the view, in units."""
    mirrored: bool = False

    def project(self, points: Points) -> Points:
        """Project points (n, 3) of a shoe to pixels (n, 2), x right and y down."""
        x, y, z = points[:, 0], points[:, 1] * (-1 if self.mirrored else 1), points[:, 2]
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        across = x * np.cos(yaw) - y * np.sin(yaw) + self.right
        away = x * np.sin(yaw) + y * np.cos(yaw)
        up = z * np.cos(pitch) + away * np.sin(pitch)
        return np.stack([CANVAS / 2 + UNIT * across, 0.62 * CANVAS - UNIT * up], 1)


def draw_shoes(rng: Rng, label: str) -> Pixels:
    """Draw one or two shoes of a class (Sandal, Sneaker or Ankle boot) from a random view: uint8 (CANVAS, CANVAS)."""
    make = {"Sandal": _sandal, "Sneaker": _sneaker, "Ankle boot": _boot}[label]
    draw = make(rng)
    canvas = blank_canvas()
    for view in _views(rng, pairs=0.4 if label == "Sandal" else 0.6):
        draw(canvas, view)
    return add_texture(canvas, rng)


def _views(rng: Rng, pairs: float) -> list[View]:
    """Draw the views of one or two shoes: with probability `pairs` a pair from above or the front, else an oblique view."""
    kind = rng.random()
    if kind < 0.7 * pairs:  # a pair from above, toes away
        pitch, apart, lean = rng.uniform(55, 90), rng.uniform(0.17, 0.3), rng.normal(0, 8)
        turn = rng.normal(0, 12)
        return [View(90 + turn + lean, pitch, -apart), View(90 + turn - lean, pitch, apart, mirrored=True)]
    if kind < pairs:  # a pair from the front
        pitch, apart, turn = rng.uniform(10, 55), rng.uniform(0.16, 0.32), rng.normal(0, 30)
        return [View(-90 + turn, pitch, -apart, mirrored=True), View(-90 + turn + rng.normal(0, 8), pitch, apart)]
    yaw = rng.choice([-1, 1]) * rng.uniform(5, 60) + rng.choice([0, 180])
    one = View(yaw, rng.uniform(8, 50))
    if rng.random() < 0.6:
        return [one]
    return [View(yaw + rng.normal(0, 15), one.pitch, rng.uniform(-0.4, 0.4), mirrored=True), one]


Draw = Callable[[Pixels, View], None]
"""Draws a shoe onto a canvas in place."""


def _sneaker(rng: Rng) -> Draw:
    """Make a low shoe, mostly laced and with panels on its sides."""
    ankle, toe, end = rng.uniform(0.24, 0.42), rng.uniform(0.12, 0.18), rng.uniform(-0.14, 0.02)
    heights = _height_profile(toe, ankle, end, end + 0.3)
    return _closed_shoe(rng, heights, ankle, end, sole=rng.uniform(0.05, 0.12), laced=0.8, panels=0.75)


def _boot(rng: Rng) -> Draw:
    """Make a shoe whose shaft is 0.55 to 1 shoe length high."""
    ankle, toe, end = rng.uniform(0.55, 1.0), rng.uniform(0.13, 0.2), rng.uniform(-0.14, -0.02)
    heights = _height_profile(toe, ankle, end, end + rng.uniform(0.15, 0.3))
    return _closed_shoe(rng, heights, ankle, end, sole=rng.uniform(0.03, 0.1), laced=0.4, panels=0.15)


def _height_profile(toe: float, ankle: float, shaft: float, instep: float) -> Heights:
    """Return the height of a shoe by x: `ankle` up to x = `shaft`, falling over the instep to `toe` at the toes."""

    def heights(x: Points) -> Points:
        middle = toe + 0.35 * (min(ankle, 0.4) - toe)
        return np.interp(x, [shaft, shaft + 0.06, instep, 0.35, 0.5], [ankle, min(ankle, 0.42), middle, toe, toe * 0.7])

    return heights


def _closed_shoe(rng: Rng, heights: Heights, top: float, end: float, sole: float, laced: float, panels: float) -> Draw:
    """Make a closed shoe of a height profile, `laced` and with `panels` with these probabilities."""
    outline = _outline(rng, rng.uniform(0.15, 0.2))
    upper, below, inside, lace = (int(tone) for tone in rng.uniform((15, 5, 30, 5), 255))
    shade, has_laces = rng.uniform(0.55, 0.9), rng.random() < laced
    sides = _panels(rng, heights, outline[:, 1].max()) if rng.random() < panels else []
    toecap = int(rng.uniform(10, 255)) if rng.random() < 0.3 else upper

    def draw(canvas: Pixels, view: View) -> None:
        for z in np.linspace(0, top, _SLICES):
            reach = outline[heights(outline[:, 0]) >= z]
            if len(reach) > 2:
                narrower = reach * [1, 1 - 0.35 * min(1.0, z / 0.4)] if z > sole else reach * 1.03
                lit = shade + (1 - shade) * min(1.0, z / max(0.2, heights(np.array([0.3]))[0]))
                tone = below if z <= sole else toecap if z < 0.12 and toecap != upper else upper * lit
                _fill(canvas, view, narrower, z, tone)
        for path, tone, breadth in sides:
            _stroke(canvas, view, path, tone, breadth)
        collar = outline[outline[:, 0] <= end]
        centre = collar.mean(axis=0)
        _fill(canvas, view, centre + (collar - centre) * [0.75, 0.5], top, inside)
        if has_laces:
            for x in np.linspace(end + 0.06, 0.24, int(rng.integers(3, 6))):
                z = float(heights(np.array([x]))[0])
                _stroke(canvas, view, [(x, -0.07, z * 0.96), (x, 0, z + 0.02), (x + 0.02, 0.07, z * 0.96)], lace, 2)

    return draw


Path = list[tuple[float, float, float]]
"""Points of a line on the shoe: x, y, z in units."""


def _panels(rng: Rng, heights: Heights, width: float) -> list[tuple[Path, int, float]]:
    """Draw stripes and patches on both sides of a shoe: their paths, tones and widths in pixels."""
    made = []
    for _ in range(int(rng.integers(2, 7))):
        start, end = rng.uniform(-0.48, 0.35), rng.normal(0, 0.2)
        tone, breadth = int(rng.uniform(5, 255)), rng.uniform(1, 5)
        for side in (-1, 1):
            path = []
            for share in (0.0, 0.5, 1.0):
                x = float(np.clip(start + share * end, -0.48, 0.42))
                z = (0.15 + 0.75 * share) * float(heights(np.array([x]))[0])
                path.append((x, side * width * (1 - 0.35 * min(1.0, z / 0.4)), z))
            made.append((path, tone, breadth))
    return made


def _sandal(rng: Rng) -> Draw:
    """Make a sole, at times with a heel, with straps over the foot."""
    width = rng.uniform(0.13, 0.19)
    outline, thick, heel = _outline(rng, width), rng.uniform(0.03, 0.12), max(0.0, rng.normal(0.0, 0.08))
    insole, below, strap = (int(tone) for tone in rng.uniform((8, 5, 15), 255))
    breadth, straps = rng.uniform(2, 11), _straps(rng, width)

    def draw(canvas: Pixels, view: View) -> None:
        lifted = heel * np.clip(0.25 - outline[:, 0], 0, 1)
        for share in np.linspace(0, 1, 6):
            _fill(canvas, view, outline, thick * share + lifted, insole if share == 1 else below)
        for path in straps:
            raised = [(x, y, thick + z + heel * max(0.0, 0.25 - x)) for x, y, z in path]
            _stroke(canvas, view, raised, strap, breadth)

    return draw


def _straps(rng: Rng, width: float) -> list[Path]:
    """Draw the paths of the straps over the foot; z is the height above the insole."""
    kind = rng.random()
    if kind < 0.4:  # between the toes
        low, toes = rng.uniform(-0.1, 0.1), rng.uniform(0.28, 0.36)
        bend = rng.uniform(0.08, 0.16)
        return [[(low, side * width, 0), ((low + toes) / 2, side * width * 0.55, bend), (toes, 0, 0.01)] for side in (-1, 1)]
    paths = []
    first, last = (0.1, 0.3) if kind < 0.6 else (-0.1, 0.36)  # the strap of a slipper is in front
    for _ in range(int(rng.integers(1, 3 if kind < 0.6 else 5))):
        x, slant, bend = rng.uniform(first, last), rng.normal(0, 0.08), rng.uniform(0.08, 0.2)
        angle = np.linspace(0, np.pi, 7)
        paths.append([(x - slant * np.cos(a), -width * np.cos(a), bend * np.sin(a)) for a in angle])
    if kind >= 0.6 and rng.random() < 0.8:  # around the ankle
        high, x = rng.uniform(0.12, 0.4), rng.uniform(-0.32, -0.2)
        around = np.linspace(0, 2 * np.pi, 13)
        paths.append([(x + 0.13 * np.cos(a), 0.6 * width * np.sin(a), high) for a in around])
        paths += [[(x, side * width, 0), (x, side * 0.6 * width, high)] for side in (-1, 1)]
    return paths


def _outline(rng: Rng, width: float) -> Points:
    """Draw the outline of a left shoe on the ground, (n, 2), closed."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 0.5 * np.cos(turn)
    waist = 1 - rng.uniform(0.05, 0.3) * np.exp(-((x + 0.1) ** 2) / 0.03) - rng.uniform(0.0, 0.2) * (x < 0)
    y = width * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** rng.uniform(0.55, 1.0) * waist
    return np.stack([x, y + rng.uniform(-0.03, 0.05) * x**2], 1)


def _fill(canvas: Pixels, view: View, ground: Points, z: float | Points, tone: float) -> None:
    """Fill the outline `ground`, (n, 2), at the height `z`, a number or one per point."""
    points = np.column_stack([ground, np.broadcast_to(z, len(ground))])
    cv2.fillPoly(canvas, [np.round(view.project(points)).astype(np.int32)], int(np.clip(tone, 3, 255)))


def _stroke(canvas: Pixels, view: View, path: Sequence[tuple[float, float, float]], tone: int, width: float) -> None:
    """Draw a polyline on the shoe, `width` pixels wide."""
    pixels = np.round(view.project(np.array(path))).astype(np.int32)
    cv2.polylines(canvas, [pixels], False, tone, max(1, round(width)), cv2.LINE_AA)
