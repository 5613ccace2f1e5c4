"""EXIF orientations are applied once, and broken EXIF blocks are ignored."""
# ruff: noqa: SIM300 - the expected value stands first

import pytest
from image_files import STORED, assert_quarters, encoded, photo_of, quarters, with_exif
from PIL import Image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 6),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("AVIF", {"quality": 95, "speed": 10}, 8),
        ("HEIF", {"quality": 95}, 8),
    ],
)
def test_every_orientation_is_upright(format: str, options: dict[str, object], tolerance: int, orientation: int) -> None:
    """Each of the eight EXIF orientations gives the same upright image, turned once and not twice."""
    turn = STORED[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    photo = photo_of(encoded(stored, format, exif=with_exif(orientation), **options))
    assert (64, 96, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=tolerance)


def test_orientation_of_a_large_jpeg() -> None:
    """A JPEG that is decoded at a smaller scale is turned all the same."""
    stored = quarters(900, 600).transpose(Image.Transpose.ROTATE_90)
    photo = photo_of(encoded(stored, "JPEG", quality=95, exif=with_exif(6)))
    assert (300, 450, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=6)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_leaves_the_picture(orientation: int) -> None:
    """An orientation that EXIF does not define leaves the image as it is stored."""
    assert_quarters(photo_of(encoded(quarters(), "JPEG", quality=95, exif=with_exif(orientation))), tolerance=6)


@pytest.mark.filterwarnings("ignore:::PIL")  # Pillow warns of the block, and as an exception the warning ends its reading
@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"no TIFF header",
        b"II*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\x7f",
        b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x06\0",
        b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x02\0\x10\0\0\0\xff\xff\xff\xff" + bytes(4),
        b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x02\0\x04\0\0\0abc\0" + bytes(4),
        b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x05\0\x01\0\0\0\x1a\0\0\0" + bytes(12),
    ],
)
def test_broken_exif_is_passed_over(block: bytes) -> None:
    """A photo with a broken EXIF block is still a photo."""
    assert_quarters(photo_of(encoded(quarters(), "JPEG", quality=95, exif=b"Exif\0\0" + block)), tolerance=6)
