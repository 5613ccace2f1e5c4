"""Photos are decoded as large as it is wanted, for people to look at, and not larger."""

import pytest
from image_files import detailed, encoded, photo_of

from tagger.photos.decode import SIDE, decode_bytes
from tagger.photos.settings import DecodeSettings
from tagger.records import Photo


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("side", [100, SIDE, 900, 5_000])
def test_the_longer_side_is_less_than_twice_the_one_wanted(kind: str, side: int) -> None:
    """It is at least as long as wanted where the file has as many pixels, and never longer than the file's."""
    photo = decode_bytes(encoded(detailed(1_500, 900), kind), "photo", side=side)
    assert isinstance(photo, Photo)
    longer = max(photo.pixels.shape)
    assert min(side, 1_500) <= longer < max(2 * side, 1_501)


def test_the_networks_see_what_they_saw() -> None:
    """Without a side it is `SIDE`."""
    content = encoded(detailed(1_500, 900), "JPEG")
    photo = decode_bytes(content, "photo", side=SIDE)
    assert isinstance(photo, Photo)
    assert (photo.pixels == photo_of(content).pixels).all()


def test_a_damaged_photo_is_decoded_as_far_as_it_goes_at_any_size() -> None:
    """The mode for damage has the size, too."""
    content = encoded(detailed(1_500, 900), "PNG")
    photo = decode_bytes(content[: len(content) // 2], "photo", DecodeSettings(allow_truncated=True), 900)
    assert isinstance(photo, Photo)
    assert photo.truncated
    assert max(photo.pixels.shape) == 1_500
