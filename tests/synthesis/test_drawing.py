"""Pens draw in shares of the canvas; transformations and texture keep the background at 0."""
# ruff: noqa: SIM300 - the expected value stands first

import cv2
import numpy as np
import pytest

from tagger.arrays import Pixels
from tagger.synthesis.drawing import (
    CANVAS,
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


def box(left: float, top: float, right: float, bottom: float, tone: int = 200) -> Pixels:
    """Return a canvas with a filled rectangle."""
    canvas = blank_canvas()
    draw_box(canvas, left, top, right, bottom, tone)
    return canvas


def test_a_blank_canvas_is_black() -> None:
    """A new canvas is CANVAS by CANVAS bytes of 0, and no two share memory."""
    first, second = blank_canvas(), blank_canvas()
    assert ((CANVAS, CANVAS), np.uint8) == (first.shape, first.dtype)
    assert not first.any()
    first[:] = 1
    assert not second.any()


def test_boxes_are_in_shares_of_the_canvas() -> None:
    """A rectangle from a quarter to the half covers these pixels, both ends included, in its tone."""
    canvas = box(0.25, 0.5, 0.5, 0.75)
    assert (24, 48, 25, 25) == cv2.boundingRect(canvas)
    assert {0, 200} == set(np.unique(canvas).tolist())


def test_ellipses_are_in_shares_of_the_canvas() -> None:
    """A filled ellipse has its centre and radii in shares; an outline leaves the middle, an arc one half."""
    filled, outline, arc = blank_canvas(), blank_canvas(), blank_canvas()
    draw_ellipse(filled, 0.5, 0.5, 0.25, 0.125, 200)
    draw_ellipse(outline, 0.5, 0.5, 0.25, 0.125, 200, 2)
    draw_ellipse(arc, 0.5, 0.5, 0.25, 0.125, 200, start=180, end=360)
    x, y, width, height = cv2.boundingRect(filled)
    assert np.abs(np.subtract((24, 36, 49, 25), (x, y, width, height))).max() <= 2
    assert (200, 0) == (filled[48, 48], outline[48, 48])
    assert outline[48].any()
    assert arc[40].any()
    assert not arc[52:].any()


def test_lines_and_polygons_are_in_shares_of_the_canvas() -> None:
    """A line is as wide as told and at least a pixel; a polygon is filled."""
    wide, thin, polygon = blank_canvas(), blank_canvas(), blank_canvas()
    draw_line(wide, [(0.25, 0.5), (0.75, 0.5)], 200, 6)
    draw_line(thin, [(0.25, 0.5), (0.75, 0.5)], 200, 0.2)
    draw_polygon(polygon, [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)], 200)
    assert abs(6 - np.count_nonzero(wide[:, 48] > 100)) <= 2
    assert thin[48, 48] > 0
    assert np.count_nonzero(thin[:, 48]) <= 3
    assert (polygon[26:70, 26:70] == 200).all()
    assert not polygon[:20].any()


def test_tones_stay_within_their_bounds() -> None:
    """Tones are whole levels from the lower bound to below the upper one."""
    rng = np.random.default_rng(1)
    tones = [random_tone(rng, 30, 40) for _ in range(300)]
    assert set(range(30, 40)) == set(tones)


def test_shifting_moves_right_and_down() -> None:
    """A drawing moves by whole pixels, and what leaves the canvas is lost."""
    canvas = box(0.25, 0.5, 0.5, 0.75)
    assert (24 + 5, 48 - 7, 25, 25) == cv2.boundingRect(shift(canvas, 5, -7))
    assert not shift(canvas, CANVAS, 0).any()


def test_mirroring_twice_changes_nothing() -> None:
    """A drawing is flipped horizontally."""
    canvas = box(0.25, 0.5, 0.5, 0.75)
    assert np.array_equal(canvas[:, ::-1], mirror(canvas))
    assert np.array_equal(canvas, mirror(mirror(canvas)))


def test_rotation_is_about_the_centre() -> None:
    """A quarter turn puts the right end of a bar to the top; scaling by half halves it."""
    bar = box(0.5, 0.48, 0.9, 0.52)
    x, y, width, height = cv2.boundingRect(rotate(bar, 90))
    assert height > 3 * width
    assert abs(48 - (x + width / 2)) <= 2
    assert y < 48 < y + height + 2
    assert abs(20 - cv2.boundingRect(rotate(bar, 0, 0.5))[2]) <= 2


@pytest.mark.parametrize("tone", [3, 120, 255])
def test_texture_keeps_the_outline(tone: int) -> None:
    """Texture leaves the background at 0 and the object between 3 and 255, and is not the same everywhere."""
    canvas = box(0.1, 0.1, 0.9, 0.9, tone)
    for seed in range(20):
        textured = add_texture(canvas, np.random.default_rng(seed))
        assert np.array_equal(canvas > 0, textured > 0)
        assert textured[canvas > 0].min() >= 3
    assert tone == 3 or len(np.unique(textured)) > 10
