"""Drawn shoes are solids: views project them, and every class is drawn from all sides."""
# ruff: noqa: SIM300 - the expected value stands first

import cv2
import numpy as np
import pytest
from synthesis_helpers import assert_depends_on_the_seed_alone, assert_never_empty

from tagger.synthesis import shoes
from tagger.synthesis.drawing import CANVAS
from tagger.synthesis.mix import SHOES
from tagger.synthesis.shoes import UNIT, View, draw_shoes

ENDS = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0, 1]])
"""Heel and toes on the ground, and a point one unit above the middle."""


@pytest.mark.parametrize("label", SHOES)
def test_shoes_are_never_empty(label: str) -> None:
    """Whatever the seed, there is a shoe on the canvas, on background 0."""
    assert_never_empty(lambda rng: draw_shoes(rng, label))


@pytest.mark.parametrize("label", SHOES)
def test_shoes_depend_on_the_seed_alone(label: str) -> None:
    """The same seed draws the same shoes, other seeds draw others."""
    assert_depends_on_the_seed_alone(lambda rng: draw_shoes(rng, label))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("label", SHOES)
def test_shoes_are_large_on_the_canvas(label: str, seed: int) -> None:
    """Shoes take at least a fifth of the canvas."""
    _, _, width, height = cv2.boundingRect(draw_shoes(np.random.default_rng(seed), label))
    assert CANVAS / 5 <= max(width, height)


def test_other_classes_are_refused() -> None:
    """Only the three classes of shoes can be drawn."""
    with pytest.raises(KeyError):
        draw_shoes(np.random.default_rng(0), "Bag")


def test_a_view_from_the_side_shows_the_length() -> None:
    """From the side a shoe is one unit long and shows its height; from the front it has no length, from above no height."""
    heel, toes, above = View(0, 0).project(ENDS)
    assert np.allclose((UNIT, 0), toes - heel)
    assert np.allclose(UNIT, np.linalg.norm(above - (heel + toes) / 2))
    assert above[1] < heel[1]
    heel, toes, _ = View(90, 0).project(ENDS)
    assert np.allclose(heel, toes)
    heel, toes, above = View(0, 90).project(ENDS)
    assert np.allclose(above, (heel + toes) / 2)


def test_a_view_is_shifted_and_mirrored() -> None:
    """`right` moves a shoe across the view by units; `mirrored` swaps its inner and outer side."""
    sides = np.array([[0, 0.2, 0], [0, -0.2, 0]])
    plain, moved = View(90, 60).project(sides), View(90, 60, right=0.25).project(sides)
    assert np.allclose((0.25 * UNIT, 0), moved - plain)
    assert np.allclose(plain[::-1], View(90, 60, mirrored=True).project(sides))


@pytest.mark.parametrize("pairs", [0.0, 0.4, 1.0])
def test_the_share_of_pairs_is_kept(pairs: float) -> None:
    """With probability `pairs` a pair is seen with its toes away from or to the viewer, else one or two shoes obliquely.

    Two shoes are always a left and a right one.
    """
    rng = np.random.default_rng(2)
    views = [shoes._views(rng, pairs) for _ in range(400)]
    in_line = [both for both in views if len(both) == 2 and both[0].right == -both[1].right]
    assert len(in_line) / 400 == pytest.approx(pairs, abs=0.07)
    assert {1, 2} >= {len(both) for both in views}
    assert all({True, False} == {view.mirrored for view in both} for both in views if len(both) == 2)


def test_heights_fall_from_the_ankle_to_the_toes() -> None:
    """A profile has the ankle's height at the heel, is never higher farther forward, and ends at 0.7 of the toe's height."""
    profile = shoes._height_profile(0.15, 0.8, -0.1, 0.1)
    x = np.linspace(-0.5, 0.5, 101)
    heights = profile(x)
    assert 0.8 == heights[0]
    assert (np.diff(heights) <= 1e-9).all()
    assert heights[-1] == pytest.approx(0.7 * 0.15)


def test_the_outline_is_a_shoe_of_one_unit() -> None:
    """The outline is closed around the origin, one unit long, narrower at the waist than `width` on both sides."""
    for seed in range(10):
        outline = shoes._outline(np.random.default_rng(seed), 0.18)
        assert np.ptp(outline[:, 0]) == pytest.approx(1)
        assert 0.2 < np.ptp(outline[:, 1]) < 0.5
        assert cv2.contourArea(outline.astype(np.float32)) > 0.1
