"""Products are segmented from any background, and extracted as images in Fashion-MNIST's form."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from people import Person, draw_figure, draw_person
from product_scenes import BACKGROUNDS, PRODUCT, Box, cut, extent, extract, in_box, intersection_over_union, plain, scene

from tagger.arrays import Pixels
from tagger.photos.product import MIN_TONE, SIDE, extract_product, product_mask
from tagger.records import Photo

# Backgrounds


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_background_is_exactly_zero(background: str) -> None:
    """Outside the product every pixel is exactly 0, as in Fashion-MNIST, whatever the background; inside none is."""
    result = extract(scene(BACKGROUNDS[background]))
    left, top, right, bottom = extent(result.pixels)
    assert result.found
    # 50 by 100 pixels become 14 by 28.
    assert (0, 28) == (top, bottom)
    assert abs(14 - (right - left)) <= 1
    assert (result.pixels[top:bottom, left:right] > 0).all()
    outside = result.pixels.copy()
    outside[top:bottom, left:right] = 0
    assert 0 == outside.sum()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_mask_is_the_product(background: str) -> None:
    """The mask covers the product and nothing else, whatever the background."""
    mask = product_mask(scene(BACKGROUNDS[background]))
    assert mask is not None
    assert np.uint8 == mask.dtype
    assert {0, 255} == set(np.unique(mask))
    assert intersection_over_union(mask > 0, in_box(PRODUCT)) > 0.95


def test_light_product_on_dark_background() -> None:
    """A light product on a dark background is found, and the background is 0 all the same."""
    pixels = scene(plain(40, 40, 45), colour=(200, 200, 200))
    assert {55} == set(np.unique(cut(pixels)))
    result = extract(pixels)
    assert result.found
    assert abs(MIN_TONE - int(result.pixels[14, 14])) <= 1
    assert 0 == result.pixels[:, 0].max()


def test_product_of_the_backgrounds_brightness() -> None:
    """A product that differs from its background in colour alone is found."""
    result = extract(scene(plain(150, 150, 150), colour=(200, 132, 130)))
    assert result.found
    assert (0, 28) == extent(result.pixels)[1::2]


def test_print_in_the_backgrounds_colour_is_filled() -> None:
    """A print in the background's colour is part of the product, though it does not differ from the background."""
    pixels = scene(BACKGROUNDS["light grey"])
    pixels[60:90, 50:70] = 225
    found = cut(pixels)
    assert (100, 50) == found.shape
    assert (found > 0).all()
    assert {30} == set(np.unique(found[30:60, 15:35]))
    # 225 negated; sharpening leaves the middle of the print as it is.
    assert abs(30 - int(extract(pixels).pixels[13, 14])) <= 2


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("box", [(35, 40, 85, 160), (35, 0, 85, 120), (0, 40, 70, 120), (50, 40, 120, 120)])
def test_product_at_the_border_is_found(background: str, box: Box) -> None:
    """A product that touches one border, as trousers cut at the bottom do, is still the product."""
    mask = product_mask(scene(BACKGROUNDS[background], box))
    assert mask is not None
    assert intersection_over_union(mask > 0, in_box(box)) > 0.9
    assert extract(scene(BACKGROUNDS[background], box)).found


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_enclosed_background_is_filled(background: str) -> None:
    """Background that a product encloses belongs to the product; with a gap in the ring it does not."""
    pixels = scene(BACKGROUNDS[background])
    pixels[50:110, 45:75] = BACKGROUNDS[background][50:110, 45:75]
    found = cut(pixels)
    assert abs(100 - found.shape[0]) <= 1
    assert abs(50 - found.shape[1]) <= 1
    assert (found[3:-3, 3:-3] > 0).all()
    pixels[75:85, 75:85] = BACKGROUNDS[background][75:85, 75:85]
    assert (cut(pixels)[30:70, 18:32] == 0).mean() > 0.9


def test_white_within_a_product_is_no_hole() -> None:
    """White within a product is 1, because 0 is for the background alone."""
    pixels = scene(BACKGROUNDS["white"])
    pixels[60:90, 50:70] = 255
    assert {1} == set(np.unique(cut(pixels)[31:59, 16:34]))


def test_dust_is_left_out() -> None:
    """A speck far from the product does not make the product smaller."""
    pixels = scene(BACKGROUNDS["white"])
    clean = extract(pixels).pixels
    pixels[145:149, 10:14] = 90
    assert np.array_equal(clean, extract(pixels).pixels)


def test_a_pair_is_kept_together() -> None:
    """Both shoes of a pair are shown, not the larger alone."""
    pixels = scene(scene(BACKGROUNDS["white"], (20, 40, 50, 120)), (70, 45, 98, 120))
    left, top, right, bottom = extent(extract(pixels).pixels)
    assert SIDE == max(right - left, bottom - top)
    mask = product_mask(pixels)
    assert mask is not None
    assert intersection_over_union(mask > 0, in_box((20, 40, 50, 120)) | in_box((70, 45, 98, 120))) > 0.95


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_faint_frame_changes_nothing(background: str) -> None:
    """A faint frame of one pixel all around does not change what is found."""
    pixels = scene(BACKGROUNDS[background])
    framed = pixels.copy()
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        framed[edge] = 205
    assert np.array_equal(extract(pixels).pixels, extract(framed).pixels)


