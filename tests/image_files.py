"""Image files of every format, made in memory, and assertions on what is decoded from them."""
# ruff: noqa: SIM300 - the expected value stands first

import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tagger.photos.decode import decode_bytes
from tagger.records import Failed, Photo

RED, GREEN, BLUE, YELLOW = (200, 30, 40), (40, 160, 60), (30, 60, 190), (220, 200, 50)
WHITE, GREY = (255, 255, 255), (128, 128, 128)

STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera stores of an upright scene in each EXIF orientation (EXIF 2.3, tag 0x0112)."""

Colour = tuple[int, ...]


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Return an image of four coloured quarters, which every rotation, flip or swap of channels changes."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, YELLOW
    return Image.fromarray(pixels)


def detailed(width: int = 120, height: int = 90) -> Image.Image:
    """Return an image that takes some kilobytes in every format, so that files can be truncated at many places."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 80, (height, width, 3))
    ys, xs = np.mgrid[0:height, 0:width]
    ramp = np.stack([xs * 150 // width, ys * 150 // height, (xs + ys) * 150 // (width + height)], axis=2)
    return Image.fromarray((ramp + noise).astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """Return the bytes of a file of that format; skips the test where HEIC is not installed."""
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo_of(content: bytes) -> Photo:
    """Decode bytes to a photo, and fail the test with the reason where that fails."""
    result = decode_bytes(content, "photo")
    assert isinstance(result, Photo), result
    assert not result.truncated
    assert np.uint8 == result.pixels.dtype
    assert 3 == result.pixels.ndim
    assert 3 == result.pixels.shape[2]
    return result


def reason_of(result: Photo | Failed) -> str:
    """Return the reason of a failure, or "a photo"."""
    return result.reason if isinstance(result, Failed) else "a photo"


def assert_quarters(photo: Photo, *colours: Colour, tolerance: int = 0) -> None:
    """Compare the centres of the quarters with colours: top left, top right, bottom left, bottom right."""
    height, width = photo.pixels.shape[:2]
    middles = [photo.pixels[y, x] for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    for expected, actual in zip(colours or (RED, GREEN, BLUE, YELLOW), middles, strict=True):
        assert np.abs(np.subtract(expected, actual, dtype=int)).max() <= tolerance, (expected, actual)


def assert_all(photo: Photo, colour: Colour, tolerance: int = 0) -> None:
    """Compare every pixel with a colour."""
    assert np.abs(photo.pixels.astype(int) - colour).max() <= tolerance, np.unique(photo.pixels.reshape(-1, 3), axis=0)[:9]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes | None, *extra: bytes) -> bytes:
    """Assemble a PNG of a kind that Pillow cannot write; `rows` None leaves the pixels out."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows)) if rows is not None else b""
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def without_adobe_marker(jpeg: bytes) -> bytes:
    """Return the JPEG without its APP14 segment."""
    start = jpeg.index(b"\xff\xee")
    assert b"Adobe" == jpeg[start + 4 : start + 9]
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def with_exif(orientation: int) -> bytes:
    """Return an EXIF block with that orientation, as bytes, because pillow_heif accepts no other form."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


WHOLE = (
    "jpeg",
    "progressive jpeg",
    "grey jpeg",
    "cmyk jpeg",
    "mpo",
    "png",
    "palette png",
    "grey 16-bit png",
    "webp",
    "lossless webp",
    "avif",
    "gif",
    "bmp",
    "tiff",
    "lzw tiff",
    "deflate tiff",
    "jpeg tiff",
    "16-bit tiff",
    "heic",
)
"""Kinds of files that `sample` makes."""


@cache
def sample(name: str) -> bytes:
    """Return a complete file of that kind, of the detailed image."""
    image = detailed()
    sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return {
        "jpeg": lambda: encoded(image, "JPEG"),
        "progressive jpeg": lambda: encoded(image, "JPEG", progressive=True),
        "grey jpeg": lambda: encoded(image.convert("L"), "JPEG"),
        "cmyk jpeg": lambda: encoded(image.convert("CMYK"), "JPEG"),
        "mpo": lambda: encoded(image, "MPO"),
        "png": lambda: encoded(image, "PNG"),
        "palette png": lambda: encoded(image.quantize(64), "PNG"),
        "grey 16-bit png": lambda: encoded(sixteen, "PNG"),
        "webp": lambda: encoded(image, "WEBP"),
        "lossless webp": lambda: encoded(image, "WEBP", lossless=True),
        "avif": lambda: encoded(image, "AVIF", speed=10),
        "gif": lambda: encoded(image, "GIF"),
        "bmp": lambda: encoded(image, "BMP"),
        "tiff": lambda: encoded(image, "TIFF"),
        "lzw tiff": lambda: encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate tiff": lambda: encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg tiff": lambda: encoded(image, "TIFF", compression="jpeg"),
        "16-bit tiff": lambda: encoded(sixteen, "TIFF"),
        "heic": lambda: encoded(image, "HEIF"),
    }[name]()
