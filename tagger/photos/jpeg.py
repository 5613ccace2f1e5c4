"""Decode JPEG data by libjpeg-turbo, and tell damage inside it by the decoder's own warnings.

Pillow does not pass these warnings on: a file with a hole is decoded to a picture like any other. The binding `simplejpeg`
raises the first of them. Most whole files give none; what cameras and programs do against the standard without harm to the
picture is put right before their data is decoded once more.
"""

import re

import numpy as np
import simplejpeg
from PIL import Image

from tagger.arrays import Pixels
from tagger.photos.jpeg_header import (
    END,
    FRAMES,
    KNOWN,
    LOSSLESS,
    PROGRESSIVE,
    SCAN,
    SEQUENTIAL,
    START,
    JpegHeader,
    first_frame,
    segments,
)
from tagger.photos.opened import ImageFault

REMEDY = "copy or export it again"

PADDING = 32
"""Bytes of any value before the end marker that are taken for padding, as some cameras write it.

Longer padding has to be of one value. A scan that lost data, or has another file's, rarely ends that near to the marker."""

_READ_AHEAD = 10
"""Bytes that libjpeg-turbo may have taken from the data, and does not count, when it comes to the surplus."""

_LARGEST_SCALE = 8
"""libjpeg decodes at 1/8 of the size at least."""

_TRIMS = 3
"""How often a surplus is cut off: what was read ahead before may be surplus afterwards."""

_HOLE = bytes(64)
"""Zeros that more likely stand in place of lost data than for even ground, where there is a surplus of some bytes, too."""

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
"""The binding's names of Pillow's modes."""

_CHANNELS = {"L": 1, "RGB": 3, "CMYK": 4}

_MISSING = 128
"""Level of blocks without data: 0 before the decoder's shift of levels (T.81, A.3.1)."""

_END_MARKER = b"\xff\xd9"
_JFIF, _ICC, _ADOBE = 0xE0, 0xE2, 0xEE
_SURPLUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_JUNK = 3
"""Most bytes between two segments of a header that are left out, as decoders skip them; a segment is longer."""


def decode(
    content: bytes, header: JpegHeader, fitted: tuple[int, int], keep_damaged: bool = False
) -> tuple[Pixels, bool] | None:
    """Decode the first picture of a JPEG file at the least scale of libjpeg that is no smaller than `fitted`.

    Args:
        content: the file.
        header: what its header says.
        fitted: (width, height) in pixels; the scale is 1, 1/2, 1/4 or 1/8, as Pillow's `draft` chooses it.
        keep_damaged: whether to decode a damaged file as far as it goes, in place of failing it.

    Returns:
        The pixels, uint8 (h, w, 3) RGB, not turned upright, and whether they are of a damaged file; None for kinds of JPEG that
        the binding does not read.

    Raises:
        ImageFault: the file is damaged; `truncated` where data lacks at the end, else `unreadable`.
    """
    # Lossless data has no scale: libjpeg-turbo 3.1 writes beyond the buffer at any other.
    scaled = header.size if header.frame in LOSSLESS else _scaled(header.size, fitted)
    stream = content
    pixels, warning = _attempt(stream, scaled, header.mode)
    if pixels is None:
        if not _is_read(content):
            return None
        stream = regular(content) or content
        pixels, warning = _attempt(stream, scaled, header.mode)
        for _ in range(_TRIMS):
            padding = _padding(stream, warning)
            if not padding:
                break
            stream = stream[: -padding - 2] + _END_MARKER
            pixels, warning = _attempt(stream, scaled, header.mode)
    if pixels is None:
        damage: ImageFault | None = _damage(content, warning)
    else:
        damage = (None if header.one_scan else _missing_scans(stream)) or _missing_end(content)
    if damage is not None:
        pixels = _damaged_pixels(stream, scaled, header.mode) if keep_damaged else None
        if pixels is None:
            raise damage
    assert pixels is not None
    return _rgb(pixels, header.mode, header.adobe), damage is not None


def _rgb(pixels: Pixels, mode: str, adobe: bool) -> Pixels:
    """Convert pixels of a mode to RGB; Adobe's programs store inks inverted."""
    if mode == "RGB":
        return pixels
    inks = 255 - pixels if mode == "CMYK" and adobe else pixels
    height, width = pixels.shape[:2]
    return np.asarray(Image.frombytes(mode, (width, height), inks.tobytes()).convert("RGB"))


def _scaled(size: tuple[int, int], fitted: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) at the least of the scales 1, 1/2, 1/4 and 1/8 that is no smaller than `fitted`."""
    scale = scale_of(size, fitted)
    return -(-size[0] // scale), -(-size[1] // scale)


def scale_of(size: tuple[int, int], fitted: tuple[int, int]) -> int:
    """Return the greatest of the scales 1, 2, 4 and 8 by which a picture of (width, height) is no smaller than `fitted`."""
    times = min(_LARGEST_SCALE, size[0] // fitted[0], size[1] // fitted[1])
    return 1 << max(0, times.bit_length() - 1)


def _attempt(stream: bytes, size: tuple[int, int], mode: str) -> tuple[Pixels | None, str]:
    """Decode; return the pixels, or None and the decoder's error or first warning."""
    width, height = size
    try:
        pixels = simplejpeg.decode_jpeg(stream, _SPACES[mode], min_width=width, min_height=height)
    except ValueError as error:
        return None, str(error)
    if pixels.shape[:2] != (height, width):
        return None, f"the picture has {pixels.shape[1]}x{pixels.shape[0]} pixels in place of {width}x{height}"
    return pixels, ""


