"""Drawn out-of-distribution objects are on the canvas, depend on the seed alone, and vary in kind."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from synthesis_helpers import assert_depends_on_the_seed_alone, assert_never_empty

from tagger.synthesis import ood_objects
from tagger.synthesis.drawing import CANVAS, blank_canvas, draw_box
from tagger.synthesis.ood_objects import OOD_OBJECTS, draw_ood_object

KINDS = {"any": draw_ood_object, **{draw.__name__.strip("_"): draw for draw in OOD_OBJECTS}}


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_never_empty(kind: str) -> None:
    """Whatever the seed, there is an object on the canvas, on background 0."""
    assert_never_empty(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_objects_depend_on_the_seed_alone(kind: str) -> None:
    """The same seed draws the same object, other seeds draw others."""
    assert_depends_on_the_seed_alone(KINDS[kind])


def test_every_kind_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind in the table is drawn, those listed twice about twice as often."""
    drawn: list[str] = []
    noting = tuple(lambda rng, draw=draw: drawn.append(draw.__name__) or draw(rng) for draw in OOD_OBJECTS)
    monkeypatch.setattr(ood_objects, "OOD_OBJECTS", noting)
    rng = np.random.default_rng(0)
    for _ in range(600):
        draw_ood_object(rng)
    assert {draw.__name__ for draw in OOD_OBJECTS} == set(drawn)
    assert drawn.count("_belt") > drawn.count("_tie")


def test_tiling_repeats_the_drawing_smaller() -> None:
    """A drawing is repeated up to three times along each axis, and stays on the canvas."""
    canvas = blank_canvas()
    draw_box(canvas, 0.25, 0.25, 0.75, 0.75, 200)
    counts = set()
    for seed in range(40):
        tiled = ood_objects._tile(canvas, np.random.default_rng(seed))
        assert (CANVAS, CANVAS) == tiled.shape
        edges = np.diff((tiled.max(axis=0) > 0).astype(int), prepend=0)
        counts.add(int((edges == 1).sum()))
    assert {1, 2, 3} == counts
