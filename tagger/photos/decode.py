"""Decode image files to upright RGB arrays no larger than needed, and classify every kind of damage.

Nothing here raises: what cannot be decoded becomes a `Failed` value with one of the reasons in `records`.
"""

import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from tagger.errors import reason_of
from tagger.file_kinds import PHOTO_STARTS, is_heic, is_heif
from tagger.photos import transparency
from tagger.records import Content, Failed, Photo

SIDE = 400
"""Longer side of a decoded photo at least, in pixels, where the file has as many; it is less than twice this.

Twice the side of the picture that a backbone sees, as products rarely fill their photo. Photos are only ever shrunk by powers
of two here, and resampled once more to what each network needs: twice would blur them."""

MAX_PIXELS = 89_478_485
"""Photos whose header announces more pixels than this are not decoded; it is the number above which Pillow warns."""

MAX_BYTES = 250_000_000
"""Files with more bytes than this are not read."""

COARSEST_CLOCK_NS = 2_000_000_000
"""Coarsest timestamps of a file system, in nanoseconds: FAT counts in steps of two seconds.

A second write within one step keeps the modification time, so a file changed that recently may change again unnoticed."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF")
"""Formats that Pillow may identify. HEIC is opened through pillow-heif directly, without registering it in Pillow globally."""

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transpose that turns each EXIF orientation upright (EXIF 2.3, tag 0x0112)."""

_ORIENTATION = 0x0112


def decode(file: Path, allow_truncated: bool = False) -> Photo | Failed:
    """Decode an image file to a photo whose longer side is less than twice `SIDE`.

    The format is identified by the content, not by the suffix. EXIF orientation is applied, transparency is composited on
    white, and of several frames the first is taken. A truncated file fails, or with `allow_truncated` is decoded as far as
    it goes and marked as truncated. Nothing is raised, whatever the file holds; Pillow may issue warnings about damage,
    subject to the caller's warning filters.

    Returns:
        The photo, uint8 (h, w, 3) RGB, or a `Failed` with the reason.
    """
    file_read = read(file)
    return file_read if isinstance(file_read, Failed) else decode_bytes(file_read[0], str(file), allow_truncated)


def read(file: Path) -> tuple[bytes, Content] | Failed:
    """Read a file and return its bytes with their sha256, size and modification time.

    Size and time are those of the file handle that was read, even if another file takes its place meanwhile. The time is
    None where a later change could keep it: if the file changed while it was read, or within `COARSEST_CLOCK_NS` before.
    """
    now = time.time_ns()
    try:
        if not file.is_file():
            return Failed("missing", f"{file}: no such file")
        with file.open("rb") as opened:
            before = os.fstat(opened.fileno())
            if before.st_size > MAX_BYTES:
                return Failed("too_large", f"{file}: longer than {MAX_BYTES:,} bytes")
            content = opened.read()
            after = os.fstat(opened.fileno())
    except FileNotFoundError:
        return Failed("missing", f"{file}: no such file")
    except Exception as error:  # ValueError: a null byte in the path
        return Failed("unreadable", f"{file}: {reason_of(error)}")
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) == (len(content), after.st_mtime_ns)
    reliable = unchanged and after.st_mtime_ns < now - COARSEST_CLOCK_NS
    return content, Content(hashlib.sha256(content).digest(), len(content), after.st_mtime_ns if reliable else None)


def decode_bytes(content: bytes, name: str, allow_truncated: bool = False) -> Photo | Failed:
    """Decode the bytes of an image file as `decode` does; `name` is the file's name in the detail of a failure."""
    with _truncation_switch.strict():
        photo = _decode_strictly(content, name)
    if not allow_truncated or isinstance(photo, Photo) or photo.reason != "truncated":
        return photo
    with _truncation_switch.lenient():
        rescued = _decode_strictly(content, name)
    return replace(rescued, truncated=True) if isinstance(rescued, Photo) else photo


def decoding_fault(error: Exception) -> str:
    """Return why an image cannot be decoded: the decoder's words, or where it gives none the type of its error."""
    return str(error) or f"cannot be decoded ({type(error).__name__})"