def _damaged_pixels(stream: bytes, size: tuple[int, int], mode: str) -> Pixels | None:
    """Decode as far as it goes; None where the picture has another size than (width, height), or none begins.

    What the decoder does not reach is grey, as blocks without data are: in a buffer of its own it is whatever the memory held.
    """
    width, height = size
    buffer = np.full((height, width, _CHANNELS[mode]), _MISSING, np.uint8)
    try:
        pixels = simplejpeg.decode_jpeg(stream, _SPACES[mode], min_width=width, min_height=height, buffer=buffer, strict=False)
    except ValueError:
        return None
    return pixels if pixels.shape[:2] == (height, width) else None


def _is_read(content: bytes) -> bool:
    """Return whether the binding reads the kind of JPEG that the header announces."""
    try:
        simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError):  # KeyError: a subsampling without a name
        return False
    return True


def _damage(content: bytes, warning: str) -> ImageFault:
    """Return the damage that a warning tells."""
    *_, (last, _, _) = ((END, 0, 0), *segments(content))
    if last in KNOWN or (last == END and "premature end" in warning.lower()):
        return ImageFault("truncated", f"its data ends before the picture is complete; {REMEDY}")
    return ImageFault("unreadable", f"damaged inside ({warning.removeprefix('Corrupt JPEG data: ')}); {REMEDY}")


def regular(content: bytes) -> bytes | None:
    """Return the picture's data without harmless oddities, of which a decoder warns; None where there is no scan.

    Without them the first warning is that of damage. They are a missing end marker, also before further data; a profile cut
    in the wrong places; a version or a colour transform that is not known; parameters of a scan that say nothing in sequential
    files; a few bytes between segments.
    """
    frame = first_frame(content) if content.startswith(START) else None
    if frame is None:
        return None
    parts, last, scans = [START], 2, 0
    for code, start, end in segments(content):
        if start - last > _JUNK or scans:
            parts.append(content[last:start])
        last = end
        if code not in KNOWN or code == END or (scans and code in FRAMES):
            break
        segment = content[start:end]
        if code == _ICC and segment[4:16] == b"ICC_PROFILE\0":
            segment = b""
        elif code == _JFIF and segment[4:9] == b"JFIF\0":
            segment = _with(segment, 9, b"\1")
        elif code == _ADOBE and segment[4:9] == b"Adobe" and segment[15:16] not in (b"\0", b"\1", b"\2"):
            segment = _with(segment, 15, b"\2" if frame.components == 4 else b"\1")
        elif code == SCAN:
            scans += 1
            if frame.code in SEQUENTIAL and len(segment) > 4:
                segment = _with(segment, 5 + 2 * segment[4], b"\x00\x3f\x00")
        parts.append(segment)
    else:
        parts.append(content[last:])
    return b"".join((*parts, _END_MARKER)) if scans else None


def _with(segment: bytes, at: int, value: bytes) -> bytes:
    return segment[:at] + value + segment[at + len(value) :]


def _padding(stream: bytes, warning: str) -> int:
    """Return how many bytes before the end marker are padding, and no data of the picture, according to a warning.

    Zeros in place of lost data are decoded, too, as blocks without detail: then they begin before the surplus does.
    """
    surplus = _SURPLUS.search(warning)
    if not surplus:
        return 0
    count, data = int(surplus[1]), stream[:-2]
    run = len(data) - len(data.rstrip(data[-1:]))
    even = count <= run <= count + _READ_AHEAD
    short = count <= PADDING and (count < _READ_AHEAD or not _has_hole(data))
    return count if even or short else 0


def _has_hole(data: bytes) -> bool:
    """Return whether zeros stand within the scan of a sequential picture; in progressive ones they are usual."""
    frame = first_frame(data)
    scan = next((end for code, _, end in segments(data) if code == SCAN), len(data))
    return frame is not None and frame.code in SEQUENTIAL and data.find(_HOLE, scan) >= 0


def _missing_end(content: bytes) -> ImageFault | None:
    """Return the damage of a file without an end marker: nothing tells whether its last rows are all there."""
    if _END_MARKER in content[-2 - PADDING :]:
        return None
    scan = max((end for code, _, end in segments(content) if code == SCAN), default=0)
    if content.find(_END_MARKER, scan) >= 0:
        return None
    return ImageFault("truncated", f"its end is missing; {REMEDY}")


def _missing_scans(stream: bytes) -> ImageFault | None:
    """Return the damage of a file that ends after a scan, without the further ones that its picture needs.

    Every component needs its 64 coefficients in full precision (T.81, G.1.1.1): no decoder warns where they are missing.
    """
    precision: dict[int, bytearray] = {}
    progressive = False
    for code, start, _ in segments(stream):
        if code in FRAMES:
            progressive = code in PROGRESSIVE
            count = stream[start + 9]
            precision = {component: bytearray(b"\xff" * 64) for component in stream[start + 10 : start + 10 + 3 * count : 3]}
        elif code == SCAN:
            count = stream[start + 4]
            if not progressive and count == len(precision):
                return None
            parameters = stream[start + 5 + 2 * count : start + 8 + 2 * count]
            first, last, bits = (parameters[0], parameters[1], parameters[2] & 15) if progressive else (0, 63, 0)
            for component in stream[start + 5 : start + 5 + 2 * count : 2]:
                if component in precision:
                    precision[component][first : last + 1] = bytes([bits]) * (last + 1 - first)
    if not any(any(bits) for bits in precision.values()):
        return None
    return ImageFault("truncated", f"the last passes over the picture are missing; {REMEDY}")
