"""Persons are detected by their face and their garment is segmented; products alone are not taken for persons."""
# ruff: noqa: SIM300 - the expected value stands first

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from people import PARTS, Colour, Drawn, Person, draw_person
from product_scenes import mask_of

from tagger.arrays import Pixels
from tagger.photos.person import find_face, worn_mask

SKINS: dict[str, Colour] = {
    "porcelain": (255, 224, 196),
    "light": (234, 192, 159),
    "tan": (224, 172, 138),
    "olive": (198, 134, 100),
    "brown": (168, 112, 80),
    "dark": (141, 85, 54),
    "deep": (108, 66, 45),
}
HAIRS: dict[str, Colour] = {"black": (25, 22, 22), "soft black": (40, 34, 32)}
OTHER_HAIRS: dict[str, Colour] = {
    "dark brown": (60, 42, 34),
    "brown": (90, 65, 50),
    "red": (140, 60, 30),
    "ash": (120, 105, 95),
    "golden": (215, 180, 120),
    "grey": (135, 135, 138),
    "white": (225, 225, 228),
}
TOPS: dict[str, Colour] = {"blue": (40, 80, 160), "green": (30, 110, 60), "grey": (150, 150, 150), "black": (20, 20, 22)}

PERSON = Person(hair=HAIRS["black"])


def kept_shares(drawn: Drawn, garment: Pixels | None) -> dict[str, float]:
    """Return the share of each part that the garment's mask keeps."""
    assert garment is not None
    return {name: float((garment > 0)[getattr(drawn, name)].mean()) for name in PARTS}


def cut(drawn: Drawn) -> Pixels | None:
    """Segment the garment of a drawn person."""
    return worn_mask(drawn.pixels, drawn.mask)


# Persons


@pytest.mark.parametrize("hair", HAIRS)
@pytest.mark.parametrize("skin", SKINS)
def test_the_top_is_kept_and_head_and_bare_arms_are_removed(skin: str, hair: str) -> None:
    """Of a person in top and trousers the top is kept; head, bare arms and trousers are removed, for every tone of skin."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin], hair=HAIRS[hair]))
    kept = kept_shares(drawn, cut(drawn))
    assert kept["top"] > 0.97
    assert kept["head"] < 0.03
    assert kept["arms"] < 0.25
    assert kept["bottom"] < 0.03


@pytest.mark.parametrize("skin", SKINS)
def test_no_edge_of_skin_is_kept(skin: str) -> None:
    """No edge of bare arms is kept beside the body, which would make the garment wider than it is."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin]))
    garment = cut(drawn)
    assert garment is not None
    assert 0 == np.count_nonzero(garment[70:98, :41])
    assert 0 == np.count_nonzero(garment[70:98, 80:])


@pytest.mark.parametrize("colour", TOPS)
def test_tops_of_any_colour_are_kept(colour: str) -> None:
    """Coloured, grey and black tops are kept, down to the hem where light trousers begin."""
    drawn = draw_person(replace(PERSON, top=TOPS[colour], bottom=(200, 205, 225)))
    kept = kept_shares(drawn, cut(drawn))
    assert kept["top"] > 0.97
    assert kept["bottom"] < 0.03


@pytest.mark.parametrize("bottom", [(35, 35, 40), (60, 90, 140), (200, 190, 165), (130, 30, 40)])
def test_trousers_are_cut_at_the_hem(bottom: Colour) -> None:
    """Trousers of another colour are removed from the row where they begin, within two rows."""
    drawn = draw_person(replace(PERSON, top=(240, 200, 60), bottom=bottom))
    garment = cut(drawn)
    assert garment is not None
    assert abs(104 - (1 + int(np.flatnonzero(garment.any(axis=1))[-1]))) <= 2


@pytest.mark.parametrize("colour", TOPS)
def test_a_dress_is_kept_whole(colour: str) -> None:
    """Where no second colour begins nothing is removed below: it is a dress or an overall."""
    drawn = draw_person(replace(PERSON, top=TOPS[colour], bottom=TOPS[colour]))
    kept = kept_shares(drawn, cut(drawn))
    assert kept["top"] > 0.97
    assert kept["bottom"] > 0.97
    assert kept["head"] < 0.03


