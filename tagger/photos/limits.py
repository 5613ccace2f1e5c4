"""Decide how large a photo may be: by the memory that decoding it takes, or by a number of pixels that the user gives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from tagger.photos.jpeg_header import PROGRESSIVE, JpegHeader, sampling_factors
from tagger.photos.opened import ImageFault, OpenedImage

MAX_MEMORY = 1_250_000_000
"""Bytes that decoding one photo may take by default: 200 megapixels of RGB or of a progressive JPEG, 150 with transparency."""

MAX_PIXELS = 500_000_000
"""Pixels that a photo may have by default, whatever memory it takes: more than any camera gives, and seconds to decode."""

ALONE_FROM = 360_000_000
"""Photos that take more bytes than this are decoded one at a time, so that many workers do not take many times as much."""

_BYTES_PER_PIXEL = {"L": 1, "1": 5, "P": 5, "RGB": 4, "I;16": 3, "I;16B": 3, "I;16L": 3, "I": 5, "F": 5}
"""Pillow's pixels with those of the copies that are made on the way to RGB, by mode."""

_OTHER_BYTES_PER_PIXEL = 8

_one_at_a_time = threading.Lock()


def check_size(image: OpenedImage, max_pixels: int | None) -> None:
    """Raise `ImageFault` for an image that is too large: by its pixels where `max_pixels` is given, else by its memory too."""
    width, height = image.size
    pixels = width * height
    if max_pixels is not None:
        if pixels > max_pixels:
            raise ImageFault("too_large", f"{width}x{height} pixels, more than --max-pixels {max_pixels}")
    elif pixels > MAX_PIXELS or image.memory > MAX_MEMORY:
        limit = f" need more than {MAX_MEMORY / 1e9:g} GB of memory" if pixels <= MAX_PIXELS else f", more than {MAX_PIXELS:,}"
        raise ImageFault("too_large", f"{width}x{height} pixels{limit}; give --max-pixels {pixels} to read it")


@contextmanager
def taking_turns(memory: int) -> Iterator[None]:
    """Hold a lock during the block where decoding takes more than `ALONE_FROM` bytes."""
    if memory <= ALONE_FROM:
        yield
        return
    with _one_at_a_time:
        yield


def pillow_memory(image: Image.Image, scale: int = 1) -> int:
    """Return how many bytes it takes to decode an image that Pillow has opened, at 1/`scale` of its size."""
    pixels = image.width * image.height
    per_pixel = _BYTES_PER_PIXEL.get(image.mode, _OTHER_BYTES_PER_PIXEL)
    if image.mode in ("L", "1", "RGB", "P") and "transparency" in image.info:
        per_pixel = _OTHER_BYTES_PER_PIXEL
    factors = sampling_factors(image) if image.info.get("progressive") else ()
    return pixels * per_pixel // scale**2 + _coefficient_memory(pixels, factors)


def jpeg_memory(header: JpegHeader, scale: int) -> int:
    """Return how many bytes it takes to decode a JPEG at 1/`scale` of its size."""
    pixels = header.size[0] * header.size[1]
    factors = header.factors if header.frame in PROGRESSIVE else ()
    return pixels * _BYTES_PER_PIXEL.get(header.mode, _OTHER_BYTES_PER_PIXEL) // scale**2 + _coefficient_memory(pixels, factors)


def _coefficient_memory(pixels: int, factors: tuple[int, ...]) -> int:
    """Return the bytes of the coefficients of a progressive JPEG, which are all in memory until its last scan, at any scale.

    Two bytes for each pixel of each component at the component's own size (ITU T.81, A.1.1).
    """
    return 2 * pixels * sum(factors) // max(1, *factors) if factors else 0
