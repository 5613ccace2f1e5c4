"""Read the header of a JPEG in one walk over its segments, as Pillow does for regular ones in several times as long.

Markers are those of ITU-T T.81, table B.1.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from tagger.photos.exif import pillow_orientation, regular_orientation, xmp_orientation

FORMATS = ("JPEG", "MPO")
"""Pillow's names of the formats whose headers are described here."""

START = b"\xff\xd8"
"""First bytes of a JPEG file."""

END, SCAN = 0xD9, 0xDA
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC9))
KNOWN = frozenset((*FRAMES, 0xC4, 0xCC, *range(0xDA, 0xF0), 0xFE))
"""Markers that begin a segment with a length."""

_NEXT_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""A marker other than those without a segment: restarts, 0xff followed by a stuffed zero, and one for arithmetic codes."""

_TABLES, _JFIF, _EXIF, _ICC, _PHOTOSHOP, _ADOBE = 0xDB, 0xE0, 0xE1, 0xE2, 0xED, 0xEE
_USUAL_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_USUAL = frozenset((0xC4, 0xDD, *range(0xE0, 0xF0), 0xFE))
"""Further segments of a regular header, besides the frame, its tables and the scan; their content is looked at below."""

_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
"""Pillow's modes by the number of components."""

_LEAST = 7
"""Bytes of the segments of JFIF and Adobe at least, up to the version of the format."""


class JpegHeader(NamedTuple):
    """What the header of a JPEG of 8 bits per sample says."""

    size: tuple[int, int]
    """Width and height in pixels, as stored."""
    mode: str
    """Pillow's: L, RGB or CMYK."""
    frame: int
    """The marker of the frame, which tells how the picture is coded."""
    factors: tuple[int, ...]
    """Samples of each component per block of pixels: horizontal times vertical sampling factor."""
    one_scan: bool
    """Whether the first scan is known to hold all of the picture."""
    adobe: bool
    """Whether Adobe's marker is there: then inks are inverted."""
    orientation: int
    """That of EXIF, 1 where there is none."""


def read_regular_header(content: bytes) -> JpegHeader | None:
    """Return the header of a JPEG whose every segment, up to the first scan, is one that Pillow reads without further rules.

    None for all others: whether they are damaged, and what they mean, is for Pillow to say.
    """
    try:
        return _regular_header(content)
    except IndexError:  # it ends within the header
        return None


def pillow_header(image: Image.Image, content: bytes) -> JpegHeader | None:
    """Return the header of a JPEG that Pillow has opened; None where it has no frame of 8 bits per sample."""
    frame = first_frame(content)
    if frame is None or frame.precision != 8:
        return None
    adobe = "adobe" in image.info
    return JpegHeader(image.size, image.mode, frame.code, sampling_factors(image), False, adobe, pillow_orientation(image))


def sampling_factors(image: Image.Image) -> tuple[int, ...]:
    """Return `JpegHeader.factors` of an image that Pillow has opened; empty for one that is no JPEG."""
    return tuple(int(horizontal) * int(vertical) for _, horizontal, vertical, _ in getattr(image, "layer", ()))


def _regular_header(content: bytes) -> JpegHeader | None:
    if not content.startswith(START):
        return None
    frame = b""
    code, at, exif, xmp, adobe = 0, 2, b"", b"", False
    while True:
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        end = at + 2 + (content[at + 2] << 8) + content[at + 3]
        if end < at + 4 or end > len(content):
            return None
        if marker == SCAN:
            break
        segment = content[at + 4 : end]
        at = end
        if marker in _USUAL_FRAMES:
            if frame or not _is_usual_frame(segment):
                return None
            code, frame = marker, segment
        elif marker == _TABLES:
            if not _are_whole_tables(segment):
                return None
        elif marker not in _USUAL or not _is_usual(marker, segment):
            return None
        elif marker == _EXIF:
            if segment.startswith(b"Exif\0\0"):
                if exif:
                    return None
                exif = segment
            elif segment.startswith(_XMP_MARK):
                xmp = segment[len(_XMP_MARK) :]
        elif marker == _ADOBE and segment.startswith(b"Adobe"):
            adobe = True
    orientation = regular_orientation(exif)
    if not frame or orientation is None:
        return None
    size = (frame[3] << 8) + frame[4], (frame[1] << 8) + frame[2]
    factors = tuple((both >> 4) * (both & 15) for both in frame[7::3])
    one_scan = code in SEQUENTIAL and content[at + 4] == frame[5]
    return JpegHeader(size, _MODES[frame[5]], code, factors, one_scan, adobe, orientation or xmp_orientation(xmp))


def _is_usual_frame(frame: bytes) -> bool:
    """Return whether a frame is of 8 bits, of a size, and of one, three or four components of different names."""
    count = frame[5]
    return (
        frame[0] == 8
        and frame[1:3] != b"\0\0"
        and frame[3:5] != b"\0\0"
        and count in _MODES
        and len(frame) == 6 + 3 * count
        and len(set(frame[6::3])) == count
    )


def _are_whole_tables(tables: bytes) -> bool:
    """Return whether tables for quantization are whole."""
    at = 0
    while at < len(tables):
        at += 65 if tables[at] < 16 else 129
    return at == len(tables)


def _is_usual(marker: int, segment: bytes) -> bool:
    """Return whether a segment is none that Pillow refuses, or takes for the beginning of several pictures in one file."""
    if marker == _JFIF and segment.startswith(b"JFIF"):
        return len(segment) >= _LEAST
    if marker == _ADOBE and segment.startswith(b"Adobe"):
        return len(segment) >= _LEAST
    if marker == _ICC:
        return not segment.startswith(b"MPF\0") and (len(segment) >= 14 or not segment.startswith(b"ICC_PROFILE\0"))
    return marker != _PHOTOSHOP or segment[-6:-2] != b"8BIM"


class _Frame(NamedTuple):
    """The header that tells how a picture is coded."""

    code: int
    """Its marker."""
    precision: int
    """Bits of a value."""
    components: int


def first_frame(content: bytes) -> _Frame | None:
    """Return the frame header before the first scan; None where it is missing."""
    for code, start, end in segments(content):
        if code in FRAMES and end - start > 9 and end <= len(content):
            return _Frame(code, content[start + 4], content[start + 9])
        if code == SCAN:
            break
    return None


def segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, first byte, byte after the last) of each segment; the data of a scan follows its segment.

    The last one is the end marker, or the first marker that no picture has there, such as the beginning of another.
    """
    end = 2
    while marker := _NEXT_MARKER.search(content, end):
        start, code = marker.start(), content[marker.end() - 1]
        if code == END or code not in KNOWN:
            yield code, start, marker.end()
            return
        end = marker.end() + max(2, int.from_bytes(content[marker.end() : marker.end() + 2], "big"))
        yield code, start, end
