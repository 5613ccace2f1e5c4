"""Drawn products on drawn grounds, and what the network gets to see of them."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from people import Person, draw_person

from tagger.arrays import Pixels
from tagger.photos.product import MAX_LIFT, MIN_TONE, SIDE, centred, cut_product, extract_product, product_mask
from tagger.records import Photo, ProductImage

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; the last two just outside."""

HEIGHT, WIDTH = 160, 120
PRODUCT: Box = (35, 30, 85, 130)


def plain(*colour: int) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def gradient(first: tuple[int, ...], last: tuple[int, ...], along_x: float, along_y: float) -> Pixels:
    """Return a ground that runs from one colour to another in the given direction."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    share = (along_x * xs / (WIDTH - 1) + along_y * ys / (HEIGHT - 1)) / (along_x + along_y)
    return np.rint(np.array(first) + share[:, :, None] * np.subtract(last, first)).astype(np.uint8)


def noisy(ground: Pixels, deviation: float) -> Pixels:
    noise = np.random.default_rng(3).normal(0, deviation, ground.shape)
    return np.clip(ground + noise, 0, 255).astype(np.uint8)


GROUNDS = {
    "white": plain(255, 255, 255),
    "light grey": plain(225, 225, 225),
    "pink": plain(250, 205, 215),
    "downwards": gradient((255, 255, 255), (190, 190, 195), 0, 1),
    "sideways": gradient((235, 225, 220), (180, 180, 190), 1, 0),
    "slanting": gradient((250, 250, 250), (170, 175, 180), 1, 1),
    "noisy": noisy(plain(235, 235, 235), 2),
}

COLOUR = (60, 70, 110)


def shown(ground: Pixels, box: Box = PRODUCT, colour: tuple[int, ...] = COLOUR) -> Pixels:
    """Return the ground with a plain product in `box`."""
    left, top, right, bottom = box
    pixels = ground.copy()
    pixels[top:bottom, left:right] = colour
    return pixels


def seen(pixels: Pixels) -> ProductImage:
    result = extract_product(Photo(pixels))
    assert (28, 28) == result.pixels.shape
    assert np.uint8 == result.pixels.dtype
    return result


def extent(picture: Pixels) -> Box:
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


def in_box(box: Box) -> NDArray[np.bool_]:
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    return inside


# Grounds


@pytest.mark.parametrize("ground", GROUNDS)
def test_ground_is_exactly_zero(ground: str) -> None:
    """Outside the product every pixel is exactly 0, as in Fashion-MNIST, whatever the ground; inside none is."""
    result = seen(shown(GROUNDS[ground]))
    left, top, right, bottom = extent(result.pixels)
    assert result.found
    # 50 by 100 pixels become 14 by 28.
    assert (0, 28) == (top, bottom)
    assert abs(14 - (right - left)) <= 1
    assert (result.pixels[top:bottom, left:right] > 0).all()
    outside = result.pixels.copy()
    outside[top:bottom, left:right] = 0
    assert 0 == outside.sum()


@pytest.mark.parametrize("ground", GROUNDS)
def test_mask_is_the_product(ground: str) -> None:
    """The mask covers the product and nothing else, whatever the ground."""
    mask = product_mask(shown(GROUNDS[ground]))
    assert mask is not None
    assert np.uint8 == mask.dtype
    assert {0, 255} == set(np.unique(mask))
    assert overlap(mask > 0, in_box(PRODUCT)) > 0.95


@pytest.mark.parametrize(
    "box", [(35, 30, 85, 130), (10, 60, 110, 90), (30, 50, 90, 110), (5, 5, 45, 85), (70, 100, 112, 150), (40, 40, 48, 150)]
)
def test_longest_side_is_28_and_centred(box: Box) -> None:
    """The product's longest side is 28 pixels and it stands in the middle, wherever it was in the photo."""
    left, top, right, bottom = extent(seen(shown(GROUNDS["white"], box)).pixels)
    assert SIDE == max(right - left, bottom - top)
    assert abs(left - (SIDE - right)) <= 1
    assert abs(top - (SIDE - bottom)) <= 1
    ratio = min(box[2] - box[0], box[3] - box[1]) / max(box[2] - box[0], box[3] - box[1])
    assert abs(SIDE * ratio - min(right - left, bottom - top)) <= 1.5


def alone(pixels: Pixels) -> Pixels:
    """Return the product in a photo as it is before it is shrunk."""
    found = cut_product(Photo(pixels))
    assert found is not None
    assert np.uint8 == found.pixels.dtype
    return found.pixels


