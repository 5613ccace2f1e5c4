"""Read what the header of a photo says: format, size in pixels and colour; no pixel is decoded."""

from collections.abc import Callable
from contextlib import suppress
from typing import IO, NamedTuple

from PIL import Image

from tagger.file_kinds import START, is_heic, is_jpeg_xl, is_tiff
from tagger.photos.decode import PREFIX, pillow_readers
from tagger.photos.png import is_png

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

_OTHER_FORMATS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("HEIC", is_heic),
    ("JPEG XL", is_jpeg_xl),
    ("TIFF", is_tiff),
    ("PNG", is_png),
    ("JPEG", lambda start: start.startswith(b"\xff\xd8\xff")),
)
"""Formats of which Pillow does not read every file, with the test of the first bytes."""

_BITS = {"1": 1, "I": 32, "F": 32}
"""Bits per channel of Pillow's modes; all others have 8, but for `I;16` and its like."""

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
    """Return what the header of an open, seekable file says; None where it does not begin as a photo does.

    Where Pillow does not read the header, because of its format or of damage, the result has neither size nor colour.
    """
    start = file.read(START)
    for reader, accepts in pillow_readers():
        file.seek(0)
        # A damaged header makes a reader raise anything, and another reader's file too; `photos.decode` finds out which it is.
        # Readers are called directly, as `Image.open` refuses photos by a number of pixels that is global to the process.
        with suppress(Exception):
            if accepts is None or accepts(start[:PREFIX]) is True:
                with reader(file, "") as image:
                    return _described(image, start)
    name = next((name for name, is_format in _OTHER_FORMATS if is_format(start)), "")
    return PhotoHeader(name, None, "") if name else None


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
