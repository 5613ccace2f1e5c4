"""Parts of masks are kept by their size, and products stand out from a modelled background."""

import numpy as np
from product_scenes import BACKGROUNDS, PRODUCT, in_box, intersection_over_union, scene

from tagger.photos.background import large_parts, product_mask


def test_small_parts_are_left_out() -> None:
    """Parts of less than the share of the largest one's area are dropped, others kept."""
    mask = np.zeros((50, 50), np.uint8)
    mask[0:20, 0:20], mask[30:40, 30:40], mask[45:47, 0:5] = 255, 255, 255
    kept = large_parts(mask, 0.2)
    assert kept[35, 35] == 255
    assert kept[45, 2] == 0
    assert large_parts(mask, 0.3)[35, 35] == 0


def test_an_empty_mask_stays_empty() -> None:
    """Without any part nothing is kept."""
    assert not large_parts(np.zeros((9, 9), np.uint8), 0.2).any()


def test_a_product_stands_out_from_a_gradient() -> None:
    """The background is a surface, not a level."""
    mask = product_mask(scene(BACKGROUNDS["slanting"]))
    assert mask is not None
    assert intersection_over_union(mask > 0, in_box(PRODUCT)) > 0.95
    assert product_mask(BACKGROUNDS["slanting"]) is None


def test_hundreds_of_specks_are_left_out() -> None:
    """Any number of parts is told apart: those that are large enough are kept, and all specks dropped."""
    mask = np.zeros((160, 160), np.uint8)
    mask[::4, ::4] = 255
    mask[20:60, 20:60], mask[80:100, 100:130] = 255, 255
    kept = large_parts(mask, 0.2)
    expected = np.zeros_like(mask)
    expected[20:61, 20:61], expected[80:101, 100:130] = mask[20:61, 20:61], mask[80:101, 100:130]
    assert np.array_equal(kept, expected)
