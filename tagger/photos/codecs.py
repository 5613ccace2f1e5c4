"""Read JPEG XL and JPEG-LS through imagecodecs, which Pillow does not read, with the size told from their headers before."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagger.photos.containers import is_truncated, iso_boxes
from tagger.photos.depth import to_eight_bit
from tagger.photos.jpeg_header import FRAMES, SCAN, segments
from tagger.photos.opened import ImageFault, OpenedImage

_JPEG_LS_FRAME = 0xF7
"""The marker SOF55 (ITU T.87)."""

_JPEG_XL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height (ISO 18181-1, SizeHeader)."""

_SIZE_BITS = (9, 13, 18, 30)


def open_jpeg_xl(content: bytes) -> OpenedImage:
    """Read the header of a JPEG XL, bare or in its container; raises `ImageFault` where it is damaged."""
    width, height = _jpeg_xl_size(_codestream(content))

    def load() -> Image.Image:
        from imagecodecs import jpegxl_decode

        return _image(_decoded(jpegxl_decode, content, index=0), None)  # upright already, of several frames the first

    return OpenedImage((width, height), width * height * 8, load)


def open_jpeg_ls(content: bytes) -> OpenedImage:
    """Read the header of a JPEG-LS; raises `ImageFault` where it is damaged."""
    bits, height, width, samples = _jpeg_ls_frame(content)

    def load() -> Image.Image:
        from imagecodecs import jpegls_decode

        if is_truncated(content):  # the decoder takes seconds to say so
            raise ImageFault("truncated", "its data end early")
        return _image(_decoded(jpegls_decode, content), bits)

    return OpenedImage((width, height), width * height * samples * (2 if bits > 8 else 1) * 2, load)


def is_jpeg_ls(content: bytes) -> bool:
    """Return whether a JPEG's frame is one of JPEG-LS, which begins as every JPEG does."""
    return _frame(content) is not None


def _decoded(decoder: Callable[..., NDArray[Any]], content: bytes, **options: Any) -> NDArray[Any]:
    """Decode an image; raises `ImageFault` where its data end early, and what the decoder says on other damage."""
    try:
        return decoder(content, **options)
    except Exception as error:
        if "NEED_MORE_INPUT" in str(error) or "more input data was expected" in str(error):
            raise ImageFault("truncated", "its data end early") from error
        raise


def _image(samples: NDArray[Any], bits: int | None) -> Image.Image:
    """Return the image of samples, (height, width) or (height, width, n): grey or RGB, with transparency for n of 2 or 4."""
    if samples.ndim == 2:
        samples = samples[..., None]
    eight_bit = to_eight_bit(samples, bits or 8 * samples.dtype.itemsize)
    count = min(4, eight_bit.shape[2])
    packed = np.ascontiguousarray(eight_bit[..., 0] if count == 1 else eight_bit[..., :count])
    return Image.fromarray(packed)


# JPEG XL -----------------------------------------------------------------------------------------------------------


def _codestream(content: bytes) -> bytes:
    """Return the beginning of the codestream of a JPEG XL file."""
    if content.startswith(b"\xff\x0a"):
        return content[:64]
    for kind, start, _ in iso_boxes(content):
        if kind in (b"jxlc", b"jxlp"):
            start += 4 * (kind == b"jxlp")  # the number of the part
            return content[start : start + 64]
    raise ImageFault("truncated", "it has no picture")


class _Bits:
    """Read a stream of bits, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self._left = int.from_bytes(content, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def _jpeg_xl_size(codestream: bytes) -> tuple[int, int]:
    """Return the width and height of a codestream (ISO 18181-1, SizeHeader)."""
    if len(codestream) < 12 or not codestream.startswith(b"\xff\x0a"):
        raise ImageFault("truncated" if len(codestream) < 12 else "unreadable", "its header is damaged")
    bits = _Bits(codestream[2:])
    small = bool(bits.take(1))
    height = _jpeg_xl_side(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return _jpeg_xl_side(bits, small), height
    wide, high = _JPEG_XL_RATIOS[ratio - 1]
    return height * wide // high, height


def _jpeg_xl_side(bits: _Bits, small: bool) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_SIZE_BITS[bits.take(2)]) + 1


# JPEG-LS -----------------------------------------------------------------------------------------------------------


def _frame(content: bytes) -> int | None:
    """Return where the marker of a JPEG-LS frame stands; None where a JPEG's header has another frame, or none."""
    last = 2
    for code, start, end in segments(content):
        if code in FRAMES or code == SCAN or content[last:start].strip(b"\xff"):  # further 0xff are filling
            return None
        if code == _JPEG_LS_FRAME:
            return start
        last = end
    return None


def _jpeg_ls_frame(content: bytes) -> tuple[int, int, int, int]:
    """Return bits per sample, height, width and samples per pixel of a JPEG-LS."""
    at = (_frame(content) or 0) + 4
    header = content[at : at + 6]
    if len(header) < 6:
        raise ImageFault("truncated", "the file ends within its header")
    height, width = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
    if not height or not width:
        raise ImageFault("unreadable", "a JPEG-LS whose header has no size; convert it to JPEG or PNG")
    return header[0], height, width, header[5]
