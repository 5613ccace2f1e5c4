"""Draw out-of-distribution (OOD) objects: accessories, cosmetics, backgrounds and shapes of none of Fashion-MNIST's classes.

A network trained with them on a class "none of these" learns not to tag what it does not know.
"""

from collections.abc import Callable

import cv2
import numpy as np

from tagger.arrays import Pixels
from tagger.synthesis.drawing import (
    CANVAS,
    Rng,
    add_texture,
    blank_canvas,
    draw_box,
    draw_ellipse,
    draw_line,
    draw_polygon,
    mirror,
    random_tone,
    rotate,
    shift,
)


def draw_ood_object(rng: Rng) -> Pixels:
    """Draw an object of none of Fashion-MNIST's classes, at times several copies: uint8 (CANVAS, CANVAS), a negative on 0."""
    draw = OOD_OBJECTS[rng.integers(len(OOD_OBJECTS))]
    canvas = add_texture(draw(rng), rng)
    if rng.random() < 0.25:
        canvas = _tile(canvas, rng)
    if rng.random() < 0.5:
        canvas = mirror(canvas)
    return rotate(canvas, rng.normal(0, 10) if rng.random() < 0.8 else rng.uniform(0, 360))


def _belt(rng: Rng) -> Pixels:
    canvas, tone, width = blank_canvas(), random_tone(rng, 60), rng.uniform(4, 12)
    buckle = random_tone(rng, 10)
    if rng.random() < 0.6:  # coiled
        flat = rng.uniform(0.1, 0.3)
        draw_ellipse(canvas, 0.5, 0.5, 0.42, flat, tone, round(width))
        if rng.random() < 0.5:
            draw_ellipse(canvas, 0.48, 0.5, 0.36, flat * 0.85, max(10, tone - 20), round(width))
        draw_box(canvas, 0.42, 0.5 + flat - 0.06, 0.58, 0.5 + flat + 0.07, buckle)
        return canvas
    draw_line(canvas, [(0.05, 0.5), (0.95, 0.5 + rng.normal(0, 0.03))], tone, width)
    draw_box(canvas, 0.05, 0.42, 0.17, 0.58, buckle)
    return canvas


def _watch(rng: Rng) -> Pixels:
    canvas, strap, half = blank_canvas(), random_tone(rng, 30), rng.uniform(0.05, 0.13)
    draw_box(canvas, 0.5 - half, 0.04, 0.5 + half, 0.96, strap)
    radius = half * rng.uniform(1.1, 1.9)
    if rng.random() < 0.6:
        draw_ellipse(canvas, 0.5, 0.5, radius, radius, random_tone(rng))
        draw_ellipse(canvas, 0.5, 0.5, radius * 0.8, radius * 0.8, random_tone(rng, 5))
    else:
        draw_box(canvas, 0.5 - radius, 0.5 - radius, 0.5 + radius, 0.5 + radius, random_tone(rng))
        draw_box(canvas, 0.5 - radius * 0.7, 0.5 - radius * 0.7, 0.5 + radius * 0.7, 0.5 + radius * 0.7, random_tone(rng, 5))
    draw_line(canvas, [(0.5, 0.5), (0.5 + radius * 0.5, 0.5 - radius * 0.4)], random_tone(rng), 2)
    return canvas


def _glasses(rng: Rng) -> Pixels:
    canvas, frame, lens = blank_canvas(), random_tone(rng, 60), random_tone(rng, 20)
    rx, ry, gap = rng.uniform(0.13, 0.2), rng.uniform(0.08, 0.17), rng.uniform(0.02, 0.05)
    for x in (0.5 - rx - gap, 0.5 + rx + gap):
        draw_ellipse(canvas, x, 0.5, rx, ry, lens)
        draw_ellipse(canvas, x, 0.5, rx, ry, frame, round(rng.uniform(1, 5)))
    draw_line(canvas, [(0.5 - gap, 0.46), (0.5 + gap, 0.46)], frame, 3)
    if rng.random() < 0.7:
        draw_line(canvas, [(0.5 + 2 * rx + gap, 0.45), (0.97, 0.5 - rng.uniform(-0.1, 0.2))], frame, rng.uniform(2, 5))
    if rng.random() < 0.5:
        draw_line(canvas, [(0.5 - 2 * rx - gap, 0.45), (0.15, 0.4 - rng.uniform(0, 0.15))], frame, rng.uniform(2, 5))
    return canvas