# Persons


PERSON = Person(hair=(25, 22, 22))


def test_the_garment_of_a_person_fills_the_image() -> None:
    """Of a person in top and trousers the top alone is shown, as large as if it were photographed alone, and centred."""
    result = extract(draw_person(PERSON).pixels)
    left, top, right, bottom = extent(result.pixels)
    assert SIDE == max(right - left, bottom - top)
    assert abs(left - (SIDE - right)) <= 1
    assert abs(top - (SIDE - bottom)) <= 1
    # (40, 80, 160) is a grey of 77; the head would be brighter, the trousers darker.
    assert abs(255 - 77 - int(np.median(result.pixels[result.pixels > 0]))) <= 3


def test_the_garment_of_a_person_keeps_its_aspect_ratio() -> None:
    """A top without its wearer is about 46 by 62 pixels, sleeves and all: no arms make it wider."""
    height, width = cut(draw_person(PERSON).pixels).shape
    assert abs(62 - height) <= 4
    assert abs(46 - width) <= 4


def test_the_garment_does_not_depend_on_the_wearer() -> None:
    """People of two skins and heads in the same top give nearly the same image."""
    one, other = (extract(draw_person(Person(skin, (25, 22, 22))).pixels).pixels for skin in ((234, 192, 159), (120, 75, 50)))
    assert np.abs(one.astype(int) - other).mean() < 3


@pytest.mark.parametrize("top", [(236, 236, 238), (245, 244, 240)])
def test_a_pale_top_is_darkened_without_its_wearer(top: tuple[int, int, int]) -> None:
    """Dark hair and trousers do not keep a pale top from being darkened, because they are removed first."""
    result = extract(draw_person(Person(hair=(25, 22, 22), top=top)).pixels)
    assert np.median(result.pixels[result.pixels > 0]) > 100


def test_a_whole_figure_gives_both_garments_and_the_framings_favourite_first() -> None:
    """Of a figure from head to foot both garments are given, and the image is that of the more probable one, the trousers."""
    result = extract(draw_figure().pixels)
    assert ["upper", "lower"] == [region.name for region in result.regions]
    assert "lower" == result.region
    assert result.worn
    assert np.array_equal(result.regions[1].pixels, result.pixels)
    assert result.colour is result.regions[1].colour
    assert not np.array_equal(result.regions[0].pixels, result.pixels)


def test_a_single_garment_gives_no_choice() -> None:
    """A person to the knees shows one garment, and a product alone none: neither has regions to choose from."""
    worn, alone = extract(draw_person(PERSON).pixels), extract(scene(BACKGROUNDS["white"]))
    assert ("upper", ()) == (worn.region, worn.regions)
    assert (None, ()) == (alone.region, alone.regions)


# In colour


def test_the_product_in_colour_is_as_fine_as_the_photo() -> None:
    """The picture in colour is made from the photo as it was decoded, the other one from 160 pixels."""
    small = scene(BACKGROUNDS["white"])
    large = np.kron(small, np.ones((4, 4, 1), np.uint8))
    box = np.argwhere((large != 255).any(axis=2))
    product = large[box[0, 0] : box[-1, 0], box[0, 1] : box[-1, 1]]
    product[np.arange(len(product)) % 4 < 2] = 0  # stripes that are lost at 160 pixels
    one = extract(large)
    assert one.colour is not None
    middle = one.colour[80:140, 100:124].astype(int)
    assert np.abs(np.diff(middle.mean(axis=(1, 2)))).mean() > 5
    assert extract(small).colour is not None


def test_a_larger_photo_gives_the_same_image() -> None:
    """A photo decoded at four times the size gives nearly the same 28x28 image of product and of person."""
    for small in (scene(BACKGROUNDS["white"]), draw_person(PERSON).pixels):
        one, other = extract(small), extract(np.kron(small, np.ones((4, 4, 1), np.uint8)))
        assert one.worn == other.worn
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2


def test_images_of_fashion_mnists_form_have_no_colour() -> None:
    """An image in Fashion-MNIST's form, and a photo without a product, have no picture in colour."""
    assert extract(np.zeros((28, 28, 3), np.uint8)).colour is None
    assert extract(BACKGROUNDS["white"]).colour is None


# Photos without a product


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_blank_photo_shows_nothing(background: str) -> None:
    """Where nothing stands out from the background, nothing is found and the image is black."""
    result = extract(BACKGROUNDS[background])
    assert not result.found
    assert 0 == result.pixels.max()


def test_truncation_is_passed_on() -> None:
    """The product image of a truncated photo is marked as truncated, whether or not a product is found."""
    for pixels in (
        scene(BACKGROUNDS["white"]),
        BACKGROUNDS["white"],
        np.zeros((28, 28, 3), np.uint8),
        draw_person(PERSON).pixels,
    ):
        assert extract_product(Photo(pixels, truncated=True)).truncated
        assert not extract_product(Photo(pixels)).truncated


