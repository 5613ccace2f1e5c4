"""Tell by the container of a format whether bytes are missing at the end of a file, and skip what stands before a photo."""

import struct
from collections.abc import Callable
from typing import Literal

from tagger.file_kinds import TIFF_STARTS, is_heif, is_jpeg_2000, is_jpeg_xl

_TEXT_BEFORE = b"\xef\xbb\xbf \t\r\n"
"""A byte order mark and blanks, which scripts print before the photo that they hand out."""

_MOST_TEXT_BEFORE = 16
_PRINTED_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF")


def without_text_before(content: bytes) -> bytes:
    """Return the content without the few blanks or the byte order mark that stand before a JPEG, PNG, GIF or WebP."""
    if content[:1] not in (b"\xef", b" ", b"\t", b"\r", b"\n"):
        return content
    start = content[: _MOST_TEXT_BEFORE + 8].lstrip(_TEXT_BEFORE)
    before = min(len(content), _MOST_TEXT_BEFORE + 8) - len(start)
    return content[before:] if before <= _MOST_TEXT_BEFORE and start.startswith(_PRINTED_STARTS) else content


def is_truncated(content: bytes) -> bool:
    """Return whether the container's own end marker or length field shows that bytes are missing at the end."""
    for start, lacks_end in _TRUNCATION_CHECKS:
        if content.startswith(start):
            return lacks_end(content)
    if is_jpeg_xl(content) or is_jpeg_2000(content) or is_heif(content):
        return _iso_boxes_overrun(content)
    return False


def tiff_directory_is_missing(content: bytes) -> bool:
    """Return whether the first directory of a TIFF, or a value the picture needs, lies past the end (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if content[:1] == b"I" else "big"
    big = content[2:4] in (b"+\0", b"\0+")  # BigTIFF: 8 bytes in place of 4, and counts of 8 in place of 2
    at, word, count_bytes = (8, 8, 8) if big else (4, 4, 2)
    start = int.from_bytes(content[at : at + word], order)
    entries = int.from_bytes(content[start : start + count_bytes], order)
    entry = struct.Struct(("<" if order == "little" else ">") + ("HHQQ" if big else "HHII"))
    end = start + count_bytes + entry.size * entries
    if len(content) < max(2 * word, end + word):
        return True
    for tag, value_type, count, offset in entry.iter_unpack(content[start + count_bytes : end]):
        length = _TIFF_TYPE_BYTES.get(value_type, 0) * count
        if (
            tag in _NEEDED_TAGS and length > word and offset + length > len(content)
        ):  # shorter values are stored in the entry itself
            return True
    return False


_TIFF_TYPE_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1)) | {16: 8, 17: 8, 18: 8}
"""Bytes per value of each of TIFF's types, by the type's number."""

_NEEDED_TAGS = frozenset(
    (*range(256, 260), 262, 266, 273, *range(277, 280), 284, 317, 320, *range(322, 326), 330, 338, 339, 347, 530)
)
"""Tags without whose values the picture cannot be decoded."""


def iso_boxes(content: bytes) -> "list[tuple[bytes, int, int]]":
    """Return the kind, start and end of the content of each top-level box of an ISO media file, the last as announced."""
    boxes: list[tuple[bytes, int, int]] = []
    at = 0
    while at + 8 <= len(content):
        length, header = int.from_bytes(content[at : at + 4], "big"), 8
        if length == 0:  # the box extends to the end of the file
            length = len(content) - at
        elif length == 1:
            length, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if length < header:
            break
        boxes.append((content[at + 4 : at + 8], at + header, at + length))
        at += length
    return boxes


def _iso_boxes_overrun(content: bytes) -> bool:
    """Return whether the boxes of an ISO media file (HEIC, AVIF, JPEG XL, JPEG 2000) announce more bytes than it has."""
    boxes = iso_boxes(content)
    return not boxes or boxes[-1][2] > len(content) or 0 < len(content) - boxes[-1][2] < 8


_TRUNCATION_CHECKS: tuple[tuple[bytes, Callable[[bytes], bool]], ...] = (
    # JPEG ends with the marker EOI; cameras and mail programs append zeros.
    (b"\xff\xd8", lambda content: not content.rstrip(b"\0").endswith(b"\xff\xd9")),
    # A bare JPEG 2000 codestream ends with the marker EOC, of the same value; JPEG XL has no end marker.
    (b"\xff\x4f\xff\x51", lambda content: not content.rstrip(b"\0").endswith(b"\xff\xd9")),
    (b"\xff\x0a", lambda content: False),
    # PNG ends with a chunk IEND of 12 bytes.
    (b"\x89PNG", lambda content: b"IEND" not in content[-64:]),
    # WebP holds its length at byte 4, without the first 8 bytes.
    (b"RIFF", lambda content: len(content) < 12 or len(content) < int.from_bytes(content[4:8], "little") + 8),
    # GIF ends with a semicolon.
    (b"GIF8", lambda content: not content.rstrip(b"\0").endswith(b";")),
    # BMP holds its length at byte 2.
    (b"BM", lambda content: len(content) < int.from_bytes(content[2:6], "little")),
    *((start, tiff_directory_is_missing) for start in TIFF_STARTS),
)
"""The first bytes of each format, and the check whether a file of that format lacks its end."""
