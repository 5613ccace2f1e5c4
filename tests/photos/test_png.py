"""A PNG is read whatever its metadata are, and its picture's checksums are checked."""

import struct
import zlib

import numpy as np
import pytest
from image_files import (
    STORED,
    WHITE,
    YELLOW,
    assert_all,
    assert_quarters,
    chunk,
    detailed,
    encoded,
    photo_of,
    png,
    quarters,
    reason_of,
    with_exif,
)
from PIL import Image, PngImagePlugin

from tagger.photos.decode import decode_bytes
from tagger.photos.png import SIGNATURE
from tagger.records import Failed

PLAIN = encoded(quarters(), "PNG")
HEADER_END = 8 + 25
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
LONG = b"a" * 3_000_000


def with_chunk(kind: bytes, data: bytes, crc: int | None = None, content: bytes = PLAIN) -> bytes:
    """Return a PNG with a further chunk after its header, with a checksum of its own where one is given."""
    packed = chunk(kind, data)
    if crc is not None:
        packed = packed[:-4] + struct.pack(">I", crc)
    return content[:HEADER_END] + packed + content[HEADER_END:]


def damaged(content: bytes, kind: bytes, at: int, number: int = 0) -> bytes:
    """Return a PNG with a byte of the n-th chunk of that kind changed: of its data, or counted from the end its checksum."""
    start = 8
    while content[start + 4 : start + 8] != kind or number:
        number -= content[start + 4 : start + 8] == kind
        start += 12 + int.from_bytes(content[start : start + 4], "big")
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    place = start + 8 + at if at >= 0 else end + at
    return content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]


def in_parts(content: bytes, size: int = 500) -> bytes:
    """Return a PNG whose pixels are in chunks of that size."""
    start = content.index(b"IDAT") - 4
    length = int.from_bytes(content[start : start + 4], "big")
    data = content[start + 8 : start + 8 + length]
    parts = b"".join(chunk(b"IDAT", data[at : at + size]) for at in range(0, len(data), size))
    return content[:start] + parts + content[start + 12 + length :]


@pytest.mark.parametrize(
    ("kind", "data", "crc"),
    [
        (b"pHYs", bytes(9), 0),
        (b"pHYs", b"\0", None),
        (b"gAMA", b"", None),
        (b"tEXt", b"Comment\0hello", 0),
        (b"tEXt", b"Comment", None),
        (b"tEXt", b"Comment\0" + LONG, None),
        (b"zTXt", b"Comment\0\0" + zlib.compress(LONG), None),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(LONG), None),
        (b"zTXt", b"Raw profile type exif\0\0rubbish", None),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG), None),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LONG, None),
        (b"iCCP", b"icc\0\0" + zlib.compress(bytes(5_000_000)), None),
        (b"iCCP", b"icc\0\0rubbish", None),
        (b"iCCP", b"icc\0\7" + zlib.compress(bytes(50)), None),
        (b"eXIf", b"rubbish", None),
        (b"eXIf", with_exif(3), 0),
        (b"cHRM", bytes(3), None),
        (b"tIME", bytes(2), None),
        (b"sRGB", b"", None),
        (b"acTL", bytes(3), None),
        (b"fcTL", bytes(3), None),
        (b"caBX", LONG, None),
        (b"\xff\xfe\1\2", bytes(4), None),
    ],
)
def test_metadata_do_no_harm(kind: bytes, data: bytes, crc: int | None) -> None:
    """Metadata that are damaged, too long or of a wrong checksum leave the picture as it is."""
    assert_quarters(photo_of(with_chunk(kind, data, crc)))


@pytest.mark.parametrize("at", [-1, -4, 0, 100])
def test_damaged_pixels_are_told(at: int) -> None:
    """A wrong byte of the pixels or of their checksum, in one chunk or in one of many."""
    content = encoded(detailed(), "PNG")
    assert reason_of(decode_bytes(damaged(content, b"IDAT", at), "photo.png")) == "unreadable"
    parts = in_parts(content)
    assert reason_of(decode_bytes(parts, "photo.png")) == "a photo"
    for number in (0, 7, 20):
        assert reason_of(decode_bytes(damaged(parts, b"IDAT", at, number), "photo.png")) == "unreadable"


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE"])
def test_damaged_headers_and_palettes_are_told(kind: bytes) -> None:
    """A wrong checksum of the header or of the palette makes the picture another."""
    content = encoded(quarters().quantize(16), "PNG")
    failed = decode_bytes(damaged(content, kind, -1), "photo.png")
    assert failed == Failed("unreadable", f"photo.png: the checksum of its chunk {kind.decode()} is wrong")