def _hat(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng)
    crown, height = rng.uniform(0.2, 0.32), rng.uniform(0.2, 0.4)
    brim = crown * rng.uniform(1.1, 1.9)
    draw_ellipse(canvas, 0.5, 0.65, min(0.48, brim), rng.uniform(0.04, 0.12), max(8, tone - 20))
    draw_ellipse(canvas, 0.5, 0.65, crown, height, tone, start=180, end=360)
    draw_box(canvas, 0.5 - crown, 0.58, 0.5 + crown, 0.66, random_tone(rng) if rng.random() < 0.6 else tone)
    return canvas


def _cap(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng)
    radius = rng.uniform(0.25, 0.34)
    draw_ellipse(canvas, 0.42, 0.6, radius, radius * rng.uniform(0.8, 1.1), tone, start=180, end=360)
    draw_ellipse(
        canvas, 0.42 + radius * 0.75, 0.6, radius * 0.75, rng.uniform(0.05, 0.12), random_tone(rng), angle=rng.uniform(0, 20)
    )
    for x in (0.3, 0.42, 0.54):
        draw_line(canvas, [(x, 0.6), (0.42, 0.6 - radius)], max(5, tone - 30), 1)
    return canvas


def _knitted_cap(rng: Rng) -> Pixels:
    canvas, tone, half = blank_canvas(), random_tone(rng), rng.uniform(0.25, 0.36)
    draw_ellipse(canvas, 0.5, 0.6, half, rng.uniform(0.3, 0.5), tone, start=180, end=360)
    draw_box(canvas, 0.5 - half, 0.58, 0.5 + half, rng.uniform(0.7, 0.85), min(255, tone + 15))
    for x in np.arange(0.5 - half, 0.5 + half, 0.04):
        draw_line(canvas, [(x, 0.6), (x, 0.8)], max(5, tone - 25), 1)
    if rng.random() < 0.4:
        draw_ellipse(canvas, 0.5, 0.16, 0.1, 0.1, random_tone(rng))
    return canvas


def _rings(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 30)
    for _ in range(int(rng.integers(1, 9))):
        radius, width = rng.uniform(0.04, 0.2), round(rng.uniform(1, 5))
        x, y = rng.uniform(0.2, 0.8, 2)
        draw_ellipse(canvas, x, y, radius, radius * rng.uniform(0.5, 1), tone, width)
        if rng.random() < 0.4:
            draw_ellipse(canvas, x, y - radius, 0.04, 0.04, random_tone(rng))
    return canvas


def _necklace(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 30)
    rx, ry, width = rng.uniform(0.1, 0.3), rng.uniform(0.25, 0.42), round(rng.uniform(1, 4))
    draw_ellipse(canvas, 0.5, 0.45, rx, ry, tone, width)
    if rng.random() < 0.5:
        draw_ellipse(canvas, 0.5, 0.42, rx * 0.8, ry * 0.8, tone, width)
    size = rng.uniform(0.02, 0.12)
    draw_ellipse(canvas, 0.5, 0.45 + ry + size, size, size * rng.uniform(0.8, 1.5), random_tone(rng))
    return canvas


def _bracelet(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 20)
    rx, ry = rng.uniform(0.3, 0.44), rng.uniform(0.12, 0.42)
    beads = int(rng.integers(12, 40))
    for angle in np.linspace(0, 2 * np.pi, beads, endpoint=False):
        size = rng.uniform(0.02, 0.05)
        draw_ellipse(
            canvas,
            0.5 + rx * np.cos(angle),
            0.5 + ry * np.sin(angle),
            size,
            size,
            random_tone(rng, max(5, tone - 60), tone + 5),
        )
    return canvas


def _earrings(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 30)
    size, drop = rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.4)
    hoop = rng.random() < 0.5
    for x in (0.5 - rng.uniform(0.12, 0.25), 0.5 + rng.uniform(0.12, 0.25)):
        draw_ellipse(canvas, x, 0.3, size * 0.6, size * 0.6, tone)
        if hoop:
            draw_ellipse(canvas, x, 0.3 + drop / 2, drop / 2, drop / 2, tone, round(rng.uniform(1, 4)))
        else:
            draw_line(canvas, [(x, 0.3), (x, 0.3 + drop)], tone, 2)
            draw_ellipse(canvas, x, 0.3 + drop, size, size * 1.4, random_tone(rng))
    return canvas


