"""Draw bags of kinds that Fashion-MNIST hardly shows: rucksacks, waist bags, shoulder bags and pouches."""

import numpy as np

from tagger.arrays import Pixels
from tagger.synthesis.drawing import (
    Rng,
    add_texture,
    blank_canvas,
    draw_box,
    draw_ellipse,
    draw_line,
    draw_polygon,
    random_tone,
    rotate,
)


def draw_bag(rng: Rng) -> Pixels:
    """Draw a rucksack, a waist bag, or (half of the time) a shoulder bag or pouch: uint8 (CANVAS, CANVAS), a negative on 0."""
    draw = (_rucksack, _waist_bag, _shoulder_bag, _shoulder_bag)[rng.integers(4)]
    return rotate(add_texture(draw(rng), rng), rng.normal(0, 8))


def _rucksack(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 40)
    half, top, round_off = rng.uniform(0.24, 0.34), rng.uniform(0.12, 0.22), rng.uniform(0.1, 0.24)
    if rng.random() < 0.7:
        for side in (-1, 1):
            draw_ellipse(
                canvas, 0.5 + side * half, 0.6, rng.uniform(0.04, 0.12), 0.3, max(8, tone - 20), round(rng.uniform(3, 7))
            )
    draw_ellipse(canvas, 0.5, top, 0.07, rng.uniform(0.05, 0.1), tone, 3)
    draw_box(canvas, 0.5 - half, top + round_off, 0.5 + half, 0.94, tone)
    draw_ellipse(canvas, 0.5, top + round_off, half, round_off, tone)
    draw_box(canvas, 0.5 - half * 0.75, rng.uniform(0.55, 0.65), 0.5 + half * 0.75, 0.9, random_tone(rng, 30))
    draw_line(
        canvas,
        [(0.5 - half * 0.8, 0.5), (0.5 - half * 0.6, 0.3), (0.5 + half * 0.6, 0.3), (0.5 + half * 0.8, 0.5)],
        random_tone(rng),
        2,
    )
    return canvas


def _waist_bag(rng: Rng) -> Pixels:
    canvas, tone = blank_canvas(), random_tone(rng, 20)
    rise = rng.uniform(0.1, 0.3)
    draw_ellipse(canvas, 0.5, 0.58 - rise / 2, 0.42, rise, random_tone(rng, 20), round(rng.uniform(2, 6)))
    draw_ellipse(canvas, 0.5, 0.62, rng.uniform(0.22, 0.34), rng.uniform(0.1, 0.17), tone)
    draw_line(canvas, [(0.28, 0.57), (0.72, 0.57)], random_tone(rng), 2)
    return canvas


def _shoulder_bag(rng: Rng) -> Pixels:
    """Draw a bag with up to two straps or chains; without any it is a pouch."""
    canvas, tone = blank_canvas(), random_tone(rng, 20)
    half, top, bottom = rng.uniform(0.25, 0.42), rng.uniform(0.4, 0.6), rng.uniform(0.86, 0.96)
    strap = random_tone(rng, 15)
    for _ in range(int(rng.integers(0, 3))):
        rise = rng.uniform(0.1, top - 0.04)
        draw_ellipse(
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
    draw_polygon(
        canvas, [(0.5 - half + slant, top), (0.5 + half - slant, top), (0.5 + half, bottom), (0.5 - half, bottom)], tone
    )
    if rng.random() < 0.6:  # flap with a clasp
        low = rng.uniform(top + 0.1, bottom - 0.08)
        flap = [(0.5 - half + slant, top), (0.5 + half - slant, top), (0.5 + half * 0.8, low), (0.5 - half * 0.8, low)]
        draw_polygon(canvas, flap, int(np.clip(tone + rng.normal(0, 30), 10, 255)))
        draw_box(canvas, 0.46, low - 0.04, 0.54, low + 0.03, random_tone(rng))
    return canvas
