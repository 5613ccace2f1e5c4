"""Check the chunks of a PNG, and leave out those that do not matter to its picture, damaged or not.

The checksum of a chunk that the picture needs must be right (PNG, section 5.3), and its compressed pixels must be whole;
Pillow checks neither. A damaged or oversized chunk of metadata, on which Pillow fails, does no harm: viewers ignore it.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tagger.photos.limits import pillow_memory
from tagger.photos.opened import ImageFault, OpenedImage, image_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
"""The chunk that ends a file."""

_PICTURE = (b"IHDR", b"PLTE", b"IDAT")
"""Chunks without which the picture is another."""

_ORIENTATION_TEXTS = (
    (b"iTXt", b"XML:com.adobe.xmp\0"),
    (b"zTXt", b"Raw profile type exif\0"),
    (b"tEXt", b"Raw profile type exif\0"),
)
"""Texts that hold the orientation in files of some programs."""

_LONGEST_TEXT = 500_000
"""Bytes of a text that is kept, unpacked; Pillow refuses to read a file with one of twice that."""

_AT_ONCE = 64_000_000
"""Bytes of pixels that are unpacked at once."""

_LARGE = 100_000
"""Bytes from which on memory is provided as arrays, whose pages come from the kernel many at once, unlike those of `bytes`."""

_BLOCK = 1 << 20

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel by colour type."""

_BYTE_SAMPLES = (b"\x08\0\0\0\0", b"\x08\2\0\0\0", b"\x08\6\0\0\0")
"""Depth, colour type and methods of grey, RGB and RGBA of one byte per sample, not interlaced."""

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row and steps of the seven passes of an interlaced picture (PNG, section 8.2)."""


class _Chunk(NamedTuple):
    kind: bytes
    data: bytes
    intact: bool
    """Whether its checksum is right."""
    whole: bool
    """Whether the file does not end within it."""


def is_png(start: bytes) -> bool:
    """Return whether the bytes begin a PNG."""
    return start.startswith(SIGNATURE)


def open_png(content: bytes, lenient: bool = False) -> OpenedImage:
    """Open a PNG by its header.

    Loading raises `ImageFault`: "unreadable" where a checksum of the picture or its data are wrong, "truncated" where they end
    early; with `lenient` data that end early are decoded as far as they go.
    """
    parts, data, fault = _picture_chunks(content, lenient)
    opened = PngImageFile(BytesIO(_assembled(parts, b"")))

    def load() -> Image.Image:
        if fault is not None:
            raise fault
        if lenient:
            return PngImageFile(BytesIO(_assembled(parts, data)))
        stored = _stored(parts[0][8:21], data)
        image = _image_of_bytes(parts, stored) if stored is not None and "transparency" not in opened.info else None
        if image is None:
            return PngImageFile(BytesIO(_assembled(parts, data if stored is None else stored)))
        image.info = opened.info
        return image

    return OpenedImage(opened.size, pillow_memory(opened), load)


def _image_of_bytes(parts: list[bytes], stored: memoryview) -> Image.Image | None:
    """Decode a large picture of one byte per sample, grey, RGB or RGBA, in two thirds of Pillow's time; None for others.

    Args:
        parts: the chunks before the pixels, the header first.
        stored: the pixels, as a stream without compression.
    """
    header = parts[0][8:21]
    if len(stored) < _LARGE or header[8:] not in _BYTE_SAMPLES or any(part[4:8] == b"IHDR" for part in parts[1:]):
        return None
    from imagecodecs import spng_decode

    with suppress(Exception):  # Pillow says what is wrong
        return image_of(spng_decode(_assembled(parts[:1], stored)))
    return None


def _picture_chunks(content: bytes, lenient: bool) -> tuple[list[bytes], bytes, ImageFault | None]:
    """Return the chunks before the pixels that the picture needs, the compressed pixels, and what is wrong with them."""
    parts: list[bytes] = []
    pixels: list[bytes] = []
    fault: ImageFault | None = None
    for chunk in _chunks(content):
        if chunk.kind not in _PICTURE:
            if chunk.intact and (chunk.kind == b"eXIf" or (chunk.kind == b"tRNS" and not pixels) or _holds_orientation(chunk)):
                parts.append(_packed(chunk.kind, chunk.data))
            continue
        if not chunk.whole and not (lenient and chunk.kind == b"IDAT"):
            fault = fault or ImageFault("truncated", f"the file ends within its chunk {chunk.kind.decode()}")
        elif chunk.whole and not chunk.intact:
            fault = fault or ImageFault("unreadable", f"the checksum of its chunk {chunk.kind.decode()} is wrong")
        if chunk.kind == b"IDAT":
            pixels.append(chunk.data)
        elif not pixels:
            parts.append(_packed(chunk.kind, chunk.data))
    if not pixels:
        fault = fault or ImageFault("truncated", "it has no pixels")
    return parts, b"".join(pixels), fault


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to the end marker or the end of the file, whichever comes first."""
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind == b"IEND":
            return
        end = at + 8 + length
        data = content[at + 8 : end]
        checksum = content[end : end + 4]
        yield _Chunk(kind, data, checksum == struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))), len(checksum) == 4)
        at = end + 4


