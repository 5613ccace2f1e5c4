"""Photos of every format, and of every kind of damage, made on the spot and decoded."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import math
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tagger.photos import decode as decode_module
from tagger.photos.decode import MAX_PIXELS, SIDE, decode, decode_bytes
from tagger.records import FAILED_REASONS, Failed, Photo

RED, GREEN, BLUE, YELLOW = (200, 30, 40), (40, 160, 60), (30, 60, 190), (220, 200, 50)
WHITE, GREY = (255, 255, 255), (128, 128, 128)

# What a camera held that way stores for an upright scene (EXIF 2.3, tag 0x0112).
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

Colour = tuple[int, ...]


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Return four coloured quarters: no turn, mirroring or swap of channels leaves them as they are."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, YELLOW
    return Image.fromarray(pixels)


def detailed(width: int = 120, height: int = 90) -> Image.Image:
    """Return a picture that takes some kilobytes in every format, so that there is something to cut."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 80, (height, width, 3))
    ys, xs = np.mgrid[0:height, 0:width]
    ramp = np.stack([xs * 150 // width, ys * 150 // height, (xs + ys) * 150 // (width + height)], axis=2)
    return Image.fromarray((ramp + noise).astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo_of(content: bytes) -> Photo:
    """Return what was decoded; fails the test with the reason where nothing was."""
    result = decode_bytes(content, "photo")
    assert isinstance(result, Photo), result
    assert not result.truncated
    assert np.uint8 == result.pixels.dtype
    assert 3 == result.pixels.ndim
    assert 3 == result.pixels.shape[2]
    return result


def reason_of(result: Photo | Failed) -> str:
    return result.reason if isinstance(result, Failed) else "a photo"


def assert_quarters(photo: Photo, *colours: Colour, tolerance: int = 0) -> None:
    """Check the middles of the quarters: top left, top right, bottom left, bottom right."""
    height, width = photo.pixels.shape[:2]
    middles = [photo.pixels[y, x] for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    for expected, actual in zip(colours or (RED, GREEN, BLUE, YELLOW), middles, strict=True):
        assert np.abs(np.subtract(expected, actual, dtype=int)).max() <= tolerance, (expected, actual)


def assert_all(photo: Photo, colour: Colour, tolerance: int = 0) -> None:
    assert np.abs(photo.pixels.astype(int) - colour).max() <= tolerance, np.unique(photo.pixels.reshape(-1, 3), axis=0)[:9]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes | None, *extra: bytes) -> bytes:
    """Return a PNG by the book, for what Pillow cannot write; without `rows` it holds no pixels at all."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows)) if rows is not None else b""
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def without_adobe_marker(jpeg: bytes) -> bytes:
    """Return the JPEG without its APP14 segment."""
    start = jpeg.index(b"\xff\xee")
    assert b"Adobe" == jpeg[start + 4 : start + 9]
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def with_exif(orientation: int) -> bytes:
    """Return an EXIF block with that orientation; as bytes, for pillow_heif heeds no other form of it."""
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


@cache
def sample(name: str) -> bytes:
    """Return a whole file of that kind, of the detailed picture."""
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


# Formats and modes


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 6),
        ("JPEG", {"quality": 95, "progressive": True}, 6),
        ("JPEG", {"quality": 95, "subsampling": 2}, 6),
        ("MPO", {"quality": 95}, 6),
        ("PNG", {}, 0),
        ("PNG", {"optimize": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 90, "speed": 10}, 8),
        ("HEIF", {"quality": 95}, 8),
        ("BMP", {}, 0),
        ("DIB", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("TIFF", {"compression": "jpeg"}, 8),
    ],
)
def test_colours_survive(format: str, options: dict[str, object], tolerance: int) -> None:
    """A colour picture of each format comes back in its size and colours."""
    photo = photo_of(encoded(quarters(), format, **options))
    assert (64, 96, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=tolerance)


@pytest.mark.parametrize(("format", "tolerance"), [("JPEG", 2), ("PNG", 0), ("TIFF", 0), ("BMP", 0), ("GIF", 0)])
def test_grey_has_three_equal_channels(format: str, tolerance: int) -> None:
    """A grey picture comes back as RGB of the same greys."""
    photo = photo_of(encoded(Image.new("L", (40, 30), 128), format))
    assert_all(photo, GREY, tolerance)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_black_and_white(format: str) -> None:
    """A picture of one bit a pixel comes back in black and white."""
    image = Image.fromarray(np.repeat([[True, False]], 20, axis=0).repeat(20, axis=1))
    photo = photo_of(encoded(image, format))
    assert_quarters(photo, WHITE, (0, 0, 0), WHITE, (0, 0, 0))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(format: str) -> None:
    """A picture with a palette comes back in the palette's colours."""
    assert_quarters(photo_of(encoded(quarters().quantize(16), format)), tolerance=4)


def test_cmyk_jpeg_with_adobes_marker() -> None:
    """In a CMYK JPEG with Adobe's marker the inks are stored inverted, and come out in the right colours."""
    image = quarters().convert("CMYK")
    content = encoded(image, "JPEG", quality=95)
    assert b"Adobe" in content
    assert_quarters(photo_of(content), tolerance=6)


def test_cmyk_jpeg_without_adobes_marker() -> None:
    """In a CMYK JPEG without Adobe's marker the inks are stored as they are, and come out in the right colours."""
    inverted = Image.eval(quarters().convert("CMYK"), lambda ink: 255 - ink)
    content = without_adobe_marker(encoded(inverted, "JPEG", quality=95))
    assert b"Adobe" not in content
    assert_quarters(photo_of(content), tolerance=6)


def test_cmyk_tiff() -> None:
    """The inks of a CMYK TIFF come out in the right colours."""
    assert_quarters(photo_of(encoded(quarters().convert("CMYK"), "TIFF")))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(format: str) -> None:
    """A mid grey of 16 bits is a mid grey of 8, not clipped to white."""
    values = np.full((30, 40), 32896, np.uint16)
    values[:15, :20], values[:15, 20:], values[15:, :20] = 0, 65535, 12850
    photo = photo_of(encoded(Image.fromarray(values), format))
    assert_quarters(photo, (0, 0, 0), WHITE, (50, 50, 50), GREY)


def test_16_bit_grey_tiff_of_either_byte_order() -> None:
    """A mid grey of 16 bits is a mid grey of 8 in a TIFF with its highest byte first, too."""
    entries = [(256, 3, 1, 8 << 16), (257, 3, 1, 8 << 16), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16), (262, 3, 1, 1 << 16)]
    entries += [(273, 4, 1, 8 + 2 + 8 * 12 + 4), (278, 3, 1, 8 << 16), (279, 4, 1, 128)]
    directory = struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *entry) for entry in entries) + b"\0\0\0\0"
    content = b"MM\0*" + struct.pack(">I", 8) + directory + struct.pack(">H", 32896) * 64
    assert_all(photo_of(content), GREY)


