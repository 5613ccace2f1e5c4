"""Composed photos keep something of the product, depend on the seed alone, and change what they promise."""
# ruff: noqa: SIM300 - the expected value stands first

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from synthesis_helpers import canvases

from tagger.arrays import Pixels
from tagger.synthesis import compose
from tagger.synthesis.compose import MIN_LEVEL, Outfit
from tagger.synthesis.drawing import CANVAS, Rng, blank_canvas, draw_box

STATES: dict[str, Callable[[Pixels, Rng], Pixels]] = {
    "cut from a person": compose.cut_from_person,
    "spread": compose.spread_sleeves,
    "pair": compose.draw_pair,
    "perspective": compose.warp_perspective,
    "rough edges": compose.roughen_edges,
    "tone": compose.change_tone,
    "pattern": compose.add_pattern,
    "worn above": lambda canvas, rng: compose.photo_of_top(Outfit(canvas), rng),
    "worn above with trousers": lambda canvas, rng: compose.photo_of_top(Outfit(canvas, canvas), rng),
    "worn over": lambda canvas, rng: compose.photo_of_top(Outfit(canvas, canvas, canvas), rng),
    "worn over nothing": lambda canvas, rng: compose.photo_of_top(Outfit(over=canvas), rng),
    "worn below": lambda canvas, rng: compose.photo_of_bottom(Outfit(None, canvas), rng),
    "worn below a top": lambda canvas, rng: compose.photo_of_bottom(Outfit(canvas, canvas), rng),
}


def square(tone: int = 200) -> Pixels:
    """Return a canvas with a square in its middle."""
    canvas = blank_canvas()
    draw_box(canvas, 0.25, 0.25, 0.75, 0.75, tone)
    return canvas


@pytest.mark.parametrize("state", STATES)
def test_states_keep_something_of_the_product(state: str) -> None:
    """Each step returns bytes that are not empty, the same for one seed, and leaves its argument unchanged."""
    for number, canvas in enumerate(canvases()[::2]):
        before = canvas.copy()
        made, again = (STATES[state](canvas, np.random.default_rng(number)) for _ in range(2))
        assert (2, np.uint8) == (made.ndim, made.dtype)
        assert np.count_nonzero(made) >= 20, number
        assert np.array_equal(made, again)
        assert np.array_equal(before, canvas)


@pytest.mark.parametrize("state", STATES)
def test_states_depend_on_the_seed(state: str) -> None:
    """Ten seeds give at least five different images."""
    canvas = canvases("Coat")[0]
    assert len({STATES[state](canvas, np.random.default_rng(seed)).tobytes() for seed in range(10)}) >= 5


@pytest.mark.parametrize("state", ["tone", "pattern"])
def test_tones_and_patterns_keep_the_outline(state: str) -> None:
    """Another tone and a pattern turn no pixel from product to background, nor from background to product."""
    for number, canvas in enumerate(canvases()[:60]):
        assert np.array_equal(canvas > 0, STATES[state](canvas, np.random.default_rng(number)) > 0)


def test_an_empty_canvas_stays_empty() -> None:
    """Where there is no product, tones and cuts add none."""
    for state in ("tone", "cut from a person"):
        assert not STATES[state](blank_canvas(), np.random.default_rng(1)).any()


def test_enlarging_removes_noise_of_the_background() -> None:
    """An image fills the canvas; what is darker than `MIN_LEVEL` is set to 0."""
    image = np.full((28, 28), MIN_LEVEL - 2, np.uint8)
    image[7:21, 7:21] = 200
    large = compose.enlarge(image)
    assert ((CANVAS, CANVAS), np.uint8) == (large.shape, large.dtype)
    assert 0 == large[:16].max()
    assert 200 == large[48, 48]
    assert MIN_LEVEL == compose.enlarge(np.full((28, 28), MIN_LEVEL, np.uint8)).min()


@pytest.mark.parametrize(
    "outfit", [Outfit(), Outfit(square()), Outfit(bottom=square()), Outfit(square(), square()), Outfit(over=square())]
)
def test_a_person_stands_on_the_canvas(outfit: Outfit) -> None:
    """A person is drawn in any outfit, also in none, upright on a canvas of 4 by 2, with a head above the shoulders."""
    for seed in range(10):
        person = compose.draw_person(outfit, np.random.default_rng(seed))
        assert ((4 * CANVAS, 2 * CANVAS), np.uint8) == (person.shape, person.dtype)
        _, top, width, height = cv2.boundingRect(person)
        assert 40 <= top < 100
        assert height > 1.3 * width


def test_a_persons_skin_has_the_given_tone() -> None:
    """The face has the grey level given, and the garment its own."""
    person = compose.draw_person(Outfit(square(200), square(150)), np.random.default_rng(3), skin=77)
    levels = np.bincount(person.ravel(), minlength=256)
    assert min(levels[77], levels[200], levels[150]) > 100


@pytest.mark.parametrize("photo", [compose.photo_of_top, compose.photo_of_bottom])
def test_photos_of_persons_are_cropped_in_several_places(photo: Callable[[Outfit, Rng], Pixels]) -> None:
    """Photos are at least 80 rows high and are cropped at several heights."""
    heights = [len(photo(Outfit(square(), square()), np.random.default_rng(seed))) for seed in range(30)]
    assert min(heights) >= 80
    assert len(set(heights)) >= 4


def test_spreading_keeps_the_middle() -> None:
    """Sleeves move, the middle column of the body stays where it is."""
    canvas = square()
    for seed in range(10):
        spread = compose.spread_sleeves(canvas, np.random.default_rng(seed))
        assert np.array_equal(canvas[:, 48] > 0, spread[:, 48] > 0)


def test_a_pair_is_narrowed_no_further_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shoes keep the share `min_width` of their length, except in upright pairs, of which a quarter to a half is seen."""
    shares: list[float] = []
    own = compose._narrow
    monkeypatch.setattr(compose, "_narrow", lambda canvas, share: shares.append(share) or own(canvas, share))
    for seed in range(60):
        compose.draw_pair(square(), np.random.default_rng(seed), 0.85)
    upright = [share for share in shares if share < 0.85]
    assert 0 < len(upright) < len(shares) / 2
    assert 0.25 <= min(upright) <= max(upright) <= 0.5
    assert max(shares) <= 1


def test_tones_become_paler_and_darker() -> None:
    """Over many seeds a product becomes much paler and much darker than it was, always between 2 and 255."""
    canvas = square(128)
    means = []
    for seed in range(60):
        toned = compose.change_tone(canvas, np.random.default_rng(seed))
        inside = toned[canvas > 0]
        assert inside.min() >= 2
        means.append(inside.mean())
    assert min(means) < 40
    assert max(means) > 170


def test_rough_edges_stay_near_the_product() -> None:
    """Remnants of shadow reach no farther than 20 pixels from the product, and most of the product is kept."""
    canvas = square()
    near = cv2.dilate((canvas > 0).view(np.uint8), np.ones((41, 41), np.uint8)) > 0
    for seed in range(30):
        rough = compose.roughen_edges(canvas, np.random.default_rng(seed))
        assert not rough[~near].any()
        assert np.count_nonzero(rough[canvas > 0]) > 0.5 * np.count_nonzero(canvas)
