"""JPEG XL, JPEG 2000 and JPEG-LS are read under any name, and damaged ones told."""

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from image_files import BLUE, WHITE, YELLOW, assert_quarters, photo_of, png, quarters, reason_of, sample
from PIL import Image

from tagger.photos.codecs import is_jpeg_ls, open_jpeg_ls, open_jpeg_xl
from tagger.photos.decode import decode_bytes
from tagger.records import Failed

RGB = np.asarray(quarters())
GREY = np.asarray(quarters().convert("L"))
TRANSPARENT = np.dstack([RGB, np.full((64, 96), 255, np.uint8)])
TRANSPARENT[:32] = 0


def jpeg_2000(image: Image.Image, suffix: str) -> bytes:
    """Return a JPEG 2000, bare or in its container."""
    file = BytesIO()
    file.name = f"photo.{suffix}"  # type: ignore[misc]
    image.save(file, "JPEG2000")
    return file.getvalue()


FILES = {
    "jxl": imagecodecs.jpegxl_encode(RGB, lossless=True),
    "lossy jxl": imagecodecs.jpegxl_encode(RGB, distance=0.5),
    "jxl in a container": imagecodecs.jpegxl_encode(RGB, lossless=True, usecontainer=True),
    "jxl of 16 bits": imagecodecs.jpegxl_encode(RGB.astype(np.uint16) * 257, lossless=True),
    "jxl of floats": imagecodecs.jpegxl_encode((RGB / 255).astype(np.float32), lossless=True),
    "jxl of a jpeg": imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg_encode(RGB, level=95)),
    "jls": imagecodecs.jpegls_encode(RGB),
    "near-lossless jls": imagecodecs.jpegls_encode(RGB, level=2),
    "jp2": jpeg_2000(quarters(), "jp2"),
    "j2k": jpeg_2000(quarters(), "j2k"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_read(name: str) -> None:
    """Lossless and lossy, bare and in containers."""
    assert_quarters(photo_of(FILES[name]), tolerance=8)


@pytest.mark.parametrize("name", FILES)
def test_cut_files_are_told(name: str) -> None:
    """A file that lacks its end is truncated, wherever it is cut."""
    content = FILES[name]
    reasons = {at: reason_of(decode_bytes(content[: len(content) * at // 100], "photo")) for at in (25, 50, 75, 95)}
    assert set(reasons.values()) == {"truncated"}, reasons


@pytest.mark.parametrize("encode", [imagecodecs.jpegxl_encode, imagecodecs.jpegls_encode])
def test_grey(encode: object) -> None:
    """Grey of eight and sixteen bits."""
    for samples in (GREY, GREY.astype(np.uint16) * 257):
        content = encode(samples)  # type: ignore[operator]
        assert np.abs(photo_of(content).pixels[..., 0].astype(int) - GREY).max() <= 8


def test_transparency() -> None:
    """Transparent parts are white."""
    assert_quarters(photo_of(imagecodecs.jpegxl_encode(TRANSPARENT, lossless=True)), WHITE, WHITE, BLUE, YELLOW)


@pytest.mark.parametrize(("width", "height"), [(96, 64), (8, 8), (7, 300), (320, 320), (160, 90), (3, 2)])
def test_sizes_are_read_from_the_header(width: int, height: int) -> None:
    """The size is known before anything is decoded, in each of the ways that JPEG XL stores it."""
    image = np.asarray(quarters(width, height))
    for container in (False, True):
        content = imagecodecs.jpegxl_encode(image, lossless=True, usecontainer=container)
        assert open_jpeg_xl(content).size == (width, height)
    content = imagecodecs.jpegls_encode(image)
    assert is_jpeg_ls(content)
    assert open_jpeg_ls(content).size == (width, height)


def test_a_huge_one_is_refused_before_it_is_decoded() -> None:
    """The header of a JPEG-LS may promise what it likes."""
    content = bytearray(FILES["jls"])
    at = content.index(b"\xff\xf7")
    content[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert reason_of(decode_bytes(bytes(content), "bomb.jls")) == "too_large"


def test_damaged_ones_are_told() -> None:
    """Wrong data are damage, not a cut; other JPEGs are not taken for JPEG-LS."""
    content = bytearray(FILES["jls"])
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    result = decode_bytes(bytes(content), "photo.jls")
    assert isinstance(result, Failed) or result.pixels.shape == (64, 96, 3)
    for name in ("jpeg", "progressive jpeg", "grey jpeg", "mpo"):
        assert not is_jpeg_ls(sample(name))
    assert not is_jpeg_ls(png(1, 1, 8, 2, None))