def test_16_bit_colour_png() -> None:
    """A colour PNG of 16 bits a channel comes out in its colours."""
    row = b"\0" + struct.pack(">HHH", *(channel * 257 for channel in YELLOW)) * 20
    assert_all(photo_of(png(20, 10, 16, 2, row * 10)), YELLOW)


def test_float_tiff_is_scaled() -> None:
    """A TIFF of floats from 0 to 1 comes out as greys from black to white."""
    values = np.full((30, 40), 0.5, np.float32)
    values[0, 0], values[-1, -1] = 0, 1
    assert_quarters(photo_of(encoded(Image.fromarray(values), "TIFF")), GREY, GREY, GREY, GREY)


# Transparency


def cutout(hidden: Colour, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return the quarters with the right half fully transparent and `hidden` under it."""
    image = quarters(*size).convert("RGBA")
    image.paste((*hidden, 0), (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True, "exact": True}, 0),
        ("WEBP", {"quality": 95, "exact": True}, 8),
        ("AVIF", {"quality": 95, "speed": 10}, 8),
        ("HEIF", {"quality": 95}, 8),
        ("TIFF", {}, 0),
    ],
)
def test_transparency_is_white(format: str, options: dict[str, object], tolerance: int) -> None:
    """What is fully transparent comes out white, whatever colour is hidden under it."""
    photo = photo_of(encoded(cutout((0, 0, 0)), format, **options))
    assert_quarters(photo, RED, WHITE, BLUE, WHITE, tolerance=tolerance)


def test_half_transparency_is_mixed_with_white() -> None:
    """A half transparent colour comes out half as strong on white."""
    photo = photo_of(encoded(Image.new("RGBA", (20, 10), (0, 0, 0, 127)), "PNG"))
    assert_all(photo, GREY)


def test_hidden_colour_does_not_bleed_when_shrunk() -> None:
    """The colour hidden under full transparency shows not even at the product's rim after shrinking."""
    ys, xs = np.mgrid[0:600, 0:700]
    pixels = np.zeros((600, 700, 4), np.uint8)
    pixels[:] = (255, 0, 0, 0)
    pixels[(xs - 350) ** 2 + (ys - 300) ** 2 < 200**2] = (100, 100, 100, 255)
    photo = photo_of(encoded(Image.fromarray(pixels), "PNG"))
    assert (137, 160, 3) == photo.pixels.shape
    assert np.ptp(photo.pixels.astype(int), axis=2).max() <= 1
    assert_all(Photo(photo.pixels[:5]), WHITE)
    assert_all(Photo(photo.pixels[60:70, 70:90]), (100, 100, 100))


def test_palette_with_one_transparent_colour() -> None:
    """A palette PNG whose tRNS chunk hides one colour shows white there."""
    image = quarters().quantize(4)
    hidden = image.getpixel((90, 2))
    photo = photo_of(encoded(image, "PNG", transparency=hidden))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW, tolerance=4)


