"""Even bars and frames are trimmed off photos, and nothing else is."""
# ruff: noqa: SIM300 - the expected value stands first

from io import BytesIO

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from product_scenes import BACKGROUNDS, PRODUCT, extract, gradient, plain, scene

from tagger.arrays import Pixels
from tagger.photos.frame import crop_edge, trim_bars

Bars = tuple[int, int, int, int]
"""Widths of the bars above, below, left and right in pixels."""


def barred(pixels: Pixels, bars: Bars, colour: tuple[int, ...] = (0, 0, 0)) -> Pixels:
    """Return a photo with bars of a colour around it."""
    above, below, left, right = bars
    around = np.empty((len(pixels) + above + below, pixels.shape[1] + left + right, 3), np.uint8)
    around[:] = colour
    around[above : above + len(pixels), left : left + pixels.shape[1]] = pixels
    return around


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Return the pixels after they were compressed as JPEG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 40)])
@pytest.mark.parametrize(
    "bars", [(0, 0, 20, 20), (30, 30, 0, 0), (25, 0, 0, 0), (0, 0, 0, 9), (10, 10, 10, 10), (0, 0, 200, 200)]
)
def test_bars_are_trimmed_to_the_pixel(bars: Bars, colour: tuple[int, ...]) -> None:
    """Bars of any colour on one side, two or all are trimmed, and nothing of the photo is."""
    photo = scene(BACKGROUNDS["light grey"])
    assert np.array_equal(photo, trim_bars(barred(photo, bars, colour)))


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_bars_of_a_jpeg_are_trimmed(quality: int) -> None:
    """The noise of compression hides no bar: what is left is within the edge that is cropped."""
    photo = scene(np.full((320, 240, 3), 235, np.uint8), (70, 60, 170, 260))
    trimmed = trim_bars(jpeg(barred(photo, (0, 0, 40, 40)), quality))
    assert 320 == len(trimmed)
    assert abs(240 - trimmed.shape[1]) <= 12


@pytest.mark.parametrize(("width", "trimmed"), [(9, True), (16, True), (40, False)])
def test_uneven_bars_are_trimmed_where_they_are_narrow(width: int, trimmed: bool) -> None:
    """Compression makes a narrow bar uneven over its whole width; a wide strip that is uneven all over shows something."""
    rng = np.random.default_rng(0)
    photo = rng.integers(90, 256, (300, 260, 3)).astype(np.uint8)
    bar = rng.integers(0, 31, (width, 260, 3)).astype(np.uint8)
    whole = np.concatenate([bar, photo])
    assert np.array_equal(photo if trimmed else whole, trim_bars(whole))
    assert np.array_equal((photo if trimmed else whole).transpose(1, 0, 2), trim_bars(whole.transpose(1, 0, 2)))
    assert np.array_equal((photo if trimmed else whole)[::-1], trim_bars(whole[::-1]))


def test_bars_within_bars_are_trimmed() -> None:
    """A white frame within black bars is trimmed, too, and bars of another colour on each side."""
    photo = scene(BACKGROUNDS["pink"])
    framed = barred(barred(photo, (8, 8, 8, 8), (255, 255, 255)), (0, 0, 30, 30))
    assert np.array_equal(photo, trim_bars(framed))
    assert np.array_equal(photo, trim_bars(barred(barred(photo, (20, 0, 0, 0), (200, 0, 0)), (0, 15, 0, 0))))


def test_rows_that_are_mixed_with_the_bar_are_trimmed() -> None:
    """Where a photo was shrunk with its bars, no row of the edge is left."""
    photo = scene(np.full((320, 240, 3), 235, np.uint8), (70, 60, 170, 260))
    image = Image.fromarray(barred(photo, (41, 41, 0, 0)))
    shrunk = np.asarray(image.resize((image.width * 2 // 5, image.height * 2 // 5), Image.Resampling.LANCZOS))
    assert trim_bars(shrunk)[[0, -1]].min() > 215


@pytest.mark.parametrize("name", BACKGROUNDS)
@pytest.mark.parametrize("box", [PRODUCT, (35, 40, 85, 160), (35, 0, 85, 120), (0, 40, 70, 120), (20, 20, 100, 140)])
def test_photos_without_bars_are_left_alone(name: str, box: tuple[int, int, int, int]) -> None:
    """Neither ground nor a rectangular product, in the middle or at an edge, is a bar."""
    photo = scene(BACKGROUNDS[name], box)
    assert trim_bars(photo) is photo


def test_a_dress_that_is_cut_off_is_left_alone() -> None:
    """A black dress that fills the lower edge, wider than above, is no bar."""
    photo = plain(250, 250, 250)
    for row in range(20, 160):
        half = min(60, row // 2)
        photo[row, 60 - half : 60 + half] = 10
    assert trim_bars(photo) is photo


def test_a_gradient_is_left_alone() -> None:
    """Ground that grows darker towards an edge is no bar."""
    photo = scene(gradient((255, 255, 255), (120, 120, 120), 0, 1))
    assert trim_bars(photo) is photo


def test_even_photos_are_left_alone() -> None:
    """A photo of one colour, and one without a product within a frame, become no smaller than nothing."""
    for photo in (plain(0, 0, 0), plain(255, 255, 255), np.zeros((1, 1, 3), np.uint8), np.zeros((1, 500, 3), np.uint8)):
        assert trim_bars(photo) is photo
    assert trim_bars(barred(plain(255, 255, 255), (9, 9, 9, 9))).size > 0


def test_the_edge_is_a_share_of_the_longer_side() -> None:
    """`EDGE_SHARE` of 160 pixels are two on every side; photos too small for an edge are left alone."""
    assert (156, 116, 3) == crop_edge(plain(1, 2, 3)).shape
    small = np.zeros((6, 6, 3), np.uint8)
    assert crop_edge(small) is small


@settings(max_examples=40, deadline=None)
@given(
    bars=st.tuples(*[st.sampled_from([0, 0, 5, 17, 60])] * 4),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    name=st.sampled_from(["light grey", "pink", "white"]),
)
def test_bars_change_no_product_image(bars: Bars, colour: tuple[int, int, int], name: str) -> None:
    """A photo with bars of any colour and width gives the product image of the photo itself, or nearly so."""
    photo = scene(BACKGROUNDS[name])
    ground = BACKGROUNDS[name][0, 0].astype(int)
    assume(np.abs(ground - colour).max() >= 10)  # less is hardly to be seen, and no edge of a product
    one, other = extract(photo), extract(barred(photo, bars, colour))
    assert other.found
    assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 6


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_more_ground_is_no_bar(name: str) -> None:
    """Padding in the ground's own colour is ground: it stays, and the product's outline is the same."""
    photo = scene(np.full((160, 120, 3), BACKGROUNDS[name][0, 0], np.uint8))
    padded = barred(photo, (0, 60, 17, 17), tuple(map(int, photo[0, 0])))
    assert trim_bars(padded) is padded
    one, other = extract(photo), extract(padded)
    assert np.mean((one.pixels > 0) != (other.pixels > 0)) < 0.05


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_small_image_never_raises(height: int, width: int, seed: int) -> None:
    """Images of any small size keep at least a pixel."""
    pixels = np.random.default_rng(seed).integers(0, 3, (height, width, 3)).astype(np.uint8) * 127
    assert trim_bars(pixels).size > 0
