"""Decode image files to upright RGB arrays no larger than needed, and classify every kind of damage.

Nothing here raises: what cannot be decoded becomes a `Failed` value with one of the reasons in `records`.
"""

import hashlib
import os
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tagger.arrays import Pixels
from tagger.errors import reason_of
from tagger.file_kinds import START, UNKNOWN, is_heic, is_jpeg_xl, is_photo_start, is_tiff, kind_of
from tagger.photos import jpeg, transparency
from tagger.photos.codecs import is_jpeg_ls, open_jpeg_ls, open_jpeg_xl
from tagger.photos.containers import is_truncated, without_text_before
from tagger.photos.depth import to_eight_bit
from tagger.photos.exif import pillow_orientation
from tagger.photos.jpeg_header import FORMATS as JPEG_FORMATS
from tagger.photos.jpeg_header import JpegHeader, pillow_header, read_regular_header
from tagger.photos.limits import check_size, jpeg_memory, pillow_memory, taking_turns
from tagger.photos.opened import ImageFault, OpenedImage, one_line
from tagger.photos.png import is_png, open_png
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.photos.tiff import open_tiff
from tagger.photos.truncation import truncation_switch
from tagger.photos.webp import open_still_webp
from tagger.records import Content, Failed, Photo

SIDE = 400
"""Longer side of a decoded photo at least, in pixels, where the file has as many; it is less than twice this.

Twice the side of the picture that a backbone sees, as products rarely fill their photo. Photos are only ever shrunk by powers
of two here, and resampled once more to what each network needs: twice would blur them."""

MAX_BYTES = 250_000_000
"""Files with more bytes than this are not read."""

COARSEST_CLOCK_NS = 2_000_000_000
"""Coarsest timestamps of a file system, in nanoseconds: FAT counts in steps of two seconds.

A second write within one step keeps the modification time, so a file changed that recently may change again unnoticed."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "JPEG2000", "TIFF")
"""Formats that are read as Pillow names them. PNG and TIFF have readers of their own; HEIC is opened through pillow-heif
directly, without registering it in Pillow globally."""

PillowReader: TypeAlias = tuple[Callable[..., Image.Image], Callable[[bytes], bool | str] | None]
"""One of Pillow's readers, and its test of a file's first bytes."""

PREFIX = 16
"""Bytes by which Pillow's readers tell whether a file is theirs."""


def decode(file: Path, settings: DecodeSettings = DEFAULT_DECODING) -> Photo | Failed:
    """Decode an image file to a photo whose longer side is less than twice `SIDE`.

    The format is identified by the content, not by the suffix. EXIF orientation is applied, transparency is composited on
    white, and of several frames the first is taken. A file that is truncated or damaged inside fails, or where the settings
    allow it is decoded as far as it goes and marked as truncated. Nothing is raised, whatever the file holds; Pillow may issue
    warnings about damage, subject to the caller's warning filters.

    Returns:
        The photo, uint8 (h, w, 3) RGB, or a `Failed` with the reason.
    """
    file_read = read(file)
    return file_read if isinstance(file_read, Failed) else decode_bytes(file_read[0], str(file), settings)


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