@pytest.mark.parametrize("grey", [0, 40, 100, 105, 160, 200, 245])
def test_tones_are_negated(grey: int) -> None:
    """A product's tones are negated: a dark one is bright, a light one dark."""
    found = alone(shown(GROUNDS["white"], colour=(grey, grey, grey)))
    assert (100, 50) == found.shape
    assert {255 - grey} == set(np.unique(found))


@pytest.mark.parametrize("grey", [0, 40, 100, 105])
def test_nothing_dark_enough_is_lifted(grey: int) -> None:
    """A product that has the least tone already is shown in its own."""
    result = seen(shown(GROUNDS["white"], colour=(grey, grey, grey)))
    assert abs(255 - grey - int(result.pixels[14, 14])) <= 1


@pytest.mark.parametrize("grey", [106, 130, 160, 200, 230, 243, 245, 249])
def test_pale_products_are_lifted(grey: int) -> None:
    """A pale product comes out in the least tone, or as many times its own as is allowed where that is less; 0 around it."""
    result = seen(shown(GROUNDS["white"], colour=(grey, grey, grey)))
    assert abs(min(MIN_TONE, MAX_LIFT * (255 - grey)) - int(result.pixels[14, 14])) <= 1
    left, top, right, bottom = extent(result.pixels)
    assert (0, 28) == (top, bottom)
    assert abs(14 - (right - left)) <= 1
    outside = result.pixels.copy()
    outside[top:bottom, left:right] = 0
    assert 0 == outside.max()


@pytest.mark.parametrize(("dark_rows", "lifted"), [(0, True), (8, True), (12, False), (50, False), (100, False)])
def test_a_tenth_of_the_pixels_decides(dark_rows: int, lifted: bool) -> None:
    """Where more than a tenth of a product has the least tone it is not lifted; all of it is, in one proportion, otherwise."""
    pixels = shown(GROUNDS["white"], colour=(225, 225, 225))
    pixels[30 : 30 + dark_rows, 35:85] = 55
    result = seen(pixels)
    pale = int(result.pixels[26, 14]) if dark_rows < 100 else 200
    assert abs((MIN_TONE if lifted else 30 if dark_rows < 100 else 200) - pale) <= 2
    if dark_rows:
        assert abs((255 if lifted else 200) - int(result.pixels[1, 14])) <= 6


@settings(max_examples=80, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60))))
def test_any_negative_can_be_centred(negative: Pixels) -> None:
    """Any negative becomes uint8 (28, 28), black where it was black all over, and is itself left alone."""
    before = negative.copy()
    picture = centred(negative)
    assert ((28, 28), np.uint8) == (picture.shape, picture.dtype)
    assert negative.any() or not picture.any()
    assert np.array_equal(before, negative)


@settings(max_examples=60, deadline=None)
@given(
    tone=st.integers(1, 255),
    left=st.integers(0, 30),
    top=st.integers(0, 30),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
)
def test_a_plain_negative_is_centred_whole(tone: int, left: int, top: int, width: int, height: int) -> None:
    """A plain negative has 28 pixels on its longest side, the tone promised, and exactly 0 all around."""
    negative = np.zeros((90, 90), np.uint8)
    negative[top : top + height, left : left + width] = tone
    picture = centred(negative)
    x0, y0, x1, y1 = extent(picture)
    assert SIDE == max(x1 - x0, y1 - y0)
    assert abs(x0 - (SIDE - x1)) <= 1
    assert abs(y0 - (SIDE - y1)) <= 1
    assert np.abs(picture[y0:y1, x0:x1] - min(max(tone, MIN_TONE), MAX_LIFT * tone)).max() <= 1


def test_light_product_on_dark_ground() -> None:
    """A light product on a dark ground is found, and the ground is 0 all the same."""
    pixels = shown(plain(40, 40, 45), colour=(200, 200, 200))
    assert {55} == set(np.unique(alone(pixels)))
    result = seen(pixels)
    assert result.found
    assert abs(MIN_TONE - int(result.pixels[14, 14])) <= 1
    assert 0 == result.pixels[:, 0].max()


def test_coloured_product_of_the_grounds_lightness() -> None:
    """A product that differs from its ground in colour alone is found."""
    result = seen(shown(plain(150, 150, 150), colour=(200, 132, 130)))
    assert result.found
    assert (0, 28) == extent(result.pixels)[1::2]


def test_print_in_the_grounds_colour_stays_inside() -> None:
    """A print in the ground's colour is part of the product, though it does not differ from the ground."""
    pixels = shown(GROUNDS["light grey"])
    pixels[60:90, 50:70] = 225
    found = alone(pixels)
    assert (100, 50) == found.shape
    assert (found > 0).all()
    assert {30} == set(np.unique(found[30:60, 15:35]))
    # 225 negated; sharpening leaves the middle of the print as it is.
    assert abs(30 - int(seen(pixels).pixels[13, 14])) <= 2


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("box", [(35, 40, 85, 160), (35, 0, 85, 120), (0, 40, 70, 120), (50, 40, 120, 120)])
def test_product_at_the_border_is_found(ground: str, box: Box) -> None:
    """A product that touches one border, as trousers cut at the bottom do, is still the product."""
    mask = product_mask(shown(GROUNDS[ground], box))
    assert mask is not None
    assert overlap(mask > 0, in_box(box)) > 0.9
    assert seen(shown(GROUNDS[ground], box)).found


