"""Drawn bags are on the canvas, depend on the seed alone, and vary in kind."""
# ruff: noqa: SIM300 - the expected value stands first

import cv2
import numpy as np
import pytest
from synthesis_helpers import assert_depends_on_the_seed_alone, assert_never_empty

from tagger.synthesis import bags
from tagger.synthesis.bags import draw_bag
from tagger.synthesis.drawing import CANVAS

KINDS = {"any": draw_bag, "rucksack": bags._rucksack, "waist bag": bags._waist_bag, "shoulder bag": bags._shoulder_bag}


@pytest.mark.parametrize("kind", KINDS)
def test_bags_are_never_empty(kind: str) -> None:
    """Whatever the seed, there is a bag on the canvas, on background 0."""
    assert_never_empty(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_bags_depend_on_the_seed_alone(kind: str) -> None:
    """The same seed draws the same bag, other seeds draw others."""
    assert_depends_on_the_seed_alone(KINDS[kind])


def test_bags_fill_the_canvas_without_leaving_it() -> None:
    """A bag's longer side takes at least half of the canvas."""
    for seed in range(30):
        _, _, width, height = cv2.boundingRect(draw_bag(np.random.default_rng(seed)))
        assert CANVAS / 2 <= max(width, height)


def test_all_kinds_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rucksacks and waist bags are a quarter each, shoulder bags and pouches the half."""
    drawn: list[str] = []
    for name in ("_rucksack", "_waist_bag", "_shoulder_bag"):
        own = getattr(bags, name)
        monkeypatch.setattr(bags, name, lambda rng, name=name, own=own: drawn.append(name) or own(rng))
    rng = np.random.default_rng(0)
    for _ in range(200):
        draw_bag(rng)
    shares = [drawn.count(name) / 200 for name in ("_rucksack", "_waist_bag", "_shoulder_bag")]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.08)
