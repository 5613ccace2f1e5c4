"""Read what the header of a photo says: format, size in pixels and colour; no pixel is decoded."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import IO, NamedTuple

from PIL import Image

from tagger.file_kinds import START, is_heic
from tagger.photos.decode import FORMATS

_COLOURS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey",
    "La": "grey",
    "I": "grey",
    "F": "grey",
    "P": "palette",
    "PA": "palette",
    "CMYK": "CMYK",
    "LAB": "Lab",
    "HSV": "HSV",
}
"""Colour by Pillow's mode; all other modes are RGB."""

_BITS = {"1": 1, "I": 32, "F": 32}
"""Bits per channel of Pillow's modes; all others have 8, but for `I;16` and its like."""

_PREFIX = 16
"""Bytes by which Pillow's readers tell whether a file is theirs."""

_BITS_PER_SAMPLE = 258
"""Tag of TIFF 6.0, section 8."""


class PhotoHeader(NamedTuple):
    """What the header of a photo says."""

    format: str
    """Such as `JPEG` or `JPEG progressive`."""
    size: tuple[int, int] | None
    """Width and height in pixels, as stored; None where only the decoder tells them."""
    colour: str
    """`RGB`, `grey`, `palette`, `CMYK`, ...; empty where only the decoder tells it."""
    bits: int = 8
    """Bits per channel."""
    alpha: bool = False
    """Whether the file may hold transparent pixels."""
    frames: bool = False
    """Whether it holds several frames, of which the first is read."""


def read_header(file: IO[bytes]) -> PhotoHeader | None:
    """Return what the header of an open, seekable file says; None where it is no photo of a known format, or damaged."""
    start = file.read(START)
    for reader, accepts in _readers():
        file.seek(0)
        # A damaged header makes a reader raise anything, and another reader's file too; `photos.decode` finds out which it is.
        # Readers are called directly, as `Image.open` refuses photos by a number of pixels that is global to the process.
        with suppress(Exception):
            if accepts is None or accepts(start[:_PREFIX]) is True:
                with reader(file, "") as image:
                    return _described(image, start)
    return PhotoHeader("HEIC", None, "") if is_heic(start) else None


def _described(image: Image.Image, start: bytes) -> PhotoHeader:
    progressive = " progressive" if image.info.get("progressive") else ""
    frames = False
    with suppress(Exception):  # counting frames may read on into damage
        frames = bool(getattr(image, "is_animated", False))
    return PhotoHeader(
        f"{image.format}{progressive}",
        image.size,
        _COLOURS.get(image.mode.split(";")[0], "RGB"),
        _bits_per_channel(image, start),
        image.has_transparency_data,
        frames,
    )


def _bits_per_channel(image: Image.Image, start: bytes) -> int:
    """Return the bits per channel, which Pillow's mode tells for grey images only."""
    if image.format == "PNG":
        return start[24]  # after the signature, the chunk's head, width and height (PNG 1.2, section 4.1.1)
    if image.format == "TIFF":
        return int(max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,))))
    return 16 if image.mode.startswith("I;16") else _BITS.get(image.mode, 8)


@cache
def _readers() -> tuple[tuple[Callable[..., Image.Image], Callable[[bytes], bool | str] | None], ...]:
    """Return Pillow's readers of the formats that are decoded, each with the test of a file's first bytes."""
    Image.init()
    return tuple((*Image.OPEN[name],) for name in FORMATS if name in Image.OPEN)
