"""The picture in colour shows the product's box in the middle of an even ground, or the cut without who wears it."""

import numpy as np
import pytest

from tagger.photos.colour import COLOUR_SIDE, FILL, box_crop, cut_crop

GROUND, RED = (240, 240, 235), (200, 30, 40)


def scene(top: int, bottom: int, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a red rectangle on a light ground, uint8 (300, 200, 3), and its mask."""
    pixels = np.full((300, 200, 3), GROUND, np.uint8)
    mask = np.zeros((300, 200), np.uint8)
    pixels[top:bottom, left:right] = RED
    mask[top:bottom, left:right] = 255
    return pixels, mask


@pytest.mark.parametrize(
    "box", [(50, 250, 60, 140), (100, 160, 20, 180), (8, 292, 8, 192), (150, 151, 100, 101), (0, 20, 0, 20)]
)
def test_the_product_is_in_the_middle_with_its_aspect_ratio(box: tuple[int, int, int, int]) -> None:
    """The product with its margin fills `FILL` of the longer side, is centred where the photo has room, and keeps its ratio."""
    pixels, mask = scene(*box)
    picture = cut_crop(pixels, mask)
    assert picture.shape == (COLOUR_SIDE, COLOUR_SIDE, 3)
    assert picture.dtype == np.uint8
    rows, columns = np.nonzero(np.abs(picture.astype(int) - RED).max(axis=2) < 60)
    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert max(height, width) <= round(FILL * COLOUR_SIDE) + 1
    if min(box[1] - box[0], box[3] - box[2]) > 40:
        assert height / width == pytest.approx((box[1] - box[0]) / (box[3] - box[2]), rel=0.05)
        assert abs(rows.mean() - COLOUR_SIDE / 2) < 2
        assert abs(columns.mean() - COLOUR_SIDE / 2) < 2


def test_the_box_keeps_what_surrounds_the_product() -> None:
    """Something beside the product but within its box stays in the box, at the place where the cut has the border's colour."""
    pixels, mask = scene(50, 250, 60, 140)
    mask[50:150, 100:140] = 0
    pixels[60:140, 105:135] = (0, 90, 0)
    box, cut = box_crop(pixels, mask), cut_crop(pixels, mask)
    assert box.shape == cut.shape
    green = (box.astype(int) - (0, 90, 0)).__abs__().max(axis=2) < 30
    assert green.sum() > 2_000
    assert np.abs(cut[green].astype(int) - GROUND).max(axis=1).mean() < 60


def test_a_box_lies_on_the_colour_of_the_border() -> None:
    """Around the box the picture has exactly the photo's border colour; around a cut-out the grey that it is shown on."""
    pixels, mask = scene(20, 280, 60, 140)
    assert set(map(tuple, box_crop(pixels, mask)[:, [0, -1]].reshape(-1, 3).tolist())) == {GROUND}
    assert set(map(tuple, box_crop(pixels, mask, 230)[:, [0, -1]].reshape(-1, 3).tolist())) == {(230, 230, 230)}


def test_what_is_outside_the_mask_is_ground() -> None:
    """Something else beside the product is replaced by the border's colour, except in a narrow rim."""
    pixels, mask = scene(50, 250, 60, 120)
    pixels[50:250, 140:160] = (0, 0, 0)
    picture = cut_crop(pixels, mask)
    assert picture.min() >= 30
    assert tuple(picture[0, 0]) == GROUND


def test_the_rim_shows_nothing_of_the_person() -> None:
    """Where a person adjoins the product, the rim around the mask is ground too."""
    pixels, mask = scene(50, 250, 60, 120)
    skin = np.zeros_like(mask)
    skin[50:250, 120:140] = 255
    pixels[skin > 0] = (20, 90, 20)

    def greenish(picture: np.ndarray) -> int:
        return int((picture[..., 1].astype(int) - picture[..., 0] > 5).sum())

    assert greenish(cut_crop(pixels, mask)) > 0
    assert greenish(cut_crop(pixels, mask, skin)) == 0