@pytest.mark.parametrize("skin", SKINS)
def test_sleeves_are_kept(skin: str) -> None:
    """Sleeves in the colour of the top are kept down to the hem; hands are removed."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin], sleeves=True))
    garment = cut(drawn)
    assert garment is not None
    sleeves = drawn.arms.copy()
    sleeves[98:] = False
    assert (garment > 0)[sleeves].mean() > 0.97
    assert 0 == np.count_nonzero(garment[106:])


@pytest.mark.parametrize("skin", ["light", "tan", "olive", "dark"])
def test_a_top_in_the_colour_of_the_skin_is_kept(skin: str) -> None:
    """A top in the colour of the face is not taken for skin, which would leave nothing."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin], top=SKINS[skin]))
    assert kept_shares(drawn, cut(drawn))["top"] > 0.9


@pytest.mark.parametrize("background", [(255, 255, 255), (225, 225, 225), (200, 205, 210)])
def test_any_plain_background(background: Colour) -> None:
    """The same person is segmented alike on white and on grey, with the mask that `product_mask` finds."""
    drawn = draw_person(replace(PERSON, background=background))
    kept = kept_shares(drawn, worn_mask(drawn.pixels, mask_of(drawn.pixels)))
    assert kept["top"] > 0.97
    assert kept["head"] < 0.03
    assert kept["bottom"] < 0.03