def decode_bytes(content: bytes, name: str, settings: DecodeSettings = DEFAULT_DECODING, side: int = SIDE) -> Photo | Failed:
    """Decode the bytes of an image file as `decode` does; `name` is the file's name in the detail of a failure.

    `side` takes the place of `SIDE`, for people to look at: the networks see photos decoded with `SIDE`.
    """
    content = without_text_before(content)
    with truncation_switch.strict():
        photo = _decode_once(content, name, settings, side, lenient=False)
    if not settings.allow_truncated or isinstance(photo, Photo) or photo.reason not in ("truncated", "unreadable"):
        return photo
    with truncation_switch.lenient():
        rescued = _decode_once(content, name, settings, side, lenient=True)
    return replace(rescued, truncated=True) if isinstance(rescued, Photo) else photo


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return the (width, height) in pixels that the header of a photo says; None where it has no header that can be read."""
    try:
        return _open_image(without_text_before(content), SIDE, lenient=False).size
    except Exception:  # as for decoding
        return None


def _decode_once(content: bytes, name: str, settings: DecodeSettings, side: int, lenient: bool) -> Photo | Failed:
    """Decode with Pillow's switch as it is set, and turn every exception into a `Failed`.

    JPEG needs no switch: its damaged data is kept at once where the settings allow it.
    """
    try:
        opened = _open_image(content, side, lenient, settings.allow_truncated)
        check_size(opened, settings.max_pixels)
        with taking_turns(opened.memory):
            loaded = opened.load()
            if isinstance(loaded, Photo):
                return loaded
            with loaded as image:
                return upright_photo(image, side)
    except ImageFault as fault:
        return Failed(fault.reason, f"{name}: {fault}")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Failed("too_large", f"{name}: {error}")
    except MemoryError:
        return Failed("too_large", f"{name}: not enough memory to decode it")
    except UnidentifiedImageError:
        return _unidentified_failure(content, name)
    except Exception as error:  # a decoder may raise anything on damage: AssertionError, struct.error, SyntaxError, ...
        truncated = "truncated" in str(error) or isinstance(error, EOFError) or is_truncated(content)
        return Failed("truncated" if truncated else "unreadable", f"{name}: {_decoder_message(error)}")


def _decoder_message(error: Exception) -> str:
    """Return what a decoder says about damage; of WebP's, which says nothing, in other words."""
    return "its container is damaged or cut" if "create decoder object" in str(error) else one_line(error)


def _open_image(content: bytes, side: int, lenient: bool, keep_damaged: bool = False) -> OpenedImage:
    """Open an image by its header; raises `UnidentifiedImageError` where no format matches.

    `side` is that of `decode_bytes`, for formats that are decoded at a smaller size; `lenient` is the mode of decoding. Of a
    damaged JPEG as much is decoded as there is where `keep_damaged` says so, in any mode.
    """
    header = read_regular_header(content)
    if header is not None:
        return _open_regular_jpeg(content, header, side, keep_damaged)
    if is_tiff(content):
        return open_tiff(content, lenient)
    if is_png(content):
        return open_png(content, lenient)
    webp = open_still_webp(content)
    if webp is not None:
        return OpenedImage(webp.size, webp.memory, lambda: _loaded_or_by_pillow(webp, content))
    if is_jpeg_xl(content):
        return open_jpeg_xl(content)
    if content.startswith(b"\xff\xd8") and is_jpeg_ls(content):
        return open_jpeg_ls(content)
    try:
        image = open_by_pillow(content)
    except UnidentifiedImageError:
        regular = jpeg.regular(content)
        if regular is None:
            raise
        image = open_by_pillow(regular)
    if image.format not in JPEG_FORMATS:
        return OpenedImage(image.size, pillow_memory(image), lambda: image)
    return _open_odd_jpeg(content, image, side, keep_damaged)


def _open_regular_jpeg(content: bytes, header: JpegHeader, side: int, keep_damaged: bool) -> OpenedImage:
    """Open a JPEG by a regular header; Pillow decodes the kinds that the binding does not read."""

    def load() -> Image.Image | Photo:
        return _jpeg_photo(content, header, side, keep_damaged) or open_by_pillow(content)

    scale = jpeg.scale_of(header.size, _fitted_size(header.size, side))
    return OpenedImage(header.size, jpeg_memory(header, scale), load)


def _open_odd_jpeg(content: bytes, image: Image.Image, side: int, keep_damaged: bool) -> OpenedImage:
    """Open a JPEG by a header that Pillow has understood."""

    def load() -> Image.Image | Photo:
        header = pillow_header(image, content)
        return (_jpeg_photo(content, header, side, keep_damaged) if header is not None else None) or image

    return OpenedImage(image.size, pillow_memory(image, jpeg.scale_of(image.size, _fitted_size(image.size, side))), load)


def _jpeg_photo(content: bytes, header: JpegHeader, side: int, keep_damaged: bool) -> Photo | None:
    decoded = jpeg.decode(content, header, _fitted_size(header.size, side), keep_damaged)
    if decoded is None:
        return None
    pixels, damaged = decoded
    return Photo(_upright(_reduced_pixels(pixels, side), header.orientation), truncated=damaged)


def _loaded_or_by_pillow(opened: OpenedImage, content: bytes) -> Image.Image | Photo:
    """Load an opened image; where that fails, open it by Pillow, which says what is wrong."""
    try:
        return opened.load()
    except MemoryError:
        raise
    except Exception:
        return open_by_pillow(content)


