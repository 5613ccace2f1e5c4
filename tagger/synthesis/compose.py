"""Compose synthetic photos from product images: worn by a person, cut from one, spread flat, in pairs, pale, badly cut.

Fashion-MNIST shows each product alone, from the front or the side, and no white ones. All functions work on negatives on
0, uint8, with a side of `CANVAS` pixels unless noted otherwise: more than the network sees, so that they shrink as photos do.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tagger.arrays import Pixels
from tagger.synthesis.drawing import CANVAS, Rng, mirror, rotate, shift

MIN_LEVEL = 12
"""Minimum grey level of the product in an image of Fashion-MNIST; less is noise of the background."""

_SQUARE_3 = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Outfit:
    """The garments that a drawn person wears: negatives uint8 (CANVAS, CANVAS), None where there is no garment."""

    top: Pixels | None = None
    bottom: Pixels | None = None
    over: Pixels | None = None
    """A coat, drawn open over the top."""


def enlarge(image: Pixels) -> Pixels:
    """Resize an image, uint8 (h, w), to the canvas, with the background at exactly 0."""
    large = cv2.resize(image, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    return np.where(large >= MIN_LEVEL, large, 0).astype(np.uint8)


def draw_person(outfit: Outfit, rng: Rng, skin: int | None = None) -> Pixels:
    """Draw a person from head to shoes in an outfit, uint8 (4 * CANVAS, 2 * CANVAS).

    Args:
        outfit: garments; legs are drawn bare or in tights where there is no bottom.
        rng: draws sizes, posture and tones.
        skin: grey level of the skin in the negative, 30..220; None draws one.
    """
    skin = int(np.clip(rng.normal(95, 45), 30, 220)) if skin is None else skin
    canvas = np.zeros((4 * CANVAS, 2 * CANVAS), np.uint8)
    middle, shoulders, hips = CANVAS, 100, 100
    if outfit.top is not None:
        top = _trim(outfit.top)
        wide = rng.uniform(66, 92)
        top = _resize(top, wide, len(top) / top.shape[1] * wide * rng.uniform(0.9, 1.15))
        hips = shoulders + round(0.9 * len(top))
    if outfit.bottom is not None:
        bottom = _trim(outfit.bottom)
        wide = rng.uniform(40, 62)
        bottom = _resize(bottom, wide, rng.uniform(2.0, 3.1) * wide)
        _draw_shoes(canvas, middle, hips + len(bottom), rng)
        _paste(canvas, bottom, middle + round(rng.normal(0, 2)), hips - 6)
    else:
        _draw_legs(canvas, middle, hips - 10, skin, rng)
    arms = rng.random() < 0.85
    if arms:
        _draw_arms(canvas, middle, shoulders, skin, rng)
    if outfit.top is not None:
        _paste(canvas, top, middle, shoulders)
    if outfit.over is not None:
        _paste(canvas, _open_coat(outfit.over, rng), middle, shoulders - 2)
    if rng.random() < 0.4:  # hands in front
        _draw_arms(canvas, middle, shoulders, skin, rng, forearms_only=True)
    _draw_head(canvas, middle, shoulders, skin, rng)
    return canvas


def photo_of_top(outfit: Outfit, rng: Rng) -> Pixels:
    """Draw a person cropped as shops crop photos of tops: at the waist, hips, knees or not at all, with or without the head."""
    canvas = draw_person(outfit, rng)
    below = int(rng.choice([165, 190, 260, 384], p=[0.4, 0.25, 0.15, 0.2]))
    above = int(rng.choice([0, 78, 96], p=[0.7, 0.15, 0.15]))
    return canvas[above : max(below, above + 80)]


def photo_of_bottom(outfit: Outfit, rng: Rng) -> Pixels:
    """Draw a person cropped as shops crop photos of trousers: from the waist down, rarely with the whole top."""
    canvas = draw_person(outfit, rng)
    used_rows = np.flatnonzero(canvas[100:].any(1))
    hips = 150 if outfit.top is not None else 100
    above = int(rng.choice([hips + 20, hips - 10, hips - 35, 100], p=[0.3, 0.4, 0.25, 0.05]))
    below = 100 + int(used_rows[-1]) + 1 - int(rng.choice([0, 15, 60], p=[0.6, 0.25, 0.15]))
    return canvas[above : max(below, above + 80)]


def cut_from_person(garment: Pixels, rng: Rng) -> Pixels:
    """Draw a garment as segmentation from a person leaves it: with neck, hair, holes of hands, a straight hem, forearms.

    Returns:
        uint8 with a margin of a quarter of the canvas on every side; each remnant is drawn at random.
    """
    canvas = np.pad(garment, CANVAS // 4)
    ys, xs = np.nonzero(canvas)
    if len(ys) == 0:
        return canvas
    top, bottom, left, right = ys.min(), ys.max(), xs.min(), xs.max()
    middle, width, skin, hair = (left + right) // 2, right - left, int(rng.uniform(30, 220)), int(rng.uniform(60, 255))
    if rng.random() < 0.4:  # neck
        half = round(width * rng.uniform(0.06, 0.14))
        cv2.rectangle(
            canvas, (middle - half, max(0, top - round(width * rng.uniform(0, 0.15)))), (middle + half, top + 4), skin, -1
        )
    if rng.random() < 0.3:  # strands of hair over the shoulders
        for side in (-1, 1):
            x = middle + side * round(width * rng.uniform(0.12, 0.25))
            cv2.ellipse(canvas, (x, top + 4), (round(width * 0.07), round(width * rng.uniform(0.1, 0.45))), 0, 0, 360, hair, -1)
    for _ in range(int(rng.integers(0, 3))):  # hands, removed or not
        x, y = int(rng.integers(left, right + 1)), int(rng.integers((top + bottom) // 2, bottom + 1))
        tone = 0 if rng.random() < 0.6 else skin
        cv2.ellipse(canvas, (x, y), (round(width * 0.07), round(width * 0.1)), rng.uniform(0, 180), 0, 360, tone, -1)
    if rng.random() < 0.45:  # a straight hem, or a strip of the garment below
        y = round(bottom - (bottom - top) * rng.uniform(0, 0.15))
        canvas[y:] = 0
    elif rng.random() < 0.4:
        half, high = round(width * rng.uniform(0.25, 0.4)), round(width * rng.uniform(0.03, 0.3))
        strip = canvas[bottom - 2 : bottom - 2 + high, middle - half : middle + half]
        strip[strip == 0] = int(rng.uniform(20, 255))
    if rng.random() < 0.3:  # forearms that were not removed
        for side in (-1, 1):
            x = middle + side * round(width * rng.uniform(0.4, 0.5))
            y = round(top + (bottom - top) * rng.uniform(0.3, 0.5))
            elbow = (x + side * round(rng.uniform(-4, 8)), y + round((bottom - top) * rng.uniform(0.2, 0.5)))
            behind = canvas.copy()
            cv2.line(canvas, (x, y), elbow, skin, round(width * rng.uniform(0.07, 0.12)))
            np.copyto(canvas, behind, where=behind > 0)
    return canvas


def spread_sleeves(garment: Pixels, rng: Rng) -> Pixels:
    """Warp a top so that its sleeves are raised or lowered, as when it is laid flat."""
    y, x = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
    outwards = np.maximum(np.abs(x - CANVAS / 2) - rng.uniform(0.12, 0.22) * CANVAS, 0)
    lift = rng.uniform(-0.3, 0.9)
    moved_up = y + np.float32(lift) * outwards
    wider = CANVAS / 2 + (x - CANVAS / 2) * np.float32(rng.uniform(0.85, 1.25))
    return np.asarray(cv2.remap(garment, wider.astype(np.float32), moved_up.astype(np.float32), cv2.INTER_LINEAR), np.uint8)


def draw_pair(shoe: Pixels, rng: Rng, min_width: float = 0.65) -> Pixels:
    """Compose a pair of shoes from a shoe seen from the side, or turn the single shoe.

    The other shoe stands behind, lies behind with its sole or other side, or both stand upright with the toes to the
    viewer. Shoes are narrowed to at least the share `min_width` of their length, as an oblique view does.
    """
    tilt = rng.uniform(-40, 40) * (1.6 - min_width)
    near = rotate(_narrow(shoe, rng.uniform(min_width, 1.0)), tilt, 0.8)
    kind = rng.random()
    if kind < 0.35:
        return near
    other = mirror(shoe) if rng.random() < 0.4 else shoe
    if kind < 0.6:  # behind, a little to the side
        far = rotate(_narrow(other, rng.uniform(min_width, 1.0)), tilt + rng.normal(0, 8), 0.78)
        far = shift(far, rng.uniform(-28, 28), rng.uniform(-22, 4))
    elif kind < 0.8:  # lying behind, with its sole or its other side
        far = rotate(other[::-1] if rng.random() < 0.5 else other, rng.uniform(0, 360), 0.75)
        far = np.where(far > 0, np.clip(far * rng.uniform(0.4, 1.3), 8, 255), 0).astype(np.uint8)
        far = shift(far, rng.uniform(-25, 25), rng.uniform(-25, 10))
    else:  # both upright, toes to the viewer
        narrow = rng.uniform(0.25, 0.5)
        near = shift(_narrow(shoe, narrow), -rng.uniform(12, 24), rng.normal(0, 3))
        far = shift(_narrow(mirror(shoe), narrow), rng.uniform(12, 24), rng.normal(0, 3))
    return np.where(near > 0, near, far).astype(np.uint8)


def warp_perspective(canvas: Pixels, rng: Rng, strength: float = 0.12) -> Pixels:
    """Warp an image by a random perspective, as hand-held cameras do; `strength` is twice the standard deviation of corners."""
    side = np.float32(max(canvas.shape))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    shifted = corners + rng.normal(0, strength / 2, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners * side, (0.1 + 0.8 * shifted).astype(np.float32) * side)
    return np.asarray(cv2.warpPerspective(canvas, matrix, (int(side), int(side))), np.uint8)


def roughen_edges(canvas: Pixels, rng: Rng) -> Pixels:
    """Add a fault of segmentation: a frayed outline, a remnant of shadow around or below, or holes."""
    height, width = canvas.shape
    coarse = rng.normal(0, 1, (max(2, height // 6), max(2, width // 6)))
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = (canvas > 0).view(np.uint8)
    kind = rng.random()
    if kind < 0.4:
        inner = cv2.erode(mask, _SQUARE_3, iterations=int(rng.integers(1, 4)))
        return np.where((inner > 0) | ((mask > 0) & (noise > 0.2)), canvas, 0).astype(np.uint8)
    if kind < 0.8:
        outer = cv2.dilate(mask, _SQUARE_3, iterations=int(rng.integers(1, 6)))
        offset = rng.normal(0, 3, 2)
        shade = cv2.warpAffine(outer, np.array([[1, 0, offset[0]], [0, 1, abs(offset[1])]], np.float32), (width, height))
        return np.where(mask > 0, canvas, np.where((shade > 0) & (noise > -0.8), rng.integers(2, 40), 0)).astype(np.uint8)
    return np.where(noise > rng.uniform(1.5, 2.5), 0, canvas).astype(np.uint8)


def change_tone(canvas: Pixels, rng: Rng) -> Pixels:
    """Make the product paler or darker, or change its contrast; Fashion-MNIST excluded white products."""
    product = canvas > 0
    if not product.any():
        return canvas
    level = canvas.astype(np.float32)
    kind = rng.random()
    if kind < 0.45:  # pale
        level = level * np.exp(rng.uniform(np.log(0.08), 0))
    elif kind < 0.6:  # pale with dark outlines, as white cloth on white has
        middle = level[product].mean()
        level = rng.uniform(5, 40) + (level - middle) * rng.uniform(0.1, 0.5)
    elif kind < 0.8:  # dark
        level = 255 - (255 - level) * rng.uniform(0.15, 1)
    else:
        level = 255 * (level / 255) ** np.exp(rng.normal(0, 0.5))
    if rng.random() < 0.3:
        y, x = np.mgrid[-1 : 1 : len(canvas) * 1j, -1 : 1 : canvas.shape[1] * 1j]
        level = level * (1 + rng.normal(0, 0.15) * x + rng.normal(0, 0.2) * y)
    return np.where(product, np.clip(level, 2, 255), 0).astype(np.uint8)


def add_pattern(canvas: Pixels, rng: Rng) -> Pixels:
    """Add stripes, checks or a print to a garment, which do not depend on its class."""
    height, width = canvas.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    kind, strength = rng.random(), rng.uniform(0.2, 0.9)
    period = rng.uniform(5, 22)
    across, down = np.sin(2 * np.pi * x / period), np.sin(2 * np.pi * y / period + rng.uniform(0, 6))
    if kind < 0.3:
        wave = down
    elif kind < 0.45:
        wave = across
    elif kind < 0.7:
        wave = (across + down) / 2
    else:
        coarse = rng.normal(0, 1, (max(2, int(height / period)), max(2, int(width / period))))
        wave = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if 0.7 < kind < 0.85:  # a print on the chest
        far = ((x / width - 0.5) / 0.22) ** 2 + ((y / height - 0.42) / 0.18) ** 2
        wave = np.where(far < 1, wave, 0)
    level = canvas.astype(np.float32)
    level = level + strength * wave * np.where(level > 128, level - 20, 235 - level)
    return np.where(canvas > 0, np.clip(level, 3, 255), 0).astype(np.uint8)


def _trim(canvas: Pixels) -> Pixels:
    """Crop an image to the bounding box of what is not 0."""
    x, y, width, height = cv2.boundingRect(canvas)
    return canvas[y : y + height, x : x + width] if width else canvas


def _resize(canvas: Pixels, width: float, height: float) -> Pixels:
    """Resize an image to rounded sizes of at least 2 pixels, at most three canvases high."""
    size = (max(2, round(width)), max(2, min(round(height), 3 * CANVAS)))
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)


def _narrow(canvas: Pixels, share: float) -> Pixels:
    """Scale a canvas horizontally about its centre."""
    matrix = np.array([[share, 0, CANVAS / 2 * (1 - share)], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS)), np.uint8)


def _paste(canvas: Pixels, piece: Pixels, middle: int, top: int) -> None:
    """Paste a garment over the canvas in place, centred at the column `middle`, cropped where it does not fit."""
    left = max(0, middle - piece.shape[1] // 2)
    there = canvas[top : top + len(piece), left : left + piece.shape[1]]
    piece = piece[: len(there), : there.shape[1]]
    np.copyto(there, piece, where=piece > 0)


def _open_coat(coat: Pixels, rng: Rng) -> Pixels:
    """Return a coat without a wedge down its middle, trimmed and resized."""
    coat = _trim(coat).copy()
    coat = _resize(coat, rng.uniform(78, 100), len(coat) / coat.shape[1] * rng.uniform(85, 110))
    middle, half = coat.shape[1] // 2, round(coat.shape[1] * rng.uniform(0.04, 0.16))
    triangle = np.array([[middle, 0], [middle + half, len(coat)], [middle - half, len(coat)]], np.int32)
    cv2.fillPoly(coat, [triangle], 0)
    return coat


def _draw_head(canvas: Pixels, middle: int, shoulders: int, skin: int, rng: Rng) -> None:
    high, wide = round(rng.uniform(15, 20)), round(rng.uniform(11, 14))
    hair = int(np.clip(rng.normal(190, 60), 10, 255))
    middle += round(rng.normal(0, 3))
    neck = shoulders + round(rng.uniform(2, 14))
    centre = (middle, shoulders - high - round(rng.uniform(2, 8)))
    long = rng.random() < 0.45
    if long:
        cv2.ellipse(canvas, (middle, centre[1] + 8), (wide + 6, round(rng.uniform(24, 45))), 0, 0, 360, hair, -1)
    cv2.rectangle(canvas, (middle - 6, centre[1]), (middle + 6, neck), skin, -1)
    if rng.random() < 0.5:  # neckline
        opening = np.array([[middle - 9, shoulders], [middle + 9, shoulders], [middle, neck + round(rng.uniform(0, 16))]])
        cv2.fillPoly(canvas, [opening.astype(np.int32)], skin, cv2.LINE_AA)
    cv2.ellipse(canvas, (centre[0], centre[1] - 3), (wide + 2, high + 3), 0, 0, 360, hair, -1)
    cv2.ellipse(canvas, (centre[0], centre[1] + 3), (wide, high - 2), 0, 0, 360, skin, -1)
    eyes = min(255, skin + 60)
    for side in (-5, 5):
        cv2.circle(canvas, (centre[0] + side, centre[1]), 2, eyes, -1)


def _draw_arms(canvas: Pixels, middle: int, shoulders: int, skin: int, rng: Rng, forearms_only: bool = False) -> None:
    width = round(rng.uniform(8, 13))
    for side in (-1, 1):
        shoulder = (middle + side * round(rng.uniform(26, 34)), shoulders + 12)
        elbow = (middle + side * round(rng.uniform(36, 54)), shoulders + round(rng.uniform(38, 52)))
        hand = (middle + side * round(rng.uniform(10, 50)), shoulders + round(rng.uniform(55, 88)))
        if not forearms_only:
            cv2.line(canvas, shoulder, elbow, skin, width, cv2.LINE_AA)
        if not forearms_only or rng.random() < 0.6:
            cv2.line(canvas, elbow, hand, skin, width - 2, cv2.LINE_AA)
            cv2.circle(canvas, hand, width // 2 + 2, skin, -1)


def _draw_legs(canvas: Pixels, middle: int, hips: int, skin: int, rng: Rng) -> None:
    tone = skin if rng.random() < 0.75 else int(rng.uniform(120, 255))  # tights
    length, stance = round(rng.uniform(110, 150)), round(rng.uniform(7, 16))
    for side in (-1, 1):
        foot = (middle + side * stance, hips + length)
        cv2.line(canvas, (middle + side * 11, hips), foot, tone, round(rng.uniform(12, 17)), cv2.LINE_AA)
    _draw_shoes(canvas, middle, hips + length, rng)


def _draw_shoes(canvas: Pixels, middle: int, ground: int, rng: Rng) -> None:
    tone = int(rng.uniform(20, 255))
    for side in (-1, 1):
        centre = (middle + side * round(rng.uniform(9, 18)), min(ground + 3, len(canvas) - 8))
        cv2.ellipse(canvas, centre, (9, round(rng.uniform(5, 9))), 0, 0, 360, tone, -1)