@pytest.mark.parametrize("hair", {**HAIRS, **OTHER_HAIRS})
@pytest.mark.parametrize("skin", SKINS)
def test_a_person_is_segmented_or_kept_whole(skin: str, hair: str) -> None:
    """A person who is not detected, as hair in a tone of skin can hide a face, is kept whole: a top is never lost."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin], hair={**HAIRS, **OTHER_HAIRS}[hair]))
    garment = cut(drawn)
    if garment is not None:
        kept = kept_shares(drawn, garment)
        assert kept["top"] > 0.97
        assert kept["head"] < 0.1
        assert kept["bottom"] < 0.03


@pytest.mark.parametrize("skin", SKINS)
def test_the_face_is_where_it_was_drawn(skin: str) -> None:
    """The face found is the drawn one: its top, its chin within a few pixels, its middle, width and colour."""
    drawn = draw_person(replace(PERSON, skin=SKINS[skin]))
    colours = cv2.cvtColor(drawn.pixels, cv2.COLOR_RGB2YCrCb)
    face = find_face(colours, drawn.mask)
    assert face is not None
    assert abs(12 - face.top) <= 2
    assert abs(39 - face.chin) <= 4
    assert abs(60 - face.middle) <= 1.5
    assert abs(20 - face.width) <= 3
    expected = cv2.cvtColor(np.array([[SKINS[skin]]], np.uint8), cv2.COLOR_RGB2YCrCb)[0, 0]
    assert np.abs(face.colour - expected).max() <= 3


def mask_with_body(drawn: Drawn, first: int, last: int) -> Pixels:
    """Return the mask of a drawn person whose body is 60 pixels wide from row `first` to before `last`, and 20 elsewhere."""
    mask = drawn.mask
    mask[42:] = 0
    mask[42:, 50:70] = 255
    mask[first:last, 30:90] = 255
    return mask


def test_the_body_is_measured_from_the_shoulders_to_the_hips() -> None:
    """A face has a body below it if most rows from the shoulders to the hips are wide; rows above and below do not count.

    The drawn face is 27 pixels high and 20 wide with the chin in row 39: the shoulders are 0.6 face heights and 0.3 widths
    lower, in row 61, and the hips 1.7 face widths below them, in row 95.
    """
    drawn = draw_person(PERSON)
    colours = np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    face = find_face(colours, drawn.mask)
    assert face is not None
    shoulders = round(face.chin + 0.6 * (face.chin - face.top) + 0.3 * face.width)
    hips = round(shoulders + 1.7 * face.width)
    assert abs(61 - shoulders) <= 4
    assert abs(95 - hips) <= 4
    middle = (shoulders + hips) // 2
    assert find_face(colours, mask_with_body(drawn, middle - 1, 160)) is not None
    assert find_face(colours, mask_with_body(drawn, middle + 2, 160)) is None
    assert find_face(colours, mask_with_body(drawn, 42, middle + 2)) is not None
    assert find_face(colours, mask_with_body(drawn, 42, middle - 1)) is None
    assert find_face(colours, mask_with_body(drawn, shoulders, hips)) is not None
    assert find_face(colours, mask_with_body(drawn, 42, shoulders)) is None
    assert find_face(colours, mask_with_body(drawn, hips, 160)) is None


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0])
def test_people_may_be_small_or_large(scale: float) -> None:
    """The same person is segmented alike at half and at twice the size."""
    drawn = draw_person(PERSON)
    size = (round(120 * scale), round(160 * scale))
    pixels = cv2.resize(drawn.pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    garment = worn_mask(pixels, cv2.resize(drawn.mask, size, interpolation=cv2.INTER_NEAREST))
    assert garment is not None
    kept = kept_shares(drawn, cv2.resize(garment, (120, 160), interpolation=cv2.INTER_NEAREST))
    assert kept["top"] > 0.9
    assert kept["head"] < 0.1
    assert kept["bottom"] < 0.1


# No persons


def blank() -> Pixels:
    """Return a white photo."""
    return np.full((160, 120, 3), 255, np.uint8)


def shape(*polygons: tuple[Colour, list[tuple[int, int]]]) -> Pixels:
    """Return polygons in their colours on white."""
    pixels = blank()
    for colour, points in polygons:
        cv2.fillPoly(pixels, [np.array(points, np.int32)], colour, cv2.LINE_AA)
    return pixels


def shirt(colour: Colour) -> Pixels:
    """Return a shirt with short sleeves on white."""
    outline = [(45, 30), (75, 30), (105, 55), (92, 75), (82, 65), (82, 140), (38, 140), (38, 65), (28, 75), (15, 55)]
    return shape((colour, outline))


def blob(colour: Colour) -> Pixels:
    """Return an ellipse on white."""
    pixels = blank()
    cv2.ellipse(pixels, (60, 80), (35, 55), 0, 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


COAT = [(45, 15), (75, 15), (95, 30), (108, 110), (92, 112), (85, 60), (90, 150), (30, 150), (35, 60), (28, 112), (12, 110)]
TROUSERS = [(40, 10), (80, 10), (86, 150), (65, 150), (60, 50), (55, 150), (34, 150)]
BAG = [(25, 70), (95, 70), (102, 140), (18, 140)]
SHOE = [(10, 100), (40, 80), (60, 95), (100, 108), (112, 120), (112, 130), (10, 130)]

NO_PERSON: dict[str, Pixels] = {
    "blue shirt": shirt((40, 80, 160)),
    "white shirt": shirt((236, 236, 238)),
    "shirt in a tone of skin": shirt((224, 172, 138)),
    "shirt with a dark collar": shape(
        ((224, 172, 138), COAT), ((30, 25, 25), [(48, 15), (72, 15), (66, 30), (54, 30)]), ((30, 30, 30), BAG)
    ),
    "beige coat": shape(((205, 175, 140), COAT), ((120, 90, 60), [(58, 15), (62, 15), (62, 150), (58, 150)])),
    "camel coat with buttons": shape(
        ((193, 150, 107), COAT), *(((60, 40, 30), [(64, y), (68, y), (68, y + 4), (64, y + 4)]) for y in range(40, 140, 20))
    ),
    "blue trousers": shape(((50, 70, 120), TROUSERS)),
    "brown bag": shape(((120, 75, 45), BAG), ((60, 40, 30), [(40, 70), (44, 70), (60, 30), (76, 70), (80, 70), (60, 22)])),
    "shoe": shape(((150, 90, 50), SHOE), ((240, 240, 240), [(10, 126), (112, 126), (112, 132), (10, 132)])),
    "blob in a tone of skin": blob((224, 172, 138)),
    "small blob in a tone of skin": cv2.copyMakeBorder(
        cv2.resize(blob((198, 134, 100)), (60, 80)), 40, 40, 30, 30, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    ),
}


@pytest.mark.parametrize("product", NO_PERSON)
def test_products_alone_are_no_persons(product: str) -> None:
    """A garment, a bag or a shoe that nobody wears is not taken for a person, even in a tone of skin."""
    pixels = NO_PERSON[product]
    assert worn_mask(pixels, mask_of(pixels)) is None


def test_fashion_mnist_shows_no_persons() -> None:
    """No product of Fashion-MNIST, enlarged on white, is taken for a person: neither in grey nor in tones of skin and hair."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        images = part["pixels"]
    ramp = np.linspace((255, 255, 255), (60, 30, 20), 256).astype(np.uint8)
    for image in images:
        large = cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC)
        mask = np.where(large > 12, 255, 0).astype(np.uint8)
        for pixels in (cv2.cvtColor(255 - large, cv2.COLOR_GRAY2RGB), ramp[large]):
            assert worn_mask(pixels, mask) is None