def open_by_pillow(content: bytes) -> Image.Image:
    """Open an image by its header with the first of Pillow's readers that accepts it.

    Not by `Image.open`, which refuses images by a number of pixels that is global to the process.
    """
    heif_image = _heif_image_class()
    readers: tuple[PillowReader, ...] = pillow_readers()
    if heif_image is not None:
        readers += ((heif_image, is_heic),)
    for reader, accepts in readers:
        try:
            if accepts is None or accepts(content[:PREFIX]) is True:
                return reader(BytesIO(content), "")
        except (IndexError, SyntaxError, TypeError, struct.error):  # exceptions that mean "another format" in Pillow
            continue
    raise UnidentifiedImageError


def upright_photo(image: Image.Image, side: int = SIDE) -> Photo:
    """Decode an opened image to a photo, upright, with the longer side less than twice `side`."""
    # Affects JPEG alone, which libjpeg decodes at 1/2, 1/4 or 1/8 of its size, though no smaller than this.
    image.draft(None, _fitted_size(image.size, side))
    image.load()
    orientation = pillow_orientation(image)
    layers = transparency.flattened(_to_eight_bit(image), partial(_reduced, side=side))
    rgb, *alpha = (_upright(np.asarray(layer), orientation) for layer in layers)
    return Photo(rgb, alpha=alpha[0] if alpha else None)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return pixels, uint8 (h, w, 3) or (h, w), turned as the EXIF orientation says (EXIF 2.3, tag 0x0112)."""
    if orientation not in range(2, 9):
        return pixels
    import cv2  # moves pixels in a tenth of numpy's time

    turned: NDArray[Any] = pixels
    if orientation in (5, 7):
        turned = cv2.transpose(turned)
    if orientation in (2, 4):
        turned = cv2.flip(turned, 1 if orientation == 2 else 0)
    elif orientation != 5:
        quarters = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 7: cv2.ROTATE_180, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
        turned = cv2.rotate(turned, quarters[orientation])
    return turned


def _fitted_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return (width, height) in pixels with the same aspect ratio and the longer side at `side`, rounded down.

    Rounded up, the shorter side would often allow half the scale only that the longer one does.
    """
    return max(1, size[0] * side // max(size)), max(1, size[1] * side // max(size))


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Shrink an image by the largest power of two that leaves `side` pixels, weighing colours by their alpha.

    Powers of two, as libjpeg's scales are: an image in memory gets the size that its file is decoded at.
    """
    times = max(image.size) // side
    return image.reduce(1 << (times.bit_length() - 1)) if times > 1 else image


def _reduced_pixels(pixels: Pixels, side: int) -> Pixels:
    """Shrink pixels as `_reduced` does an image; those that are small enough are not copied."""
    return pixels if max(pixels.shape) < 2 * side else np.asarray(_reduced(Image.fromarray(pixels), side))


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Convert an image to 8 bits per channel by scaling; Pillow's own conversion would clip 16 bits to white."""
    if image.mode == "CMYK" and image.format in JPEG_FORMATS and "adobe" not in image.info:
        # Pillow treats every CMYK JPEG as Adobe's, with inverted inks; without Adobe's marker they are not inverted.
        return Image.eval(image, lambda ink: 255 - ink)
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if values.dtype.kind == "i":
        values = np.maximum(values, 0).view(np.uint32)
    transparent = values == image.info["transparency"] if isinstance(image.info.get("transparency"), int) else None
    wide = image.mode == "I" and values.max(initial=0) > 65535
    grey = Image.fromarray(to_eight_bit(values, 32 if wide else 16))
    if transparent is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))))


@cache
def pillow_readers() -> tuple[PillowReader, ...]:
    """Return the readers of those of `FORMATS` that this build of Pillow has."""
    Image.init()
    return tuple((*Image.OPEN[name],) for name in FORMATS if name in Image.OPEN)


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
    kind = kind_of(content[:START])
    if kind is UNKNOWN and is_photo_start(content):
        return Failed("truncated" if is_truncated(content) else "unreadable", f"{name}: its header is damaged")
    return Failed("not_an_image", f"{name}: {kind.name}, not a photo; {kind.remedy}")
