"""Of what a person wears the garments are kept and head, bare skin and other garments are removed."""
# ruff: noqa: SIM300 - the expected value stands first

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import HAIRS, PARTS, SKINS, Colour, Drawn, Person, draw_figure, draw_person

from tagger.arrays import Pixels
from tagger.photos import detector, person
from tagger.photos.worn import MAX_LOWER, Regions, find_hem, skin_colours, worn_regions

TOPS: dict[str, Colour] = {"blue": (40, 80, 160), "green": (30, 110, 60), "grey": (150, 150, 150), "black": (20, 20, 22)}

LOOKS = [(skin, hair) for skin in SKINS for hair in [*HAIRS, "none"]]


def found(drawn: Drawn) -> person.Person:
    """Find the drawn person."""
    one = person.find_person(drawn.pixels, drawn.pixels, drawn.mask)
    assert one is not None
    return one


def regions_of(drawn: Drawn) -> Regions:
    """Segment what the drawn person wears."""
    return worn_regions(drawn.pixels, drawn.mask, found(drawn))


def kept_shares(drawn: Drawn, garment: Pixels) -> dict[str, float]:
    """Return the share of each part that the garment's mask keeps."""
    return {name: float((garment > 0)[getattr(drawn, name)].mean()) for name in PARTS}


@pytest.mark.parametrize(("skin", "hair"), LOOKS)
def test_the_top_is_kept_and_head_and_bare_arms_are_removed(skin: str, hair: str) -> None:
    """Of a person in top and trousers the top is kept; head, bare arms and trousers are removed, whatever skin and hair."""
    drawn = draw_person(Person(skin=SKINS[skin], hair=HAIRS.get(hair, SKINS[skin])))
    (region,) = regions_of(drawn)
    kept = kept_shares(drawn, region.mask)
    assert ("upper", 1.0) == (region.name, region.prior)
    assert kept["top"] > 0.95
    assert kept["head"] < 0.1
    assert kept["arms"] < 0.25
    assert kept["bottom"] < 0.03


@pytest.mark.parametrize("skin", SKINS)
def test_no_edge_of_skin_is_kept(skin: str) -> None:
    """No edge of bare arms is kept beside the body, which would make the garment wider than it is."""
    drawn = draw_person(Person(skin=SKINS[skin]))
    (region,) = regions_of(drawn)
    assert 0 == np.count_nonzero(region.mask[72:98, :41])
    assert 0 == np.count_nonzero(region.mask[72:98, 80:])


@pytest.mark.parametrize("colour", TOPS)
def test_tops_of_any_colour_are_kept(colour: str) -> None:
    """Coloured, grey and black tops are kept, down to the hem where light trousers begin."""
    drawn = draw_person(Person(top=TOPS[colour], bottom=(200, 205, 225)))
    kept = kept_shares(drawn, regions_of(drawn)[0].mask)
    assert kept["top"] > 0.95
    assert kept["bottom"] < 0.03


@pytest.mark.parametrize("bottom", [(35, 35, 40), (60, 90, 140), (200, 190, 165), (130, 30, 40)])
def test_trousers_are_cut_at_the_hem(bottom: Colour) -> None:
    """Trousers of another colour are removed from the row where they begin, within two rows."""
    (region,) = regions_of(draw_person(Person(top=(240, 200, 60), bottom=bottom)))
    assert abs(104 - (1 + int(np.flatnonzero(region.mask.any(axis=1))[-1]))) <= 2


def test_stripes_are_no_hem() -> None:
    """A top striped across is kept whole, and ends where the trousers begin."""
    drawn = draw_person(Person(top=(240, 240, 240), bottom=(60, 90, 140), sleeves=True))
    pixels = drawn.pixels.copy()
    rows = np.arange(160)[:, None] // 6 % 2 == 0
    pixels[(drawn.top | drawn.arms) & rows] = (30, 30, 40)
    (region,) = worn_regions(pixels, drawn.mask, found(drawn))
    kept = kept_shares(drawn, region.mask)
    assert kept["top"] > 0.95
    assert kept["bottom"] < 0.05


@pytest.mark.parametrize("colour", TOPS)
def test_a_dress_is_kept_whole(colour: str) -> None:
    """Where no second colour begins nothing is removed below: it is a dress or an overall."""
    drawn = draw_person(Person(top=TOPS[colour], bottom=TOPS[colour]))
    (region,) = regions_of(drawn)
    kept = kept_shares(drawn, region.mask)
    assert kept["top"] > 0.95
    assert kept["bottom"] > 0.95
    assert kept["head"] < 0.1


@pytest.mark.parametrize("skin", SKINS)
def test_sleeves_are_kept(skin: str) -> None:
    """Sleeves in the colour of the top are kept down to the hem."""
    drawn = draw_person(Person(skin=SKINS[skin], sleeves=True))
    (region,) = regions_of(drawn)
    sleeves = drawn.arms.copy()
    sleeves[96:] = False
    assert (region.mask > 0)[sleeves].mean() > 0.95


@pytest.mark.parametrize("skin", SKINS)
def test_a_top_in_the_colour_of_the_skin_is_kept(skin: str) -> None:
    """A top in the colour of the face is not taken for skin, which would leave nothing."""
    drawn = draw_person(Person(skin=SKINS[skin], top=SKINS[skin]))
    assert kept_shares(drawn, regions_of(drawn)[0].mask)["top"] > 0.9