class _TruncationSwitch:
    """Lock around `ImageFile.LOAD_TRUNCATED_IMAGES`, which is global: threads that decode strictly exclude lenient ones.

    Outside of both modes the switch keeps the value that other users of Pillow in this process have set.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strict_threads = 0
        self._before = False

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Switch truncated files off; any number of threads may be in this mode at once."""
        with self._changed:
            if not self._strict_threads:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._strict_threads += 1
        try:
            yield
        finally:
            with self._changed:
                self._strict_threads -= 1
                if not self._strict_threads:
                    ImageFile.LOAD_TRUNCATED_IMAGES = self._before
                self._changed.notify_all()

    @contextmanager
    def lenient(self) -> Iterator[None]:
        """Switch truncated files on; a single thread may be in this mode, while no other decodes."""
        with self._changed:
            self._changed.wait_for(lambda: self._strict_threads == 0)
            before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
            try:
                yield
            finally:
                ImageFile.LOAD_TRUNCATED_IMAGES = before


_truncation_switch = _TruncationSwitch()


def _decode_strictly(content: bytes, name: str) -> Photo | Failed:
    """Decode with the switch as it is set, and turn every exception into a `Failed`."""
    try:
        with _open_image(content) as image:
            if image.width * image.height > MAX_PIXELS:
                return Failed("too_large", f"{name}: {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            return upright_photo(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Failed("too_large", f"{name}: {error}")
    except UnidentifiedImageError:
        return _unidentified_failure(content, name)
    except Exception as error:  # a decoder may raise anything on damage: AssertionError, struct.error, SyntaxError, ...
        truncated = "truncated" in str(error) or isinstance(error, EOFError) or _is_truncated(content)
        return Failed("truncated" if truncated else "unreadable", f"{name}: {decoding_fault(error)}")


def _open_image(content: bytes) -> Image.Image:
    """Open an image by its header; raises `UnidentifiedImageError` where no format matches."""
    try:
        return Image.open(BytesIO(content), formats=_readable_formats())
    except UnidentifiedImageError:
        heif_image = _heif_image_class()
        if heif_image is None or not is_heic(content):
            raise
        try:
            image: Image.Image = heif_image(BytesIO(content))
        except (IndexError, SyntaxError, TypeError, struct.error) as error:  # exceptions that mean "another format" in Pillow
            raise UnidentifiedImageError from error
        return image


def upright_photo(image: Image.Image) -> Photo:
    """Decode an opened image to a photo, upright, with the longer side less than twice `SIDE`."""
    # Affects JPEG alone, which libjpeg decodes at 1/2, 1/4 or 1/8 of its size, though no smaller than this.
    image.draft(None, _fitted_size(image.size))
    image.load()
    # Read after loading: Pillow turns TIFFs itself while loading, and then removes the tag.
    orientation = _orientation(image)
    layers = transparency.flattened(_to_eight_bit(image), _reduced)
    if orientation in _TRANSPOSES:
        layers = [layer.transpose(_TRANSPOSES[orientation]) for layer in layers]
    rgb, *alpha = map(np.asarray, layers)
    return Photo(rgb, alpha=alpha[0] if alpha else None)


def _fitted_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) in pixels with the same aspect ratio and the longer side at `SIDE`."""
    scale = SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _reduced(image: Image.Image) -> Image.Image:
    """Shrink an image by the largest power of two that leaves `SIDE` pixels, weighing colours by their alpha.

    Powers of two, as libjpeg's scales are: an image in memory gets the size that its file is decoded at.
    """
    times = max(image.size) // SIDE
    return image.reduce(1 << (times.bit_length() - 1)) if times > 1 else image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where it is absent or unreadable."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with a broken EXIF block is still a photo
        return 1


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Convert an image to 8 bits per channel by scaling; Pillow's own conversion would clip 16 bits to white."""
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow treats every CMYK JPEG as Adobe's, with inverted inks; without Adobe's marker they are not inverted.
        return Image.eval(image, lambda ink: 255 - ink)
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float32)
    transparent = values == image.info["transparency"] if isinstance(image.info.get("transparency"), int) else None
    nominal_white = 65535.0 if image.mode.startswith("I") else 1.0
    white = max(nominal_white, float(values.max(where=np.isfinite(values), initial=0)))
    values = np.clip(np.nan_to_num(values, nan=0, posinf=white, neginf=0), 0, white)
    eight_bit = np.clip(values * (255 / white) + 0.5, 0, 255).astype(np.uint8)
    grey = Image.fromarray(eight_bit)
    return (
        grey
        if transparent is None
        else Image.merge("LA", (grey, Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))))
    )