def _bottle(rng: Rng) -> Pixels:
    canvas, half = blank_canvas(), rng.uniform(0.08, 0.3)
    top = rng.uniform(0.2, 0.45)
    body = random_tone(rng, 10)
    draw_box(canvas, 0.5 - half, top, 0.5 + half, 0.95, body)
    cap = half * rng.uniform(0.3, 1.0)
    neck = rng.uniform(0.03, 0.12)
    draw_box(canvas, 0.5 - cap * 0.6, top - neck, 0.5 + cap * 0.6, top, random_tone(rng, 8))
    draw_box(canvas, 0.5 - cap, max(0.02, top - neck - rng.uniform(0.06, 0.25)), 0.5 + cap, top - neck, random_tone(rng, 10))
    if rng.random() < 0.6:  # label
        label = rng.uniform(0.5, 0.9) * half
        draw_box(canvas, 0.5 - label, top + 0.15, 0.5 + label, rng.uniform(top + 0.25, 0.9), random_tone(rng, 5))
    return canvas


def _stick(rng: Rng) -> Pixels:
    """Draw a lipstick, pen, tube or folded umbrella."""
    canvas, half = blank_canvas(), rng.uniform(0.03, 0.1)
    joint, end = rng.uniform(0.3, 0.6), rng.uniform(0.02, 0.2)
    draw_box(canvas, 0.5 - half, joint, 0.5 + half, 0.97, random_tone(rng, 20))
    draw_box(canvas, 0.5 - half * 0.8, end + 0.08, 0.5 + half * 0.8, joint, random_tone(rng, 10))
    draw_polygon(
        canvas, [(0.5 - half * 0.7, end + 0.1), (0.5 + half * 0.7, end), (0.5 + half * 0.7, end + 0.12)], random_tone(rng, 20)
    )
    if rng.random() < 0.4:
        draw_box(canvas, 0.72, 0.5, 0.72 + 2 * half, 0.97, random_tone(rng, 20))
    return canvas


def _scarf(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng)
    if rng.random() < 0.35:  # a loop
        draw_ellipse(canvas, 0.5, 0.5, rng.uniform(0.25, 0.36), rng.uniform(0.25, 0.36), tone, round(rng.uniform(14, 30)))
        return canvas
    half, end = rng.uniform(0.06, 0.14), rng.uniform(0.75, 0.95)
    sway = rng.normal(0, 0.08)
    draw_line(canvas, [(0.5 - half, 0.15), (0.45 - half + sway, end)], tone, 2 * half * CANVAS)
    draw_line(
        canvas, [(0.5 + half, 0.15), (0.55 + half - sway, end - rng.uniform(0, 0.25))], max(8, tone - 25), 2 * half * CANVAS
    )
    draw_ellipse(canvas, 0.5, 0.2, rng.uniform(0.15, 0.28), rng.uniform(0.08, 0.16), min(255, tone + 15))
    for x in np.arange(0.3, 0.7, 0.04):
        draw_line(canvas, [(x, end - 0.02), (x + rng.normal(0, 0.01), end + 0.05)], tone, 1)
    return canvas


def _gloves(rng: Rng) -> Pixels:
    one, tone = blank_canvas(), random_tone(rng, 30)
    draw_polygon(one, [(0.36, 0.95), (0.36, 0.5), (0.64, 0.5), (0.62, 0.95)], tone)
    for finger in range(4):
        x = 0.385 + 0.077 * finger
        draw_line(one, [(x, 0.55), (x + 0.02 * (finger - 1.5), 0.14 + 0.05 * abs(finger - 1.3))], tone, 7)
    draw_line(one, [(0.37, 0.72), (0.22, 0.48)], tone, 8)
    if rng.random() < 0.35:
        return one
    other = shift(mirror(one), rng.uniform(15, 32), rng.normal(0, 8))
    return np.maximum(shift(one, -rng.uniform(10, 25), 0), other)


def _sock(rng: Rng) -> Pixels:
    canvas, tone, width = blank_canvas(), random_tone(rng), rng.uniform(0.1, 0.15)
    length, lean = rng.uniform(0.05, 0.4), rng.uniform(0.0, 0.25)
    draw_line(canvas, [(0.4, 0.45 - length), (0.4, 0.62), (0.7, 0.72 + lean * 0.5)], tone, 2 * width * CANVAS)
    draw_line(canvas, [(0.4 - width, 0.42 - length), (0.4 + width, 0.42 - length)], random_tone(rng), 7)
    if rng.random() < 0.5:
        draw_ellipse(canvas, 0.4, 0.66, width * 0.8, width * 0.8, random_tone(rng))
    if rng.random() < 0.4:
        return np.maximum(canvas, shift(canvas, 14, 8))
    return canvas