@pytest.mark.parametrize("ground", GROUNDS)
def test_rings_are_filled(ground: str) -> None:
    """What a product goes all around is the product, even if nothing but ground is seen there; a gap in the ring opens it."""
    pixels = shown(GROUNDS[ground])
    pixels[50:110, 45:75] = GROUNDS[ground][50:110, 45:75]
    found = alone(pixels)
    assert abs(100 - found.shape[0]) <= 1
    assert abs(50 - found.shape[1]) <= 1
    assert (found[3:-3, 3:-3] > 0).all()
    pixels[75:85, 75:85] = GROUNDS[ground][75:85, 75:85]
    assert (alone(pixels)[30:70, 18:32] == 0).mean() > 0.9


def test_white_within_a_product_is_no_hole() -> None:
    """White in a product is told from the ground by being 1 instead of 0, which is for the ground alone."""
    pixels = shown(GROUNDS["white"])
    pixels[60:90, 50:70] = 255
    assert {1} == set(np.unique(alone(pixels)[31:59, 16:34]))


def test_dust_is_left_out() -> None:
    """A speck far from the product does not make the product smaller."""
    pixels = shown(GROUNDS["white"])
    clean = seen(pixels).pixels
    pixels[145:149, 10:14] = 90
    assert np.array_equal(clean, seen(pixels).pixels)


def test_a_pair_is_kept_together() -> None:
    """Both shoes of a pair are seen, not the larger alone."""
    pixels = shown(shown(GROUNDS["white"], (20, 40, 50, 120)), (70, 45, 98, 120))
    left, top, right, bottom = extent(seen(pixels).pixels)
    assert SIDE == max(right - left, bottom - top)
    mask = product_mask(pixels)
    assert mask is not None
    assert overlap(mask > 0, in_box((20, 40, 50, 120)) | in_box((70, 45, 98, 120))) > 0.95


@pytest.mark.parametrize("ground", GROUNDS)
def test_faint_frame_changes_nothing(ground: str) -> None:
    """A faint frame of one pixel all around does not change what is found."""
    pixels = shown(GROUNDS[ground])
    framed = pixels.copy()
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        framed[edge] = 205
    assert np.array_equal(seen(pixels).pixels, seen(framed).pixels)


# Somebody who wears it


PERSON = Person(hair=(25, 22, 22))


def test_the_garment_of_a_figure_fills_the_picture() -> None:
    """Of somebody in top and trousers the top alone is left, as large as if it lay there alone, in the middle."""
    result = seen(draw_person(PERSON).pixels)
    left, top, right, bottom = extent(result.pixels)
    assert SIDE == max(right - left, bottom - top)
    assert abs(left - (SIDE - right)) <= 1
    assert abs(top - (SIDE - bottom)) <= 1
    # (40, 80, 160) is a grey of 77; the head would be brighter, the trousers darker.
    assert abs(255 - 77 - int(np.median(result.pixels[result.pixels > 0]))) <= 3


def test_the_garment_of_a_figure_has_its_own_proportions() -> None:
    """A top without its wearer is about 46 by 62 pixels, sleeves and all: no arms make it wider."""
    height, width = alone(draw_person(PERSON).pixels).shape
    assert abs(62 - height) <= 4
    assert abs(46 - width) <= 4


def test_sleeves_do_not_hang_on_the_wearer() -> None:
    """People of two skins and heads in the same top give nearly the same picture."""
    one, other = (seen(draw_person(Person(skin, (25, 22, 22))).pixels).pixels for skin in ((234, 192, 159), (120, 75, 50)))
    assert np.abs(one.astype(int) - other).mean() < 3


@pytest.mark.parametrize("top", [(236, 236, 238), (245, 244, 240)])
def test_a_pale_top_is_lifted_without_its_wearer(top: tuple[int, int, int]) -> None:
    """Dark hair and trousers do not keep a pale top from being lifted: it is toned once it is alone."""
    result = seen(draw_person(Person(hair=(25, 22, 22), top=top)).pixels)
    assert np.median(result.pixels[result.pixels > 0]) > 100


# Nothing to see


@pytest.mark.parametrize("ground", GROUNDS)
def test_blank_photo_shows_nothing(ground: str) -> None:
    """Where nothing stands out from the ground, nothing is found and the picture is black."""
    result = seen(GROUNDS[ground])
    assert not result.found
    assert 0 == result.pixels.max()


