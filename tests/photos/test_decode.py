"""Photos of every format, mode and size are decoded to upright RGB; other files fail with their reason."""
# ruff: noqa: SIM300 - the expected value stands first

import hashlib
import math
import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import simplejpeg
from image_files import (
    GREY,
    WHITE,
    WHOLE,
    YELLOW,
    assert_all,
    assert_quarters,
    encoded,
    photo_of,
    png,
    quarters,
    reason_of,
    sample,
    without_adobe_marker,
)
from numpy.typing import NDArray
from PIL import Image

from tagger.photos import decode as decode_module
from tagger.photos.decode import COARSEST_CLOCK_NS, SIDE, decode, decode_bytes, read
from tagger.photos.limits import MAX_PIXELS
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed, Photo

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
    """A colour image of each format is decoded to its size and colours."""
    photo = photo_of(encoded(quarters(), format, **options))
    assert (64, 96, 3) == photo.pixels.shape
    assert_quarters(photo, tolerance=tolerance)


@pytest.mark.parametrize(("format", "tolerance"), [("JPEG", 2), ("PNG", 0), ("TIFF", 0), ("BMP", 0), ("GIF", 0)])
def test_grey_has_three_equal_channels(format: str, tolerance: int) -> None:
    """A grey image is decoded to RGB of the same greys."""
    photo = photo_of(encoded(Image.new("L", (40, 30), 128), format))
    assert_all(photo, GREY, tolerance)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_black_and_white(format: str) -> None:
    """An image of one bit per pixel is decoded to black and white."""
    image = Image.fromarray(np.repeat([[True, False]], 20, axis=0).repeat(20, axis=1))
    photo = photo_of(encoded(image, format))
    assert_quarters(photo, WHITE, (0, 0, 0), WHITE, (0, 0, 0))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(format: str) -> None:
    """An image with a palette is decoded to the palette's colours."""
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
    """16 bits of grey are scaled to 8, not clipped to white."""
    values = np.full((30, 40), 32896, np.uint16)
    values[:15, :20], values[:15, 20:], values[15:, :20] = 0, 65535, 12850
    photo = photo_of(encoded(Image.fromarray(values), format))
    assert_quarters(photo, (0, 0, 0), WHITE, (50, 50, 50), GREY)


def test_16_bit_grey_tiff_of_either_byte_order() -> None:
    """16 bits of grey are scaled to 8 in a big-endian TIFF, too."""
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