def test_palette_with_an_alpha_for_each_colour() -> None:
    """A palette PNG whose tRNS chunk holds an alpha for each colour is laid on white by them."""
    image = Image.new("P", (96, 64))
    image.putpalette([*RED, *GREEN, *BLUE, 0, 0, 0])
    for index, corner in enumerate([(0, 0), (48, 0), (0, 32), (48, 32)]):
        image.paste(index, (*corner, corner[0] + 48, corner[1] + 32))
    photo = photo_of(encoded(image, "PNG", transparency=bytes([255, 0, 255, 127])))
    assert_quarters(photo, RED, WHITE, BLUE, GREY)


@pytest.mark.parametrize("size", [(96, 64), (480, 320)])
def test_colour_with_one_transparent_colour(size: tuple[int, int]) -> None:
    """An RGB PNG whose tRNS chunk hides one colour shows white there."""
    photo = photo_of(encoded(quarters(*size), "PNG", transparency=GREEN))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW)


def test_grey_with_one_transparent_grey() -> None:
    """A grey PNG whose tRNS chunk hides one grey shows white there."""
    image = Image.new("L", (96, 64), 128)
    image.paste(7, (48, 0, 96, 64))
    assert_quarters(photo_of(encoded(image, "PNG", transparency=7)), GREY, WHITE, GREY, WHITE)


def test_16_bit_grey_with_one_transparent_grey() -> None:
    """A 16-bit grey PNG whose tRNS chunk hides one grey shows white there."""
    row = b"\0" + struct.pack(">H", 32896) * 20 + struct.pack(">H", 300) * 20
    content = png(40, 30, 16, 0, row * 30, chunk(b"tRNS", struct.pack(">H", 300)))
    assert_quarters(photo_of(content), GREY, WHITE, GREY, WHITE)


def test_grey_with_alpha() -> None:
    """A grey PNG with alpha is laid on white."""
    image = Image.new("LA", (96, 64), (128, 255))
    image.paste((0, 0), (48, 0, 96, 64))
    assert_quarters(photo_of(encoded(image, "PNG")), GREY, WHITE, GREY, WHITE)


def test_16_bit_grey_with_alpha() -> None:
    """A 16-bit grey PNG with alpha is laid on white and not clipped."""
    row = b"\0" + struct.pack(">HH", 32896, 65535) * 20 + struct.pack(">HH", 0, 0) * 20
    assert_quarters(photo_of(png(40, 30, 16, 4, row * 30)), GREY, WHITE, GREY, WHITE)


def test_transparent_gif() -> None:
    """A GIF's transparent colour comes out white."""
    image = quarters().quantize(4)
    photo = photo_of(encoded(image, "GIF", transparency=image.getpixel((90, 2))))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW, tolerance=4)


# Several frames


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("GIF", {"duration": 100}, 4),
        ("PNG", {"duration": 100}, 0),
        ("WEBP", {"duration": 100, "lossless": True}, 0),
        ("AVIF", {"duration": 100, "quality": 95, "speed": 10}, 8),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("MPO", {"quality": 95}, 6),
        ("HEIF", {"quality": 95}, 8),
    ],
)
def test_first_frame_is_taken(format: str, options: dict[str, object], tolerance: int) -> None:
    """Of animations and files of several pages the first picture is taken."""
    content = encoded(quarters(), format, save_all=True, append_images=[Image.new("RGB", (96, 64), GREY)] * 2, **options)
    assert_quarters(photo_of(content), tolerance=tolerance)


