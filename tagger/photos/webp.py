"""Decode still WebP photos by libwebp itself.

Pillow decodes every WebP as an animation, into a canvas with transparency. The container is that of RFC 9649, section 2.
"""

from collections.abc import Mapping

from PIL import Image

from tagger.photos.opened import OpenedImage, image_of

_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_FURTHER = frozenset((b"ICCP", b"ALPH", b"EXIF", b"XMP "))
_FRAME_START = b"\x9d\x01\x2a"
"""Bytes 3 to 5 of a lossy picture, before its size (RFC 6386, section 9.1)."""

_ANIMATION, _XMP, _EXIF, _ALPHA = 0x02, 0x04, 0x08, 0x10
"""Flags of an extended picture: which chunks it has."""

_BYTES_PER_PIXEL, _BYTES_WITH_ALPHA = 7, 8
"""The decoder's pixels and Pillow's copy of them."""


def open_still_webp(content: bytes) -> OpenedImage | None:
    """Open a WebP of one picture whose container is whole and regular; None for all others, which Pillow reads or refuses.

    Loading raises anything on damage; what Pillow says of it then counts.
    """
    chunks = _chunks(content)
    size = _size(chunks) if chunks is not None else None
    if chunks is None or size is None:
        return None

    def load() -> Image.Image:
        from imagecodecs import webp_decode

        samples = webp_decode(content)
        if samples.shape[:2] != (size[1], size[0]):
            raise ValueError("the picture has another size than its header says")
        image = image_of(samples)
        if b"EXIF" in chunks:
            image.info["exif"] = chunks[b"EXIF"]
        if b"XMP " in chunks:
            image.info["xmp"] = chunks[b"XMP "]
        return image

    return OpenedImage(size, size[0] * size[1] * (_BYTES_WITH_ALPHA if _has_alpha(chunks) else _BYTES_PER_PIXEL), load)


def _chunks(content: bytes) -> dict[bytes, bytes] | None:
    """Return the data of the chunks by their kind; None unless they fill the file, in the order of a still picture."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) != int.from_bytes(content[4:8], "little") + 8:
        return None
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        kind, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        start, at = at + 8, at + 8 + length + length % 2
        if kind in chunks or not _fits(kind, chunks):
            return None
        chunks[kind] = content[start : start + length]
    return chunks if at == len(content) else None


def _fits(kind: bytes, before: Mapping[bytes, bytes]) -> bool:
    """Return whether a chunk may stand after others: its profile and transparency before the picture, metadata behind it."""
    pictured = _LOSSY in before or _LOSSLESS in before
    if kind in (_LOSSY, _LOSSLESS):
        return not pictured and (kind == _LOSSY or b"ALPH" not in before)
    if kind == _EXTENDED:
        return not before
    return _EXTENDED in before and kind in _FURTHER and pictured == (kind in (b"EXIF", b"XMP "))


def _size(chunks: Mapping[bytes, bytes]) -> tuple[int, int] | None:
    """Return the width and height of a still picture; None where its chunks do not agree on them."""
    size = _lossy_size(chunks[_LOSSY]) if _LOSSY in chunks else _lossless_size(chunks.get(_LOSSLESS, b""))
    extended = chunks.get(_EXTENDED)
    if extended is None or size is None:
        return size
    if len(extended) != 10 or not _are_flags_right(extended[0], chunks):
        return None
    canvas = int.from_bytes(extended[4:7], "little") + 1, int.from_bytes(extended[7:10], "little") + 1
    return size if canvas == size else None


def _are_flags_right(flags: int, chunks: Mapping[bytes, bytes]) -> bool:
    """Return whether flags name the chunks that are there, by which decoders ignore others; they may promise transparency."""
    metadata = (_XMP if b"XMP " in chunks else 0) | (_EXIF if b"EXIF" in chunks else 0)
    return flags & (_ANIMATION | _XMP | _EXIF) == metadata and (b"ALPH" not in chunks or bool(flags & _ALPHA))


def _has_alpha(chunks: Mapping[bytes, bytes]) -> bool:
    """Return whether pixels may be transparent: by the flag, or the bit after the size of a lossless picture."""
    lossless = chunks.get(_LOSSLESS, b"")
    return bool(chunks.get(_EXTENDED, b"\0")[0] & _ALPHA or (lossless and lossless[4] & 0x10))


def _lossy_size(frame: bytes) -> tuple[int, int] | None:
    if len(frame) < 10 or frame[3:6] != _FRAME_START:
        return None
    width, height = int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF
    return (width, height) if width and height else None


def _lossless_size(frame: bytes) -> tuple[int, int] | None:
    """Return the size in the header of a lossless picture: a mark, and 14 bits each (RFC 9649, section 3.4)."""
    if len(frame) < 5 or frame[0] != 0x2F:
        return None
    bits = int.from_bytes(frame[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