def _buffer(size: int) -> Any:
    """Return what imagecodecs is to write so many bytes into: an array, or the number, for which it makes `bytes`."""
    return np.empty(size, np.uint8) if size >= _LARGE else size


def _assembled(chunks: list[bytes], pixels: bytes | memoryview) -> Any:
    """Return the file of chunks and compressed pixels, as a buffer."""
    checksum = struct.pack(">I", zlib.crc32(pixels, zlib.crc32(b"IDAT")))
    before = b"".join((SIGNATURE, *chunks, struct.pack(">I", len(pixels)), b"IDAT"))
    if len(pixels) < _LARGE:
        return b"".join((before, pixels, checksum, _END))
    file = np.empty(len(before) + len(pixels) + len(checksum) + len(_END), np.uint8)
    at = 0
    for piece in (before, pixels, checksum, _END):
        file[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    return file


def _packed(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _holds_orientation(chunk: _Chunk) -> bool:
    """Return whether a text may hold the orientation and is short enough to be read."""
    if not any(chunk.kind == kind and chunk.data.startswith(keyword) for kind, keyword in _ORIENTATION_TEXTS):
        return False
    if len(chunk.data) > _LONGEST_TEXT:
        return False
    packed = chunk.data.partition(b"\0")[2]
    if chunk.kind == b"zTXt":
        packed = packed[1:]
    elif chunk.kind == b"iTXt" and packed[:1] == b"\1":
        packed = packed[2:].split(b"\0", 2)[-1]
    else:
        return True
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(packed, _LONGEST_TEXT)
    except zlib.error:
        return False
    return unpacker.eof


def _stored(header: bytes, data: bytes) -> memoryview | None:
    """Return the compressed pixels as a stream without compression, None for large ones; raise `ImageFault` for damaged ones.

    libdeflate unpacks in half of zlib's time, so that the check costs little, and decoders read the stored ones faster; it
    takes the whole output at once.
    """
    if len(header) < 13:
        raise ImageFault("unreadable", "its header is damaged")
    width, height, depth, colour_type = struct.unpack(">IIBB", header[:10])
    expected = _bytes_of_pixels(width, height, depth, colour_type, bool(header[12]))
    if 0 < expected <= _AT_ONCE:
        from imagecodecs import deflate_decode, deflate_encode

        with suppress(Exception):  # what is wrong is told below
            unpacked = deflate_decode(data, out=_buffer(expected))
            if len(unpacked) == expected:
                return memoryview(deflate_encode(unpacked, level=0, out=_buffer(_stored_size(expected))))
    _check_piecewise(data, expected)
    return None


def _stored_size(size: int) -> int:
    """Return the bytes of a stream that stores so many: 5 more per block of 65,535, with its head and checksum."""
    return size + 5 * (size // 65_535 + 1) + 16


def _check_piecewise(data: bytes, expected: int) -> None:
    """Raise `ImageFault` unless compressed data hold as many bytes as expected, with the right checksum, or more."""
    missing, packed = expected, data
    unpacker = zlib.decompressobj()
    try:
        while not unpacker.eof and packed:
            missing -= len(unpacker.decompress(packed, _BLOCK))
            packed = unpacker.unconsumed_tail
            if missing < -_BLOCK:  # more than the picture needs, which decoders leave unread
                return
    except zlib.error as error:
        raise ImageFault("unreadable", f"its compressed pixels are damaged ({error})") from error
    if missing > 0:
        raise ImageFault("truncated", "its compressed pixels end early")


def _bytes_of_pixels(width: int, height: int, depth: int, colour_type: int, interlaced: bool) -> int:
    """Return the number of bytes of the unpacked pixels, with the byte before each row that names its filter."""
    bits = depth * _CHANNELS.get(colour_type, 0)
    if not interlaced:
        return height * (1 + (width * bits + 7) // 8)
    total = 0
    for left, top, across, down in _PASSES:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