# Fashion-MNIST's own form


def grey_image(low: int, high: int) -> Pixels:
    """Return an image of 28x28 pixels with random levels in the middle."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 6:22] = np.random.default_rng(5).integers(low, high, (20, 16))
    return image


def test_fashion_mnist_is_passed_through() -> None:
    """A grey image of 28x28 pixels on black has Fashion-MNIST's form, and is passed through unchanged and marked native."""
    image = grey_image(0, 256)
    result = extract(np.repeat(image[:, :, None], 3, axis=2))
    assert result.found
    assert result.native
    assert np.array_equal(image, result.pixels)


def test_pale_fashion_mnist_is_not_changed() -> None:
    """Images in Fashion-MNIST's form are passed through unchanged, however pale."""
    image = grey_image(0, 40)
    assert np.array_equal(image, extract(np.repeat(image[:, :, None], 3, axis=2)).pixels)


def test_photos_are_not_native() -> None:
    """Product images cut out of photos, and empty ones, are not marked as native."""
    for pixels in (scene(BACKGROUNDS["white"]), BACKGROUNDS["white"], draw_person(PERSON).pixels):
        assert not extract(pixels).native


def test_small_photo_on_white_is_a_photo() -> None:
    """A grey image of 28x28 pixels on white is a tiny photo: it is negated."""
    image = 255 - grey_image(100, 256)
    result = extract(np.repeat(image[:, :, None], 3, axis=2))
    assert result.found
    assert not np.array_equal(image, result.pixels)
    assert result.pixels[14, 14] > 0
    assert 0 == result.pixels[0, 0]


def test_small_coloured_photo_is_a_photo() -> None:
    """A coloured image of 28x28 pixels is not Fashion-MNIST's, even on black."""
    pixels = np.repeat(grey_image(100, 256)[:, :, None], 3, axis=2)
    pixels[14, 14] = (250, 10, 10)
    assert not np.array_equal(pixels[:, :, 0], extract(pixels).pixels)


def test_the_photo_is_not_changed() -> None:
    """The photo's pixels are neither changed nor shared with the product image."""
    for pixels in (scene(BACKGROUNDS["pink"]), np.repeat(grey_image(0, 256)[:, :, None], 3, axis=2)):
        before = pixels.copy()
        result = extract(pixels)
        assert not np.shares_memory(pixels, result.pixels)
        result.pixels[:] = 7
        assert np.array_equal(before, pixels)


# Any pixels


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (2, 300), (300, 2), (1, 160), (160, 1), (5, 5), (28, 27)])
def test_tiny_photos_never_raise(size: tuple[int, int]) -> None:
    """Photos too small to have a border give an image all the same: plain, random or half black and half white."""
    height, width = size
    halves = np.zeros((height, width, 3), np.uint8)
    halves[:, width // 2 :] = 255
    random = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    for pixels in (np.full_like(halves, 255), halves, random):
        extract(pixels)


@settings(max_examples=150, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_any_small_image_never_raises(pixels: Pixels) -> None:
    """Any pixels of any small shape give 28x28 pixels, all 0 where nothing is found."""
    result = extract(pixels)
    assert result.found or 0 == result.pixels.max()


@settings(max_examples=60, deadline=None)
@given(
    background=st.tuples(*[st.integers(0, 255)] * 3),
    product=st.tuples(*[st.integers(0, 255)] * 3),
    left=st.integers(0, 60),
    top=st.integers(0, 80),
    width=st.integers(1, 60),
    height=st.integers(1, 80),
)
def test_any_product_on_any_ground(
    background: tuple[int, int, int], product: tuple[int, int, int], left: int, top: int, width: int, height: int
) -> None:
    """A plain product on a plain background of any colours is centred, its longest side at most 28 pixels."""
    result = extract(scene(plain(*background), (left, top, left + width, top + height), product))
    if result.found and result.pixels.any():
        x0, y0, x1, y1 = extent(result.pixels)
        assert max(x1 - x0, y1 - y0) <= SIDE
        # A product of white and black stripes could be 0 at its own rim; a plain one is not.
        assert abs(x0 - (SIDE - x1)) <= 1
        assert abs(y0 - (SIDE - y1)) <= 1


def test_pictures_in_colour_can_be_left_out() -> None:
    """Without them all else is the same, also for each part of a person."""
    for pixels in (scene(BACKGROUNDS["white"]), draw_person().pixels, draw_figure().pixels):
        with_colour, without = (extract_product(Photo(pixels), colour) for colour in (True, False))
        assert with_colour.colour is not None
        assert without.colour is None
        assert np.array_equal(with_colour.pixels, without.pixels)
        assert [(one.name, one.prior) for one in with_colour.regions] == [(one.name, one.prior) for one in without.regions]
        assert all(one.colour is None for one in without.regions)