@pytest.mark.parametrize("skin", SKINS)
def test_a_print_in_the_colour_of_the_skin_is_kept(skin: str) -> None:
    """Skin is removed along the limbs and at the neck alone: a print of that tone, such as a portrait, stays."""
    drawn = draw_person(Person(skin=SKINS[skin], sleeves=True))
    pixels = drawn.pixels.copy()
    pixels[80:92, 52:68] = SKINS[skin]
    (region,) = worn_regions(pixels, drawn.mask, found(drawn))
    assert (region.mask[80:92, 52:68] > 0).all()


def test_the_tone_of_the_skin_is_that_of_face_and_hands() -> None:
    """The first colour is that of the drawn face; hands that are drawn darker follow, covered ones do not."""
    skin = SKINS["tan"]
    drawn = draw_person(Person(skin=skin))
    one = found(drawn)
    pixels = drawn.pixels.copy()
    pixels[drawn.arms] = (194, 142, 108)
    expected = cv2.cvtColor(np.array([[skin, (194, 142, 108)]], np.uint8), cv2.COLOR_RGB2YCrCb)[0].astype(int)
    tones = skin_colours(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8), drawn.mask, one)
    assert np.abs(tones[0] - expected[0]).max() <= 3
    assert len(tones) > 1
    assert np.abs(tones[1] - expected[1]).max() <= 3
    pixels[drawn.arms] = (40, 80, 160)
    assert 1 == len(skin_colours(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8), drawn.mask, one))


def test_without_a_face_the_hands_show_the_skin_unless_they_look_like_clothes() -> None:
    """Of a person whose face is not seen, the tone of the hands is that of the skin; hands in pockets show none."""
    drawn = draw_person()
    one = replace(found(drawn), has_face=False)
    colours = np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    assert skin_colours(colours, drawn.mask, one)
    pixels = drawn.pixels.copy()
    pixels[drawn.arms] = (35, 35, 40)  # the trousers' colour
    assert [] == skin_colours(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8), drawn.mask, one)


# Which garment is the product


def test_a_whole_figure_shows_two_garments() -> None:
    """Of a figure from head to foot the garments above and below the hem may be the product, the lower one more probably."""
    drawn = draw_figure()
    upper, lower = regions_of(drawn)
    assert ("upper", "lower") == (upper.name, lower.name)
    assert MAX_LOWER == pytest.approx(lower.prior)
    assert 1 == pytest.approx(upper.prior + lower.prior)
    assert kept_shares(drawn, upper.mask)["top"] > 0.95
    assert kept_shares(drawn, lower.mask)["bottom"] > 0.95
    assert 0 == np.count_nonzero(upper.mask & lower.mask)


def test_a_figure_in_one_colour_is_one_garment() -> None:
    """A figure in a long dress shows one garment."""
    (region,) = regions_of(draw_figure(Person(top=(60, 90, 140), bottom=(60, 90, 140))))
    assert "whole" == region.name


def test_a_long_coat_is_the_product() -> None:
    """A garment that ends at the knees is the product, whatever is worn below."""
    drawn = draw_figure()
    pixels = drawn.pixels.copy()
    coat = drawn.bottom.copy()
    coat[170:] = False
    pixels[coat] = Person().top
    (region,) = worn_regions(pixels, drawn.mask, found(drawn))
    assert "upper" == region.name
    assert abs(170 - (1 + int(np.flatnonzero(region.mask.any(axis=1))[-1]))) <= 3


def test_a_hem_is_sought_from_the_waist_on() -> None:
    """A second colour that begins on the chest, as of a yoke, is no hem."""
    drawn = draw_person(Person(bottom=Person().top, sleeves=True))
    pixels = drawn.pixels.copy()
    pixels[42:66][(drawn.top | drawn.arms)[42:66]] = (240, 240, 240)
    colours = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    assert find_hem(colours, drawn.mask, found(drawn)) is None


@settings(max_examples=20, deadline=None)
@given(
    one=st.builds(
        Person,
        *[st.tuples(*[st.integers(0, 255)] * 3) for _ in range(4)],
        sleeves=st.booleans(),
        background=st.just((255, 255, 255)),
    ),
    noise=st.integers(0, 60),
    seed=st.integers(0, 99),
)
def test_people_in_any_colours(one: Person, noise: int, seed: int) -> None:
    """In any colours, with any noise, regions are disjoint parts of the mask, and neither argument is changed."""
    drawn = draw_person(one)
    rng = np.random.default_rng(seed)
    pixels = np.clip(drawn.pixels + rng.integers(-noise, noise + 1, drawn.pixels.shape), 0, 255).astype(np.uint8)
    before, mask = pixels.copy(), drawn.mask
    regions = worn_regions(pixels, mask, found(draw_person()))
    assert np.array_equal(before, pixels)
    assert np.array_equal(drawn.mask, mask)
    assert sum(region.prior for region in regions) == pytest.approx(1) or not regions
    covered = sum(((region.mask > 0).astype(int) for region in regions), np.zeros(mask.shape, int))
    assert covered.max(initial=0) <= 1
    assert 0 == covered[mask == 0].sum()


def test_landmarks_outside_the_photo_do_no_harm() -> None:
    """Hands and feet far outside the photo, as of a portrait, are passed over."""
    drawn = draw_person()
    one = found(drawn)
    points = one.body.points.copy()
    points[detector.LEFT_WRIST :] = (-4000, 9000)
    far = replace(one, body=replace(one.body, points=points, visibility=np.ones(33, np.float32)))
    assert worn_regions(drawn.pixels, drawn.mask, far)
