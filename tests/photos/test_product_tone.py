"""Products are negated, pale ones darkened, and resized into the middle of 28x28 pixels."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from product_scenes import BACKGROUNDS, Box, cut, extent, extract, scene

from tagger.arrays import Pixels
from tagger.photos.product import MAX_LIFT, MIN_TONE, SIDE, centred


@pytest.mark.parametrize(
    "box", [(35, 30, 85, 130), (10, 60, 110, 90), (30, 50, 90, 110), (5, 5, 45, 85), (70, 100, 112, 150), (40, 40, 48, 150)]
)
def test_longest_side_is_28_and_centred(box: Box) -> None:
    """The product's longest side is 28 pixels and it stands in the middle, wherever it was in the photo."""
    left, top, right, bottom = extent(extract(scene(BACKGROUNDS["white"], box)).pixels)
    assert SIDE == max(right - left, bottom - top)
    assert abs(left - (SIDE - right)) <= 1
    assert abs(top - (SIDE - bottom)) <= 1
    ratio = min(box[2] - box[0], box[3] - box[1]) / max(box[2] - box[0], box[3] - box[1])
    assert abs(SIDE * ratio - min(right - left, bottom - top)) <= 1.5


@pytest.mark.parametrize("grey", [0, 40, 100, 105, 160, 200, 245])
def test_tones_are_negated(grey: int) -> None:
    """A product's tones are negated: a dark one is bright, a light one dark."""
    found = cut(scene(BACKGROUNDS["white"], colour=(grey, grey, grey)))
    assert (100, 50) == found.shape
    assert {255 - grey} == set(np.unique(found))


@pytest.mark.parametrize("grey", [0, 40, 100, 105])
def test_dark_products_keep_their_tone(grey: int) -> None:
    """A product that reaches the minimum tone already is not darkened."""
    result = extract(scene(BACKGROUNDS["white"], colour=(grey, grey, grey)))
    assert abs(255 - grey - int(result.pixels[14, 14])) <= 1


@pytest.mark.parametrize("grey", [106, 130, 160, 200, 230, 243, 245, 249])
def test_pale_products_are_darkened(grey: int) -> None:
    """A pale product gets the minimum tone, or its own tone times the maximum factor where that is less; it is 0 around it."""
    result = extract(scene(BACKGROUNDS["white"], colour=(grey, grey, grey)))
    assert abs(min(MIN_TONE, MAX_LIFT * (255 - grey)) - int(result.pixels[14, 14])) <= 1
    left, top, right, bottom = extent(result.pixels)
    assert (0, 28) == (top, bottom)
    assert abs(14 - (right - left)) <= 1
    outside = result.pixels.copy()
    outside[top:bottom, left:right] = 0
    assert 0 == outside.max()


@pytest.mark.parametrize(("dark_rows", "darkened"), [(0, True), (8, True), (12, False), (50, False), (100, False)])
def test_a_tenth_of_the_pixels_decides(dark_rows: int, darkened: bool) -> None:
    """A product is darkened as a whole, by one factor, unless more than a tenth of it reaches the minimum tone."""
    pixels = scene(BACKGROUNDS["white"], colour=(225, 225, 225))
    pixels[30 : 30 + dark_rows, 35:85] = 55
    result = extract(pixels)
    pale = int(result.pixels[26, 14]) if dark_rows < 100 else 200
    assert abs((MIN_TONE if darkened else 30 if dark_rows < 100 else 200) - pale) <= 2
    if dark_rows:
        assert abs((255 if darkened else 200) - int(result.pixels[1, 14])) <= 6


@settings(max_examples=80, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60))))
def test_any_negative_can_be_centred(negative: Pixels) -> None:
    """Any negative becomes uint8 (28, 28), black where it was black all over, and is itself left alone."""
    before = negative.copy()
    image = centred(negative)
    assert ((28, 28), np.uint8) == (image.shape, image.dtype)
    assert negative.any() or not image.any()
    assert np.array_equal(before, negative)


@settings(max_examples=60, deadline=None)
@given(
    tone=st.integers(1, 255),
    left=st.integers(0, 30),
    top=st.integers(0, 30),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
)
def test_a_plain_negative_is_centred(tone: int, left: int, top: int, width: int, height: int) -> None:
    """A plain negative has 28 pixels on its longest side, the promised tone, and exactly 0 all around."""
    negative = np.zeros((90, 90), np.uint8)
    negative[top : top + height, left : left + width] = tone
    image = centred(negative)
    x0, y0, x1, y1 = extent(image)
    assert SIDE == max(x1 - x0, y1 - y0)
    assert abs(x0 - (SIDE - x1)) <= 1
    assert abs(y0 - (SIDE - y1)) <= 1
    assert np.abs(image[y0:y1, x0:x1] - min(max(tone, MIN_TONE), MAX_LIFT * tone)).max() <= 1
