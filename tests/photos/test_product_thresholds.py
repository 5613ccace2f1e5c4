"""The tuned numbers of segmentation: each test fails when one of them moves."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from product_scenes import (
    BACKGROUNDS,
    HEIGHT,
    PRODUCT,
    WIDTH,
    Box,
    cut,
    extract,
    gradient,
    in_box,
    intersection_over_union,
    mask_of,
    noisy,
    plain,
    scene,
)

from tagger.photos import product
from tagger.photos.detector import Body, Face
from tagger.photos.person import Person
from tagger.photos.worn import WornRegion

WHITE = BACKGROUNDS["white"]


def test_a_dark_frame_of_two_pixels_is_cropped() -> None:
    """`EDGE_SHARE` of 160 pixels are two on every side: a frame of that width changes nothing, whatever its colour."""
    pixels = scene(WHITE)
    framed = np.full_like(pixels, 20)
    framed[2:-2, 2:-2] = pixels[2:-2, 2:-2]
    assert np.array_equal(extract(pixels).pixels, extract(framed).pixels)


def test_the_background_is_modelled_from_a_narrow_border() -> None:
    """`BORDER_SHARE` leaves room for products that fill the photo but for a tenth on every side."""
    box: Box = (12, 14, 108, 146)
    assert intersection_over_union(mask_of(scene(WHITE, box)) > 0, in_box(box)) > 0.95


@pytest.mark.parametrize("deviation", [3, 5, 12, 14])
def test_noise_of_the_background_does_not_stand_out(deviation: float) -> None:
    """`NOISE_FACTOR` and `MAX_DIFFERENCE` keep noise in the background, and a dark product stands out from it."""
    pixels = scene(noisy(plain(200, 200, 200), deviation))
    assert intersection_over_union(mask_of(pixels) > 0, in_box(PRODUCT)) > 0.95


@pytest.mark.parametrize(("difference", "found"), [(20, False), (60, True)])
def test_a_product_must_differ_by_a_multiple_of_the_noise(difference: int, found: bool) -> None:
    """With a noise of about eleven levels a product must differ by `NOISE_FACTOR` times as many to stand out."""
    background = noisy(plain(200, 200, 200), 6)
    left, top, right, bottom = PRODUCT
    pixels = background.copy()
    pixels[top:bottom, left:right] -= np.uint8(difference)
    assert found == extract(pixels).found


def test_noise_does_not_hide_a_product_for_good() -> None:
    """However noisy the background, a product that differs by 70 levels stands out."""
    pixels = scene(noisy(plain(200, 200, 200), 20), colour=(130, 130, 130))
    assert intersection_over_union(mask_of(pixels) > 0, in_box(PRODUCT)) > 0.8


@pytest.mark.parametrize(("level", "found"), [(249, True), (250, False)])
def test_the_faintest_product(level: int, found: bool) -> None:
    """On an even background a difference of six levels stands out, and one of five does not."""
    assert found == extract(scene(WHITE, colour=(level, level, level))).found


@pytest.mark.parametrize(("side", "found"), [(9, False), (10, True)])
def test_the_smallest_product(side: int, found: bool) -> None:
    """`MIN_AREA` of a photo of 160 by 120 pixels, without its frame, is 90 pixels."""
    assert found == extract(scene(WHITE, (50, 60, 50 + side, 60 + side))).found


@pytest.mark.parametrize(("height", "kept"), [(19, False), (21, True)])
def test_the_smallest_part_of_a_product(height: int, kept: bool) -> None:
    """A second part belongs to the product if it has at least `MIN_PART`, a fifth, of the largest one's area."""
    pixels = scene(scene(WHITE, (20, 20, 60, 120)), (70, 30, 110, 30 + height))
    assert (100, 90 if kept else 40) == cut(pixels).shape


@pytest.mark.parametrize(("height", "kept"), [(13, False), (16, True)])
def test_the_smallest_part_of_a_worn_garment(height: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second part belongs to the garment of a person from 0.15 of the largest one's area on."""
    large, small = (20, 20, 60, 120), (70, 30, 110, 30 + height)
    garment = np.where(in_box(large) | in_box(small), 255, 0).astype(np.uint8)[2:-2, 2:-2]
    someone = Person(Face(60, 30, 20, 20, 0.9, (60, 25), (60, 30), (60, 35)), Body(np.zeros((33, 2)), np.zeros(33), 0.9))
    monkeypatch.setattr(product, "find_person", lambda pixels, small, mask: someone)
    monkeypatch.setattr(product, "worn_regions", lambda pixels, mask, person: (WornRegion("upper", garment, 1.0),))
    assert (100, 90 if kept else 40) == cut(scene(WHITE, (10, 10, 115, 150))).shape


def test_edges_are_sharpened() -> None:
    """Beside an edge within the product, the darker side is darker and the brighter one brighter than farther off."""
    pixels = scene(WHITE, colour=(100, 100, 100))
    pixels[80:130, 35:85] = 200
    column = extract(pixels).pixels[:, 14].astype(int)
    assert column.max() >= column[5] + 10
    assert column[3:-3].min() <= column[22] - 10
    assert abs(155 - column[5]) <= 2
    assert abs(55 - column[22]) <= 2


@pytest.mark.parametrize(("level", "native"), [(0, True), (127, True), (128, False), (255, False)])
def test_dark_corners_mark_fashion_mnists_form(level: int, native: bool) -> None:
    """A grey image of 28x28 pixels has Fashion-MNIST's form if its corners are darker than the middle grey."""
    image = np.full((28, 28, 3), level, np.uint8)
    image[6:22, 6:22] = 200
    assert native == extract(image).native


@pytest.mark.parametrize("box", [(0, 20, 60, 140), (30, 0, 90, 100), (0, 0, 50, 120)])
def test_a_product_along_the_border_does_not_bend_the_background(box: Box) -> None:
    """On a slanting gradient a product that covers up to a third of the border is segmented, as its pixels get no weight."""
    background = gradient((250, 250, 250), (150, 155, 160), 1, 1)
    assert (HEIGHT, WIDTH) == background.shape[:2]
    assert intersection_over_union(mask_of(scene(background, box)) > 0, in_box(box)) > 0.95