def test_the_checksum_within_the_pixels_is_checked() -> None:
    """Compressed pixels end with a checksum of their own; a wrong one is told although the chunk's is right."""
    for size, tail in ((64, b"\0\0\0\0"), (64, b"")):
        rows = zlib.compress((b"\0" + bytes(range(192))) * size)[:-4]
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, size, 8, 2, 0, 0, 0))
        content = SIGNATURE + header + chunk(b"IDAT", rows + tail) + chunk(b"IEND", b"")
        assert reason_of(decode_bytes(content, "photo.png")) == ("unreadable" if tail else "a photo")


def test_pixels_that_end_early_are_told() -> None:
    """Fewer rows than the header announces, with all checksums right; more are left out."""
    row = b"\0" + bytes(YELLOW) * 20
    assert reason_of(decode_bytes(png(20, 10, 8, 2, row * 9), "photo.png")) == "truncated"
    assert reason_of(decode_bytes(png(20, 10, 8, 2, None), "photo.png")) == "truncated"
    assert_all(photo_of(png(20, 10, 8, 2, row * 12)), YELLOW)
    assert_all(photo_of(png(20, 10, 8, 2, row * 10_000)), YELLOW)


def test_the_end_may_be_missing_or_followed() -> None:
    """The end marker is no part of the picture, nor is what stands after it or between its chunks."""
    assert_quarters(photo_of(PLAIN[:-12]))
    assert_quarters(photo_of(PLAIN + b"anything" * 100))
    parts = in_parts(PLAIN, 50)
    second = parts.index(b"IDAT", parts.index(b"IDAT") + 4) - 4
    assert_quarters(photo_of(parts[:second] + chunk(b"tEXt", b"a\0b") + parts[second:]))


def test_interlaced_pictures() -> None:
    """An interlaced picture of any size is read, and a cut one told."""
    for width, height in ((96, 64), (1, 1), (3, 5), (9, 2)):
        rows = b""
        for left, top, across, down in PASSES:
            columns, lines = len(range(left, width, across)), len(range(top, height, down))
            rows += (b"\0" + bytes(YELLOW) * columns) * lines if columns else b""
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
        whole, cut = (
            SIGNATURE + header + chunk(b"IDAT", zlib.compress(rows[:end])) + chunk(b"IEND", b"") for end in (len(rows), -1)
        )
        assert_all(photo_of(whole), YELLOW)
        assert reason_of(decode_bytes(cut, "photo.png")) == "truncated"


def test_orientation_is_kept() -> None:
    """Orientation in an eXIf chunk, in the text of older programs, or in XMP."""
    turned = quarters().transpose(STORED[6])  # type: ignore[arg-type]
    plain = encoded(turned, "PNG")
    assert_quarters(photo_of(with_chunk(b"eXIf", with_exif(6).removeprefix(b"Exif\0\0"), content=plain)))
    xmp = PngImagePlugin.PngInfo()
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    xmp.add_itxt("XML:com.adobe.xmp", packet)
    assert_quarters(photo_of(encoded(turned, "PNG", pnginfo=xmp)))
    raw = with_exif(6)
    profile = PngImagePlugin.PngInfo()
    profile.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    assert_quarters(photo_of(encoded(turned, "PNG", pnginfo=profile)))


def test_transparency_is_kept() -> None:
    """Transparency of a palette or of one colour, and not one of a wrong checksum."""
    image = quarters().quantize(4)
    half = encoded(image, "PNG", transparency=bytes([0, 0, 0, 0]))
    assert_all(photo_of(half), WHITE)
    broken = damaged(half, b"tRNS", -1)
    assert_quarters(photo_of(broken), tolerance=2)


def test_many_pixels_are_checked_piecewise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture too large to be unpacked at once is checked alike, and read to the same pixels."""
    content = encoded(detailed(), "PNG")
    at_once = photo_of(content).pixels
    monkeypatch.setattr("tagger.photos.png._AT_ONCE", 0)
    assert np.array_equal(photo_of(content).pixels, at_once)
    row = b"\0" + bytes(YELLOW) * 20
    assert reason_of(decode_bytes(png(20, 10, 8, 2, row * 9), "photo.png")) == "truncated"
    assert_all(photo_of(png(20, 10, 8, 2, row * 100_000)), YELLOW)
    wrong = damaged(content, b"IDAT", 3000)
    start = wrong.index(b"IDAT") - 4
    length = int.from_bytes(wrong[start : start + 4], "big")
    resealed = wrong[:start] + chunk(b"IDAT", wrong[start + 8 : start + 8 + length]) + chunk(b"IEND", b"")
    assert reason_of(decode_bytes(resealed, "photo.png")) == "unreadable"


def test_a_huge_picture_is_refused_before_it_is_unpacked() -> None:
    """A bomb of many pixels fails by its header."""
    assert reason_of(decode_bytes(png(60_000, 60_000, 1, 0, bytes(1000)), "bomb.png")) == "too_large"
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