@cache
def _readable_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _heif_image_class() -> Any:
    """Return pillow-heif's image class, or None where the extra `heif` is not installed."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        return None
    return HeifImageFile


def _unidentified_failure(content: bytes, name: str) -> Failed:
    """Classify bytes in which Pillow found no image: truncated, damaged, of a format not installed, or no image at all."""
    if not content:
        return Failed("truncated", f"{name}: an empty file")
    if is_heic(content) and _heif_image_class() is None:
        return Failed("unreadable", f"{name}: a HEIC photo; install fmtag[heif] to read it")
    if content.startswith(PHOTO_STARTS) or is_heif(content):
        return Failed("truncated" if _is_truncated(content) else "unreadable", f"{name}: its header is damaged")
    return Failed("not_an_image", f"{name}: not an image of a known kind")


def _is_truncated(content: bytes) -> bool:
    """Return whether the container's own end marker or length field shows that bytes are missing at the end."""
    for start, lacks_end in _TRUNCATION_CHECKS:
        if content.startswith(start):
            return lacks_end(content)
    return is_heif(content) and _iso_boxes_overrun(content)


def _tiff_directory_is_missing(content: bytes) -> bool:
    """Return whether a TIFF's first directory, or a value that it points to, lies past the end (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if content[:1] == b"I" else "big"
    start = int.from_bytes(content[4:8], order)
    entries = int.from_bytes(content[start : start + 2], order)
    end = start + 2 + 12 * entries
    if len(content) < max(8, end + 4):
        return True
    entry = "<2xHII" if order == "little" else ">2xHII"
    for value_type, count, offset in struct.iter_unpack(entry, content[start + 2 : end]):
        length = _TIFF_TYPE_BYTES.get(value_type, 0) * count
        if length > 4 and offset + length > len(content):  # shorter values are stored in the entry itself
            return True
    return False


_TIFF_TYPE_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1))
"""Bytes per value of each of TIFF's types, by the type's number."""


def _iso_boxes_overrun(content: bytes) -> bool:
    """Return whether the top-level boxes of an ISO media file (HEIC, AVIF) announce more bytes than it has."""
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if length == 0:  # the box extends to the end of the file
            return False
        if length < 8:  # 1 announces a 64-bit length; any other is less than the box's own header
            return length != 1
        at += length
    return at != len(content)


_TRUNCATION_CHECKS: tuple[tuple[bytes, Callable[[bytes], bool]], ...] = (
    # JPEG ends with the marker EOI; cameras and mail programs append zeros.
    (b"\xff\xd8", lambda content: not content.rstrip(b"\0").endswith(b"\xff\xd9")),
    # PNG ends with a chunk IEND of 12 bytes.
    (b"\x89PNG", lambda content: b"IEND" not in content[-64:]),
    # WebP holds its length at byte 4, without the first 8 bytes.
    (b"RIFF", lambda content: len(content) < 12 or len(content) < int.from_bytes(content[4:8], "little") + 8),
    # GIF ends with a semicolon.
    (b"GIF8", lambda content: not content.rstrip(b"\0").endswith(b";")),
    # BMP holds its length at byte 2.
    (b"BM", lambda content: len(content) < int.from_bytes(content[2:6], "little")),
    (b"II*\0", _tiff_directory_is_missing),
    (b"MM\0*", _tiff_directory_is_missing),
)
"""The first bytes of each format, and the check whether a file of that format lacks its end."""