def test_truncation_travels_along() -> None:
    """A truncated photo gives a garment marked as truncated, whether or not something is found."""
    for pixels in (shown(GROUNDS["white"]), GROUNDS["white"], np.zeros((28, 28, 3), np.uint8), draw_person(PERSON).pixels):
        assert extract_product(Photo(pixels, truncated=True)).truncated
        assert not extract_product(Photo(pixels)).truncated


# Fashion-MNIST's own form


def random_grey(low: int, high: int) -> Pixels:
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 6:22] = np.random.default_rng(5).integers(low, high, (20, 16))
    return picture


def test_fashion_mnist_is_taken_as_it_is() -> None:
    """A grey picture of 28x28 pixels on black is one of Fashion-MNIST's, and taken byte for byte."""
    picture = random_grey(0, 256)
    result = seen(np.repeat(picture[:, :, None], 3, axis=2))
    assert result.found
    assert result.native
    assert np.array_equal(picture, result.pixels)


def test_pale_fashion_mnist_is_not_lifted() -> None:
    """However pale, Fashion-MNIST's own pictures are taken byte for byte."""
    picture = random_grey(0, 40)
    assert np.array_equal(picture, seen(np.repeat(picture[:, :, None], 3, axis=2)).pixels)


def test_photos_are_told_from_fashion_mnist() -> None:
    """What was cut out of a photo, or shows nothing, is not marked as Fashion-MNIST's own."""
    for pixels in (shown(GROUNDS["white"]), GROUNDS["white"], draw_person(PERSON).pixels):
        assert not seen(pixels).native


def test_small_photo_on_white_is_a_photo() -> None:
    """A grey picture of 28x28 pixels on white is a tiny photo: it is negated."""
    picture = 255 - random_grey(100, 256)
    result = seen(np.repeat(picture[:, :, None], 3, axis=2))
    assert result.found
    assert not np.array_equal(picture, result.pixels)
    assert result.pixels[14, 14] > 0
    assert 0 == result.pixels[0, 0]


def test_small_coloured_photo_is_a_photo() -> None:
    """A coloured picture of 28x28 pixels is not Fashion-MNIST's, even on black."""
    pixels = np.repeat(random_grey(100, 256)[:, :, None], 3, axis=2)
    pixels[14, 14] = (250, 10, 10)
    assert not np.array_equal(pixels[:, :, 0], seen(pixels).pixels)


def test_the_photo_is_left_alone() -> None:
    """The photo's own pixels are neither changed nor shared."""
    for pixels in (shown(GROUNDS["pink"]), np.repeat(random_grey(0, 256)[:, :, None], 3, axis=2)):
        before = pixels.copy()
        result = seen(pixels)
        assert not np.shares_memory(pixels, result.pixels)
        result.pixels[:] = 7
        assert np.array_equal(before, pixels)


# Any picture at all


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (2, 300), (300, 2), (1, 160), (160, 1), (5, 5), (28, 27)])
def test_tiny_photos_never_raise(size: tuple[int, int]) -> None:
    """Photos too small to have a border give a picture all the same: plain, random or half and half."""
    height, width = size
    halves = np.zeros((height, width, 3), np.uint8)
    halves[:, width // 2 :] = 255
    random = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    for pixels in (np.full_like(halves, 255), halves, random):
        seen(pixels)


@settings(max_examples=150, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_any_small_picture_never_raises(pixels: Pixels) -> None:
    """Any pixels of any small shape give 28x28 bytes, black where nothing is found."""
    result = seen(pixels)
    assert result.found or 0 == result.pixels.max()


@settings(max_examples=60, deadline=None)
@given(
    ground=st.tuples(*[st.integers(0, 255)] * 3),
    product=st.tuples(*[st.integers(0, 255)] * 3),
    left=st.integers(0, 60),
    top=st.integers(0, 80),
    width=st.integers(1, 60),
    height=st.integers(1, 80),
)
def test_any_product_on_any_ground(
    ground: tuple[int, int, int], product: tuple[int, int, int], left: int, top: int, width: int, height: int
) -> None:
    """Of a product on a plain ground every pixel lies in the middle, with 28 pixels the longest side."""
    result = seen(shown(plain(*ground), (left, top, left + width, top + height), product))
    if result.found and result.pixels.any():
        x0, y0, x1, y1 = extent(result.pixels)
        assert max(x1 - x0, y1 - y0) <= SIDE
        # A product of white and black stripes could be 0 at its own rim; a plain one is not.
        assert abs(x0 - (SIDE - x1)) <= 1
        assert abs(y0 - (SIDE - y1)) <= 1
