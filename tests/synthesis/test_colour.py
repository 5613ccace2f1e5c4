"""Painted and restaged pictures show the product as `photos.colour` crops it, and differ from seed to seed."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import numpy as np
import pytest

from tagger.arrays import Pixels
from tagger.photos.colour import COLOUR_SIDE, FILL
from tagger.synthesis.colour import paint, restage

SHAPE = (COLOUR_SIDE, COLOUR_SIDE, 3)


def negative() -> Pixels:
    """Return a grey product on 0, 28 pixels high, half as wide as high."""
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 9:19] = 150
    picture[10:14, 12:16] = 60
    return picture


def product(ground: int = 240) -> Pixels:
    """Return a picture of a striped product on an even ground."""
    picture = np.full(SHAPE, ground, np.uint8)
    picture[20:204, 60:164] = (180, 40, 60)
    picture[60:80, 60:164] = (20, 30, 40)
    return picture


def away_from(ground: Pixels, picture: Pixels) -> np.ndarray:
    """Return where a picture clearly differs from a ground, bool (224, 224)."""
    return np.abs(picture.astype(int) - ground.astype(int)).max(2) > 30


def test_a_painted_product_fills_the_picture() -> None:
    """It is in the middle and as large as a photo's product, on a light ground, with its shape kept."""
    seen = 0
    for seed in range(20):
        picture = paint(negative(), np.random.default_rng(seed))
        assert picture is not None
        assert (SHAPE, np.uint8) == (picture.shape, picture.dtype)
        ground = picture[0, 0]
        assert (picture[:5] == ground).all()
        assert ground.min() > 180
        ys, xs = np.nonzero(away_from(ground, picture))
        if len(ys) > 5_000:  # not as pale as its ground
            seen += 1
            assert FILL * COLOUR_SIDE == pytest.approx(np.ptp(ys), abs=8)
            assert FILL * COLOUR_SIDE / 2 == pytest.approx(np.ptp(xs), abs=8)
    assert seen > 10


def test_an_empty_negative_cannot_be_painted() -> None:
    """There would be nothing to see."""
    assert paint(np.zeros((28, 28), np.uint8), np.random.default_rng(0)) is None


@pytest.mark.parametrize("shape", [(28, 28), (60, 40), (1, 30), (30, 1), (1, 1)])
def test_negatives_of_any_size_are_painted(shape: tuple[int, int]) -> None:
    """Also one of a single pixel, or of a line."""
    picture = paint(np.full(shape, 90, np.uint8), np.random.default_rng(0))
    assert picture is not None
    assert SHAPE == picture.shape


def test_colours_differ_from_seed_to_seed() -> None:
    """Painted pictures have many colours, and many grounds, of which most are white; a seed always gives the same one."""
    pictures = [paint(negative(), np.random.default_rng(seed)) for seed in range(40)]
    again = paint(negative(), np.random.default_rng(7))
    assert again is not None
    assert np.array_equal(pictures[7], again)
    middles = {tuple(picture[60, 112] // 16) for picture in pictures if picture is not None}
    assert len(middles) > 20
    white = [picture is not None and (picture[0, 0] == 255).all() for picture in pictures]
    assert 12 < sum(white) < 36


def test_a_restaged_product_stays_where_it_was() -> None:
    """It is turned by a few degrees and resized a little; its ground is another even one, as light as those of shops."""
    for seed in range(20):
        picture = restage(product(), np.random.default_rng(seed))
        assert (SHAPE, np.uint8) == (picture.shape, picture.dtype)
        ground = picture[0, 0]
        assert ground.min() > 140
        assert np.abs(picture[:2].astype(int) - ground).max() <= 2
        ys, xs = np.nonzero(away_from(ground, picture))
        assert 112 == pytest.approx(ys.mean(), abs=15)
        assert 112 == pytest.approx(xs.mean(), abs=15)
        assert 0.6 < np.ptp(ys) / 184 < 1.4


def test_stripes_stay() -> None:
    """The dark stripe of the product is darker than what is below it, whatever the light."""
    for seed in range(10):
        picture = restage(product(), np.random.default_rng(seed)).astype(int).sum(2)
        assert picture[65:75, 100:124].mean() < picture[120:160, 100:124].mean()


def test_restaging_is_seeded_and_leaves_the_picture_alone() -> None:
    """A seed always gives the same picture, others another one; the given one is not written to."""
    before = product()
    first, again, other = (restage(before, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(product(), before)


def test_a_picture_of_nothing_stays() -> None:
    """Where hardly a pixel differs from the ground there is nothing to stage."""
    blank = np.full(SHAPE, 240, np.uint8)
    assert np.array_equal(blank, restage(blank, np.random.default_rng(0)))