def _tie(rng: Rng) -> Pixels:
    canvas, tone, half = blank_canvas(), random_tone(rng, 40), rng.uniform(0.05, 0.09)
    draw_polygon(canvas, [(0.46, 0.03), (0.54, 0.03), (0.53, 0.1), (0.47, 0.1)], min(255, tone + 20))
    draw_polygon(canvas, [(0.475, 0.1), (0.525, 0.1), (0.5 + half, 0.85), (0.5, 0.97), (0.5 - half, 0.85)], tone)
    return canvas


def _wallet(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 80)
    half, high = rng.uniform(0.25, 0.45), rng.uniform(0.15, 0.3)
    draw_box(canvas, 0.5 - half, 0.5 - high, 0.5 + half, 0.5 + high, tone)
    if rng.random() < 0.5:
        draw_line(canvas, [(0.5, 0.5 - high), (0.5, 0.5 + high)], max(5, tone - 60), 2)
    if rng.random() < 0.4:
        draw_box(canvas, 0.5 + half - 0.1, 0.46, 0.5 + half, 0.54, random_tone(rng))
    return canvas


def _clips(rng: Rng) -> Pixels:
    canvas, tone, length = blank_canvas(), random_tone(rng, 20), rng.uniform(0.25, 0.42)
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        y = 0.5 + 0.2 * (row - (rows - 1) / 2)
        draw_ellipse(canvas, 0.5, y, length, rng.uniform(0.03, 0.08), tone, round(rng.choice([-1, 2, 4])))
        draw_line(canvas, [(0.5 - length, y), (0.5 + length, y)], random_tone(rng, 20), 2)
    return canvas


def _head_band(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng)
    width = round(rng.uniform(3, 16))
    arc = {"start": 150, "end": 390} if rng.random() < 0.6 else {}
    draw_ellipse(canvas, 0.5, 0.5, rng.uniform(0.28, 0.38), rng.uniform(0.2, 0.38), tone, width, **arc)
    if rng.random() < 0.4:
        draw_ellipse(canvas, 0.5, 0.2, 0.14, 0.09, random_tone(rng))
    return canvas


def _braces(rng: Rng) -> Pixels:
    canvas, tone, width = blank_canvas(), random_tone(rng, 40), rng.uniform(3, 7)
    draw_line(canvas, [(0.3, 0.05), (0.5, 0.55), (0.5, 0.95)], tone, width)
    draw_line(canvas, [(0.7, 0.05), (0.5, 0.55)], tone, width)
    return canvas


def _blob(rng: Rng) -> Pixels:
    canvas = blank_canvas()
    count = int(rng.integers(3, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.08, 0.48, count)
    draw_polygon(canvas, np.stack([0.5 + radii * np.cos(angles), 0.5 + radii * np.sin(angles)], 1), random_tone(rng))
    return canvas


def _background(rng: Rng) -> Pixels:
    """Draw what is left of a background that was mistaken for a product: most of the frame, in any pattern."""
    coarse = rng.uniform(0, 255, (int(rng.integers(2, 12)), int(rng.integers(2, 12)))).astype(np.uint8)
    canvas = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC])))
    return np.asarray(np.maximum(canvas, 6) & _random_mask(rng), np.uint8)


def _random_mask(rng: Rng) -> Pixels:
    """Return a mask of the whole canvas or of an ellipse, 0 or 255."""
    mask = blank_canvas()
    if rng.random() < 0.5:
        return np.full_like(mask, 255)
    draw_ellipse(mask, 0.5, 0.5, rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), 255)
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def _letters(rng: Rng) -> Pixels:
    canvas = blank_canvas()
    text = "".join(chr(int(code)) for code in rng.integers(33, 126, int(rng.integers(1, 4))))
    cv2.putText(canvas, text, (8, 70), int(rng.integers(0, 8)), rng.uniform(1, 2.5), random_tone(rng, 40), 4, cv2.LINE_AA)
    return canvas


def _tile(canvas: Pixels, rng: Rng) -> Pixels:
    """Repeat a drawing in up to three columns and rows, smaller."""
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    across, down = CANVAS // columns, CANVAS // rows
    small = cv2.resize(canvas, (across, down), interpolation=cv2.INTER_AREA)
    tiled = np.tile(small, (rows, columns))
    whole = blank_canvas()
    whole[: tiled.shape[0], : tiled.shape[1]] = tiled
    return whole


OOD_OBJECTS: tuple[Callable[[Rng], Pixels], ...] = (
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
    _background,
    _letters,
)
"""Functions that draw one object each; those of frequent objects are listed twice, and so drawn twice as often."""