# Orientation


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
    """Each of the eight EXIF orientations gives the same upright picture, once turned and not twice."""
    turn = STORED[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    photo = photo_of(encoded(stored, format, exif=with_exif(orientation), **options))
    assert (64, 96, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=tolerance)


def test_orientation_of_a_large_jpeg() -> None:
    """A JPEG that is decoded at a smaller scale is turned all the same."""
    stored = quarters(900, 600).transpose(Image.Transpose.ROTATE_90)
    photo = photo_of(encoded(stored, "JPEG", quality=95, exif=with_exif(6)))
    assert (107, 160, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=6)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_leaves_the_picture(orientation: int) -> None:
    """An orientation that EXIF does not define leaves the picture as it is stored."""
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


# Names and sizes


def test_content_beats_suffix(tmp_path: Path) -> None:
    """The content tells the format, not the file's suffix."""
    file = tmp_path / "shirt.jpg"
    file.write_bytes(encoded(quarters(), "PNG"))
    result = decode(file)
    assert isinstance(result, Photo)
    assert_quarters(result)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((160, 160), (160, 160)),
        ((161, 100), (160, 99)),
        ((100, 161), (99, 160)),
        ((4000, 3000), (160, 120)),
        ((3000, 4000), (120, 160)),
        ((5000, 1), (160, 1)),
        ((1, 5000), (1, 160)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_longer_side_is_bounded(format: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The longer side is at most SIDE pixels, small photos are not blown up, and no side vanishes."""
    photo = photo_of(encoded(Image.new("RGB", size, GREY), format))
    assert max(expected) <= SIDE
    assert expected == photo.pixels.shape[1::-1]


@pytest.mark.parametrize(("full", "scale"), [((200, 300), 1), ((400, 330), 2), ((1000, 700), 4), ((2000, 2000), 8)])
def test_jpeg_is_decoded_at_a_small_scale(full: tuple[int, int], scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG is decoded at the smallest scale that still fills the square of SIDE pixels, never in full for nothing."""
    decoded = []
    load = ImageFile.ImageFile.load

    def noting(image: ImageFile.ImageFile) -> object:
        access = load(image)
        decoded.append(image.size)
        return access

    monkeypatch.setattr(ImageFile.ImageFile, "load", noting)
    photo = photo_of(encoded(quarters(*full), "JPEG", quality=95))
    assert (math.ceil(full[0] / scale), math.ceil(full[1] / scale)) == decoded[0]
    assert SIDE == max(photo.pixels.shape)
    assert_quarters(photo, tolerance=6)


@pytest.mark.parametrize(
    "size", [(60_000, 60_000), (10_001, 10_000), (13_000, 10_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)]
)
def test_too_many_pixels_are_told_from_the_header(size: tuple[int, int], tmp_path: Path) -> None:
    """A photo with too many pixels fails by its header alone: quickly, without a warning and before any decoding."""
    file = tmp_path / "huge.png"
    file.write_bytes(png(*size, 8, 2, None))
    started = time.perf_counter()
    assert "too_large" == reason_of(decode(file))
    assert time.perf_counter() - started < 1


def test_large_photo_below_the_limit_gives_no_warning() -> None:
    """A photo just below the limit, where Pillow would warn, is decoded without a warning."""
    content = png(10_000, MAX_PIXELS // 10_000, 1, 0, bytes(1251) * (MAX_PIXELS // 10_000))
    assert_all(photo_of(content), (0, 0, 0))


def test_too_many_pixels_in_each_format() -> None:
    """The limit holds for every format whose header can promise so much."""
    bmp = bytearray(encoded(Image.new("RGB", (4, 4)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 50_000, 50_000)
    gif = bytearray(encoded(Image.new("L", (4, 4)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    jpeg = bytearray(encoded(Image.new("RGB", (4, 4)), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_000, 65_000)
    assert ["too_large"] * 3 == [reason_of(decode_bytes(bytes(content), "huge")) for content in (bmp, gif, jpeg)]


def test_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file longer than MAX_BYTES is not read; one of just that length is."""
    file = tmp_path / "long.png"
    file.write_bytes(encoded(quarters(), "PNG"))
    monkeypatch.setattr(decode_module, "MAX_BYTES", file.stat().st_size)
    assert isinstance(decode(file), Photo)
    monkeypatch.setattr(decode_module, "MAX_BYTES", file.stat().st_size - 1)
    assert "too_large" == reason_of(decode(file))


# What is no photo


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there fails as missing, and the detail names it."""
    result = decode(tmp_path / "none.jpg")
    assert "missing" == reason_of(result)
    assert isinstance(result, Failed)
    assert "none.jpg" in result.detail


def test_folder_and_impossible_paths(tmp_path: Path) -> None:
    """A folder, a path with a null byte and one too long for the file system fail like a missing file."""
    paths = [tmp_path, Path("a\0b.jpg"), tmp_path / ("x" * 5000), tmp_path / "file" / "below.jpg"]
    (tmp_path / "file").write_bytes(b"")
    assert {"missing", "unreadable"} >= {reason_of(decode(path)) for path in paths}


def test_empty_file(tmp_path: Path) -> None:
    """An empty file is a truncated one: a copy that never got anywhere."""
    file = tmp_path / "empty.jpg"
    file.write_bytes(b"")
    assert "truncated" == reason_of(decode(file))
    assert "truncated" == reason_of(decode(file, allow_truncated=True))


@pytest.mark.parametrize(
    "content",
    [
        b"just a text\n",
        b"<html><body>404 Not Found</body></html>",
        b"%PDF-1.7\n",
        b"PK\3\4" + bytes(60),
        bytes(1000),
        b"\xef\xbb\xbfid,path\n",
    ],
)
def test_other_files_are_no_image(content: bytes, tmp_path: Path) -> None:
    """Texts, pages saved in a photo's place and archives fail as not an image, whatever their suffix."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    assert "not_an_image" == reason_of(decode(file))
    assert "not_an_image" == reason_of(decode(file, allow_truncated=True))


def test_details_are_one_line() -> None:
    """The detail of a failure is one line that names the file."""
    for content in (b"", b"text", sample("png")[:500], sample("jpeg")[:500], png(60_000, 60_000, 8, 2, None)):
        result = decode_bytes(content, "folder/photo.png")
        assert isinstance(result, Failed)
        assert "folder/photo.png" in result.detail
        assert "\n" not in result.detail


# Damage


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_fail_as_truncated(name: str) -> None:
    """A file cut anywhere in its header or its pixels fails as truncated."""
    whole = sample(name)
    cuts = [16, 40, *(len(whole) * percent // 100 for percent in (5, 15, 30, 45, 60, 75, 90, 97))]
    reasons = {cut: reason_of(decode_bytes(whole[:cut], name)) for cut in cuts}
    assert dict.fromkeys(cuts, "truncated") == reasons


@pytest.mark.parametrize("name", ["lzw tiff", "deflate tiff", "jpeg tiff"])
def test_tiffs_cut_in_their_directory_fail_as_truncated(name: str) -> None:
    """A TIFF cut inside its directory, which compressed ones have at their end, fails as truncated."""
    assert ["truncated"] * 3 == [reason_of(decode_bytes(sample(name)[:-missing], name)) for missing in (1, 20, 60)]


@pytest.mark.parametrize("name", WHOLE)
def test_files_cut_after_ten_bytes_fail(name: str) -> None:
    """A file of which hardly anything arrived fails as truncated or, where its kind is not told yet, as no image."""
    assert reason_of(decode_bytes(sample(name)[:10], name)) in ("truncated", "not_an_image")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_never_marked(name: str) -> None:
    """With truncated files allowed a whole file is decoded to the same pixels and not marked."""
    strictly, leniently = (decode_bytes(sample(name), name, allow) for allow in (False, True))
    assert isinstance(strictly, Photo)
    assert isinstance(leniently, Photo)
    assert (False, False) == (strictly.truncated, leniently.truncated)
    assert np.array_equal(strictly.pixels, leniently.pixels)


@pytest.mark.parametrize(
    "name", ["jpeg", "progressive jpeg", "grey jpeg", "cmyk jpeg", "png", "palette png", "gif", "bmp", "tiff"]
)
def test_cut_files_can_be_rescued(name: str) -> None:
    """With truncated files allowed one cut in its pixels comes marked, in its size and with what arrived of it."""
    whole = decode_bytes(sample(name), name)
    assert isinstance(whole, Photo)
    for percent in (60, 90):
        rescued = decode_bytes(sample(name)[: len(sample(name)) * percent // 100], name, allow_truncated=True)
        assert isinstance(rescued, Photo), rescued
        assert rescued.truncated
        assert whole.pixels.shape == rescued.pixels.shape
        # A BMP's first row is its lowest one.
        arrived = np.s_[-10:] if name == "bmp" else np.s_[:10]
        assert np.abs(whole.pixels[arrived].astype(int) - rescued.pixels[arrived]).mean() < 40
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_rescued_fails(name: str) -> None:
    """With truncated files allowed a cut file comes marked or fails as truncated, and Pillow's switch is off again."""
    for percent in (3, 30, 60, 90):
        result = decode_bytes(sample(name)[: len(sample(name)) * percent // 100], name, allow_truncated=True)
        assert result.truncated if isinstance(result, Photo) else "truncated" == result.reason
        assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_rescues_do_not_loosen_strict_decoding() -> None:
    """A truncated file fails although another thread rescues truncated files at the same time."""
    cut = encoded(detailed(800, 600), "PNG", compress_level=1)
    cut = cut[: len(cut) * 60 // 100]
    with ThreadPoolExecutor(2) as threads:
        rescues = [threads.submit(decode_bytes, cut, "rescued", True) for _ in range(20)]
        strict = [threads.submit(decode_bytes, cut, "strict") for _ in range(20)]
        assert [True] * 20 == [isinstance(rescue.result(), Photo) for rescue in rescues]
        assert ["truncated"] * 20 == [reason_of(result.result()) for result in strict]


def test_trailing_bytes_do_no_harm() -> None:
    """Zeros or other bytes after a whole JPEG, as some cameras and mail programs leave them, do no harm."""
    for tail in (bytes(100), b"\r\n", b"SEFT" + bytes(20)):
        assert isinstance(decode_bytes(sample("jpeg") + tail, "photo"), Photo)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25, deadline=None)
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8),
    allow=st.booleans(),
)
def test_flipped_bytes_never_raise(name: str, flips: list[tuple[float, int]], allow: bool) -> None:
    """Flipped bytes give a photo or a failure with a known reason, never an exception or a warning."""
    content = bytearray(sample(name))
    for where, flip in flips:
        content[int(where * len(content))] ^= flip
    assert_result(decode_bytes(bytes(content), name, allow))


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 160), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_headers_never_raise(name: str, flips: list[tuple[int, int]]) -> None:
    """Damage near the beginning, where sizes and offsets lie, gives a photo or a failure with a known reason."""
    content = bytearray(sample(name))
    for at, flip in flips:
        content[at] ^= flip
    assert_result(decode_bytes(bytes(content), name))


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF....WEBPVP8 ",
            b"GIF89a",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"\0\0\0\x18ftypheic",
        ]
    ),
    rest=st.binary(max_size=200),
)
def test_random_bytes_never_raise(start: bytes, rest: bytes) -> None:
    """Any bytes, also after a known beginning, give a failure or a photo."""
    assert_result(decode_bytes(start + rest, "random"))


def assert_result(result: Photo | Failed) -> None:
    if isinstance(result, Failed):
        assert result.reason in FAILED_REASONS
    else:
        assert np.uint8 == result.pixels.dtype
        assert max(result.pixels.shape[:2]) <= SIDE


def test_damage_writes_no_warning_to_the_terminal(tmp_path: Path, small_bundle: Path) -> None:
    """Damaged metadata and huge sizes give no warning: a run over a million photos is not to fill the screen."""
    (tmp_path / "exif.jpg").write_bytes(encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"))
    (tmp_path / "cut.tif").write_bytes(sample("tiff")[:300])
    (tmp_path / "large.png").write_bytes(png(9_700, 9_700, 1, 0, None))
    (tmp_path / "huge.png").write_bytes(png(11_000, 11_000, 1, 0, None))
    # Its own process, because pytest has its own rules for warnings.
    command = [sys.executable, "-m", "tagger", "run", tmp_path, "--out", "-", "--model", small_bundle]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (3, 5) == (done.returncode, done.stdout.count("\n"))
    assert "Warning" not in done.stderr
    assert "PIL" not in done.stderr


# Threads


def test_threads_give_the_same() -> None:
    """Eight threads decode to the same pixels as one, whether truncated files are allowed or not."""
    contents = [sample(name) for name in WHOLE if name != "heic"] + [
        encoded(quarters(900, 600 + side), "JPEG") for side in range(12)
    ]
    contents += [sample("jpeg")[:2000], sample("png")[:9000]]
    for allow in (False, True):
        alone = [decode_bytes(content, "photo", allow) for content in contents]
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda content: decode_bytes(content, "photo", allow), contents * 4))  # noqa: B023
        for expected, actual in zip(alone * 4, together, strict=True):
            assert type(expected) is type(actual)
            assert reason_of(expected) == reason_of(actual)
            if isinstance(expected, Photo) and isinstance(actual, Photo):
                assert expected.truncated == actual.truncated
                assert np.array_equal(expected.pixels, actual.pixels)