def test_floats_beyond_one_are_scaled_by_their_maximum() -> None:
    """A TIFF of floats from 0 to 200 is scaled to 0 to 255; what is no number is black, infinity white."""
    values = np.full((30, 40), 100, np.float32)
    values[:15, :20], values[:15, 20:], values[15:, :20] = 200, np.nan, np.inf
    assert_quarters(photo_of(encoded(Image.fromarray(values), "TIFF")), WHITE, WHITE, WHITE, GREY)


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
    """Of animations and files of several pages the first frame is decoded."""
    content = encoded(quarters(), format, save_all=True, append_images=[Image.new("RGB", (96, 64), GREY)] * 2, **options)
    assert_quarters(photo_of(content), tolerance=tolerance)


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
        ((400, 400), (400, 400)),
        ((799, 100), (799, 100)),
        ((100, 800), (50, 400)),
        ((4000, 3000), (500, 375)),
        ((3000, 4000), (375, 500)),
        ((5000, 1), (625, 1)),
        ((1, 5000), (1, 625)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_longer_side_is_bounded(format: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The longer side is less than twice SIDE, small photos are not enlarged, and no side becomes 0."""
    photo = photo_of(encoded(Image.new("RGB", size, GREY), format))
    assert max(expected) < 2 * SIDE
    assert expected == photo.pixels.shape[1::-1]


def test_shrinking_averages_pixels() -> None:
    """Every pixel of a large photo counts: a fine chequerboard of black and white becomes grey."""
    ys, xs = np.mgrid[0:880, 0:880]
    photo = photo_of(encoded(Image.fromarray(((xs + ys) % 2 * 255).astype(np.uint8)), "PNG"))
    assert np.abs(photo.pixels.astype(int) - 128).max() <= 20


def test_a_file_of_a_megabyte_is_read(tmp_path: Path) -> None:
    """An uncompressed photo of a usual size is not too large."""
    quarters(700, 600).save(tmp_path / "large.bmp")
    assert (tmp_path / "large.bmp").stat().st_size > 1_000_000
    assert isinstance(decode(tmp_path / "large.bmp"), Photo)


@pytest.mark.parametrize(
    ("full", "scale"),
    [((500, 700), 1), ((800, 660), 2), ((1600, 1200), 4), ((1600, 1067), 4), ((1067, 1600), 4), ((3200, 3200), 8)],
)
def test_jpeg_is_decoded_at_a_small_scale(full: tuple[int, int], scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG is decoded at the smallest scale that still has SIDE pixels, never in full for nothing."""
    decoded = []
    decode_jpeg = simplejpeg.decode_jpeg

    def noting(*arguments: object, **options: object) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = decode_jpeg(*arguments, **options)
        decoded.append(pixels.shape[1::-1])
        return pixels

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noting)
    photo = photo_of(encoded(quarters(*full), "JPEG", quality=95))
    assert [(math.ceil(full[0] / scale), math.ceil(full[1] / scale))] == decoded
    assert max(full) / scale == max(photo.pixels.shape)
    assert_quarters(photo, tolerance=6)


@pytest.mark.parametrize(
    "size", [(60_000, 60_000), (20_001, 20_000), (18_000, 18_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)]
)
def test_too_many_pixels_are_told_from_the_header(size: tuple[int, int], tmp_path: Path) -> None:
    """A photo with too many pixels fails by its header alone: within a second, without a warning, before decoding."""
    file = tmp_path / "huge.png"
    file.write_bytes(png(*size, 8, 2, None))
    started = time.perf_counter()
    assert "too_large" == reason_of(decode(file))
    assert time.perf_counter() - started < 1


def test_large_photo_below_the_limit_gives_no_warning() -> None:
    """A photo of more pixels than those from which on Pillow warns, or refuses, is decoded without a warning."""
    assert_all(photo_of(png(10_000, 18_000, 1, 0, bytes(1251) * 18_000)), (0, 0, 0))


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


# Reading


def test_read_gives_bytes_hash_size_and_time(tmp_path: Path) -> None:
    """A file is read with its sha256, size and, if it has not changed lately, its modification time."""
    file = tmp_path / "old.bin"
    file.write_bytes(b"some bytes")
    os.utime(file, ns=(0, time.time_ns() - COARSEST_CLOCK_NS - 10**9))
    result = read(file)
    assert not isinstance(result, Failed)
    content, stored = result
    assert b"some bytes" == content
    assert (hashlib.sha256(content).digest(), 10, file.stat().st_mtime_ns) == (stored.sha256, stored.size, stored.mtime_ns)


@pytest.mark.parametrize("age_ns", [-(10**12), 0, COARSEST_CLOCK_NS - 10**9])
def test_the_time_of_a_fresh_file_is_not_kept(tmp_path: Path, age_ns: int) -> None:
    """A file that changed within the coarsest clock's step, or in the future, has no time: a later change could keep it."""
    file = tmp_path / "fresh.bin"
    file.write_bytes(b"some bytes")
    os.utime(file, ns=(0, time.time_ns() - age_ns))
    result = read(file)
    assert not isinstance(result, Failed)
    assert result[1].mtime_ns is None


def test_an_error_without_a_text_is_named_by_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an exception has no text, the detail of the failure names its type."""
    file = tmp_path / "photo.png"
    file.write_bytes(sample("png"))

    def failing(*arguments: object) -> NoReturn:
        raise AssertionError

    results = []
    for owner, name in ((decode_module, "_open_image"), (Path, "is_file")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            results.append(decode(file))
    for result in results:
        assert isinstance(result, Failed)
        assert result.reason == "unreadable"
        assert result.detail in (f"{file}: cannot be decoded (AssertionError)", f"{file}: AssertionError")


# Files that are no images


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
    assert "truncated" == reason_of(decode(file, DecodeSettings(allow_truncated=True)))


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
    assert "not_an_image" == reason_of(decode(file, DecodeSettings(allow_truncated=True)))


def test_details_are_one_line() -> None:
    """The detail of a failure is one line that names the file."""
    for content in (b"", b"text", sample("png")[:500], sample("jpeg")[:500], png(60_000, 60_000, 8, 2, None)):
        result = decode_bytes(content, "folder/photo.png")
        assert isinstance(result, Failed)
        assert "folder/photo.png" in result.detail
        assert "\n" not in result.detail


# Threads


def test_threads_give_the_same() -> None:
    """Eight threads decode to the same pixels as one, whether truncated files are allowed or not."""
    contents = [sample(name) for name in WHOLE if name != "heic"] + [
        encoded(quarters(900, 600 + side), "JPEG") for side in range(12)
    ]
    contents += [sample("jpeg")[:2000], sample("png")[:9000]]
    for allow in (False, True):
        alone = [decode_bytes(content, "photo", DecodeSettings(allow)) for content in contents]
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda content: decode_bytes(content, "photo", DecodeSettings(allow)), contents * 4))  # noqa: B023
        for expected, actual in zip(alone * 4, together, strict=True):
            assert type(expected) is type(actual)
            assert reason_of(expected) == reason_of(actual)
            if isinstance(expected, Photo) and isinstance(actual, Photo):
                assert expected.truncated == actual.truncated
                assert np.array_equal(expected.pixels, actual.pixels)