def test_a_person_without_a_head_is_not_detected() -> None:
    """A photo cropped at the neck, as many shops' are, shows no face, and is kept whole."""
    drawn = draw_person(PERSON)
    assert worn_mask(drawn.pixels[42:].copy(), drawn.mask[42:].copy()) is None


def test_a_head_alone_is_not_detected() -> None:
    """A portrait without a body shows no garment that could be kept."""
    drawn = draw_person(PERSON)
    assert worn_mask(drawn.pixels[:46].copy(), drawn.mask[:46].copy()) is None


@pytest.mark.parametrize("height", [1, 2, 5, 20, 39])
def test_tiny_persons_are_not_detected(height: int) -> None:
    """Persons less than 40 pixels high are not detected, and no size raises."""
    pixels = cv2.resize(draw_person(PERSON).pixels, (max(1, height * 3 // 4), height), interpolation=cv2.INTER_AREA)
    assert worn_mask(pixels, np.full(pixels.shape[:2], 255, np.uint8)) is None


@pytest.mark.parametrize("size", [(160, 120), (40, 1), (1, 40), (1, 1)])
def test_an_empty_mask_shows_no_person(size: tuple[int, int]) -> None:
    """An empty mask shows no person, whatever the pixels."""
    pixels = cv2.resize(draw_person(PERSON).pixels, size[::-1])
    assert worn_mask(pixels, np.zeros(size, np.uint8)) is None


# Any pixels


def masks_of(size: tuple[int, int]) -> st.SearchStrategy[Pixels]:
    """Generate masks of a size."""
    return arrays.arrays(np.bool_, size).map(lambda inside: np.where(inside, 255, 0).astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 60)).flatmap(
        lambda size: st.tuples(arrays.arrays(np.uint8, (*size, 3)), masks_of(size))
    )
)
def test_any_pixels_and_any_mask(both: tuple[Pixels, Pixels]) -> None:
    """Any pixels with any mask give None or a part of the mask, 0 and 255; neither argument is changed."""
    assert_within(*both)


@settings(max_examples=60, deadline=None)
@given(
    person=st.builds(
        Person,
        *[st.tuples(*[st.integers(0, 255)] * 3) for _ in range(4)],
        sleeves=st.booleans(),
        background=st.just((255, 255, 255)),
    ),
    noise=st.integers(0, 60),
    seed=st.integers(0, 99),
)
def test_persons_in_any_colours(person: Person, noise: int, seed: int) -> None:
    """Persons in any colours, with any noise, give None or a part of the mask."""
    drawn = draw_person(person)
    rng = np.random.default_rng(seed)
    pixels = np.clip(drawn.pixels + rng.integers(-noise, noise + 1, drawn.pixels.shape), 0, 255).astype(np.uint8)
    assert_within(pixels, drawn.mask)


def assert_within(pixels: Pixels, mask: Pixels) -> None:
    """Check that the garment is within the mask, at least 0.15 of it, and that neither argument is changed."""
    before: tuple[NDArray[np.uint8], ...] = (pixels.copy(), mask.copy())
    garment = worn_mask(pixels, mask)
    assert np.array_equal(before[0], pixels)
    assert np.array_equal(before[1], mask)
    if garment is not None:
        assert (mask.shape, np.uint8) == (garment.shape, garment.dtype)
        assert set(np.unique(garment)) <= {0, 255}
        assert 0 == np.count_nonzero(garment[mask == 0])
        assert np.count_nonzero(garment) >= 0.15 * np.count_nonzero(mask)
