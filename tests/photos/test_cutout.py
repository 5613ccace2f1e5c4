"""Transparency that outlines a product is told from other transparency."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from product_scenes import BACKGROUNDS, extent, plain, scene

from tagger.arrays import Pixels
from tagger.photos.cutout import WHITE_GROUND, contrasting_ground, on_ground, opaque_box, outlined
from tagger.photos.product import extract_product
from tagger.records import Photo


def trousers() -> Pixels:
    """Return the alpha of a pair of trousers, uint8 (160, 120)."""
    alpha = np.zeros((160, 120), np.uint8)
    alpha[20:60, 35:85] = 255
    alpha[60:140, 35:55] = 255
    alpha[60:140, 65:85] = 255
    return alpha


@pytest.mark.parametrize("tone", [255, 250, 128, 0])
def test_a_cutout_has_its_outline_whatever_its_tone(tone: int) -> None:
    """White, grey and black trousers with the same alpha fill the same part of the image, bright enough to be seen."""
    alpha = trousers()
    pixels = plain(255, 255, 255)
    pixels[alpha > 0] = tone
    result = extract_product(Photo(pixels, alpha=alpha))
    assert result.found
    assert (0, 28) == extent(result.pixels)[1::2]
    assert 0 == result.pixels[20, 14]
    assert result.pixels[4, 14] >= 100
    assert result.colour is not None
    assert np.ptp(result.colour) >= 20 or tone == 250


def test_a_shadow_is_no_part_of_the_product() -> None:
    """Half transparent shadows are left out."""
    alpha = trousers()
    shadowed = alpha.copy()
    shadowed[140:155, 20:110] = 100
    assert np.array_equal(outlined(alpha), outlined(shadowed))


@pytest.mark.parametrize("kind", ["half", "round", "vignette", "stray"])
def test_transparency_that_is_no_outline_changes_no_product(kind: str) -> None:
    """Evenly half transparent photos, round corners, a faint vignette and stray pixels leave the product to be found."""
    pixels, alpha = scene(BACKGROUNDS["light grey"]), np.full((160, 120), 255, np.uint8)
    ys, xs = np.mgrid[0:160, 0:120]
    if kind == "half":
        alpha[:] = 128
    elif kind == "round":
        outside = np.maximum(abs(xs - 59.5) - 47.5, 0) ** 2 + np.maximum(abs(ys - 79.5) - 67.5, 0) ** 2 > 144
        alpha[outside], pixels[outside] = 0, 255
    elif kind == "vignette":
        alpha -= np.rint(60 * ((xs - 60) ** 2 + (ys - 80) ** 2) / 10000).astype(np.uint8)
    else:
        alpha[::37, ::41] = 0
    assert opaque_box(pixels, alpha) is not None
    plain_image = extract_product(Photo(scene(BACKGROUNDS["light grey"]))).pixels.astype(int)
    assert np.abs(plain_image - extract_product(Photo(pixels, alpha=alpha)).pixels).mean() < 8


def test_transparent_bars_are_cropped() -> None:
    """A photo between transparent bars is the photo; a flat rectangle is a product."""
    photo = scene(BACKGROUNDS["light grey"])
    pixels = np.full((160, 200, 3), 255, np.uint8)
    alpha = np.zeros((160, 200), np.uint8)
    pixels[:, 40:160], alpha[:, 40:160] = photo, 255
    assert (slice(0, 160), slice(40, 160)) == opaque_box(pixels, alpha)
    pixels[:, 40:160] = 90
    assert opaque_box(pixels, alpha) is None


def test_dust_is_no_product() -> None:
    """A few opaque pixels outline nothing."""
    alpha = np.zeros((160, 120), np.uint8)
    alpha[5:8, 5:8] = 255
    assert outlined(alpha) is None
    assert not extract_product(Photo(plain(255, 255, 255), alpha=alpha)).found


def test_white_products_alone_are_shown_on_grey() -> None:
    """A white product gets a ground that it stands out from; a shaded one stays on white."""
    mask = trousers()
    assert WHITE_GROUND == contrasting_ground(plain(252, 252, 252), mask)
    assert 255 == contrasting_ground(plain(200, 200, 200), mask)
    grey = on_ground(plain(255, 255, 255), mask, WHITE_GROUND)
    assert {255} == set(np.unique(grey[mask > 0]))
    assert abs(WHITE_GROUND - int(grey[0, 0, 0])) <= 1
