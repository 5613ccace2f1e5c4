"""Bytes become upright RGB pixels, no larger than needed. Every format and every kind of damage ends here."""

import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from tagger.file_kinds import PHOTO_STARTS, is_heic, is_heif
from tagger.records import Content, Failed, Photo

SIDE = 160
"""Pixels of a decoded photo's longer side, at most."""

MAX_PIXELS = 89_478_485
"""Photos with more pixels than this, by their header, are not decoded; from here on Pillow warns of them too."""

MAX_BYTES = 250_000_000
"""Files longer than this are not read."""

COARSEST_CLOCK_NS = 2_000_000_000
"""What is written to a file within this of its last change may bear the same time: FAT counts two seconds."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF")
"""What Pillow is asked for; HEIC comes by the package that has it, and is not made known to all who use Pillow."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (EXIF 2.3, tag 0x0112)."""


def decode(file: Path, allow_truncated: bool = False) -> Photo | Failed:
    """Return the photo in `file` with its longer side at most `SIDE` pixels, or why it cannot be had.

    The content tells the format, not the suffix. EXIF orientation is applied, transparency laid on white, of
    animations the first frame taken. A truncated file fails, or with `allow_truncated` comes marked as truncated. Nothing is
    raised, whatever the file holds; of damage Pillow may warn, where the caller's filters let it.
    """
    got = read(file)
    return got if isinstance(got, Failed) else decode_bytes(got[0], str(file), allow_truncated)


def read(file: Path) -> tuple[bytes, Content] | Failed:
    """Return the bytes of `file` with what they are, or why they cannot be had.

    Size and time are those of the very file that was read, even where another takes its place meanwhile.
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
        return Failed("unreadable", f"{file}: {error or type(error).__name__}")
    still = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) == (len(content), after.st_mtime_ns)
    telling = still and after.st_mtime_ns < now - COARSEST_CLOCK_NS
    return content, Content(hashlib.sha256(content).digest(), len(content), after.st_mtime_ns if telling else None)


def decode_bytes(content: bytes, name: str, allow_truncated: bool = False) -> Photo | Failed:
    """Return the photo that `content` encodes, as `decode` does; `name` stands in the detail of a failure."""
    with _mode.strict():
        photo = _decode_strictly(content, name)
    if not allow_truncated or isinstance(photo, Photo) or photo.reason != "truncated":
        return photo
    with _mode.lenient():
        rescued = _decode_strictly(content, name)
    return Photo(rescued.pixels, truncated=True) if isinstance(rescued, Photo) else photo


class _Mode:
    """Keeps Pillow's switch for truncated files, which is global, from loosening what other threads decode meanwhile.

    Before and after, it is as whoever else uses Pillow in this process has set it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strict = 0
        self._before = False

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Many may decode strictly at once."""
        with self._changed:
            if not self._strict:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._strict += 1
        try:
            yield
        finally:
            with self._changed:
                self._strict -= 1
                if not self._strict:
                    ImageFile.LOAD_TRUNCATED_IMAGES = self._before
                self._changed.notify_all()

    @contextmanager
    def lenient(self) -> Iterator[None]:
        """One may decode leniently while nobody else decodes."""
        with self._changed:
            self._changed.wait_for(lambda: self._strict == 0)
            before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
            try:
                yield
            finally:
                ImageFile.LOAD_TRUNCATED_IMAGES = before


_mode = _Mode()


def _decode_strictly(content: bytes, name: str) -> Photo | Failed:
    try:
        with _opened(content) as image:
            if image.width * image.height > MAX_PIXELS:
                return Failed("too_large", f"{name}: {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            return Photo(_pixels(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Failed("too_large", f"{name}: {error}")
    except UnidentifiedImageError:
        return _unidentified(content, name)
    except Exception as error:  # a decoder may raise anything on damage: AssertionError, struct.error, SyntaxError, ...
        cut = "truncated" in str(error) or isinstance(error, EOFError) or _ends_early(content)
        return Failed("truncated" if cut else "unreadable", f"{name}: {error or type(error).__name__}")


def _opened(content: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=_formats())
    except UnidentifiedImageError:
        reader = _heif_reader()
        if reader is None or not is_heic(content):
            raise
        try:
            opened: Image.Image = reader(BytesIO(content))
        except (IndexError, SyntaxError, TypeError, struct.error) as error:  # what Pillow takes for another format
            raise UnidentifiedImageError from error
        return opened


def _pixels(image: Image.Image) -> np.ndarray:
    """Return uint8 (h, w, 3) with the longer side at most `SIDE`."""
    # JPEG alone: decodes at 1/2, 1/4 or 1/8, still no smaller than this.
    image.draft(None, _fitted(image.size))
    image.load()
    orientation = _orientation(image)  # after loading, in which Pillow turns TIFFs itself and says so
    flat = _on_white(_eight_bit(image))
    if max(flat.size) > SIDE:
        flat = flat.resize(_fitted(flat.size), Image.Resampling.BOX)
    if orientation in _TURNS:
        flat = flat.transpose(_TURNS[orientation])
    return np.asarray(flat)


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) in the same proportion with the longer at `SIDE`."""
    scale = SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # a photo with a broken EXIF block is still a photo
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the image with 8 bits a channel; Pillow alone would clip 16 bits to white."""
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's inverted kind; without Adobe's marker it is not.
        return Image.eval(image, lambda ink: 255 - ink)
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float32)
    hidden = values == image.info["transparency"] if isinstance(image.info.get("transparency"), int) else None
    top = 65535.0 if image.mode.startswith("I") else 1.0
    brightest = float(values.max(where=np.isfinite(values), initial=0))
    top = max(top, brightest)
    values = np.clip(np.nan_to_num(values, nan=0, posinf=top, neginf=0), 0, top)
    eight = np.clip(values * (255 / top) + 0.5, 0, 255).astype(np.uint8)
    if hidden is not None:
        eight[hidden] = 255
    return Image.fromarray(eight)


def _on_white(image: Image.Image) -> Image.Image:
    """Return RGB with what is transparent laid on white, so that the colour hidden under it never shows."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    cutout = image.convert("RGBA")
    if max(cutout.size) > SIDE:
        cutout.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    white = Image.new("RGBA", cutout.size, "white")
    return Image.alpha_composite(white, cutout).convert("RGB")


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _heif_reader() -> Any:
    """Return the class that opens a HEIC file, or None where the extra for it is not installed."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        return None
    return HeifImageFile


def _unidentified(content: bytes, name: str) -> Failed:
    """Say why nothing could be made of `content`: cut in its header, of a kind not installed, or no image at all."""
    if not content:
        return Failed("truncated", f"{name}: an empty file")
    if is_heic(content) and _heif_reader() is None:
        return Failed("unreadable", f"{name}: a HEIC photo; install fmtag[heif] to read it")
    if content.startswith(PHOTO_STARTS) or is_heif(content):
        return Failed("truncated" if _ends_early(content) else "unreadable", f"{name}: its header is damaged")
    return Failed("not_an_image", f"{name}: not an image of a known kind")


def _ends_early(content: bytes) -> bool:
    """Whether the container's own marks say that bytes are missing at its end."""
    if content.startswith(b"\xff\xd8"):
        return not content.rstrip(b"\0").endswith(b"\xff\xd9")
    if content.startswith(b"\x89PNG"):
        return b"IEND" not in content[-64:]
    if content.startswith(b"RIFF"):
        return len(content) < 12 or len(content) < int.from_bytes(content[4:8], "little") + 8
    if content.startswith(b"GIF8"):
        return not content.rstrip(b"\0").endswith(b";")
    if content.startswith(b"BM"):
        return len(content) < int.from_bytes(content[2:6], "little")
    if content.startswith((b"II*\0", b"MM\0*")):
        return _directory_is_missing(content)
    return is_heif(content) and _boxes_overrun(content)


def _directory_is_missing(content: bytes) -> bool:
    """Whether a TIFF's first directory, or a value that it points to, lies past the end (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if content[:1] == b"I" else "big"
    start = int.from_bytes(content[4:8], order)
    entries = int.from_bytes(content[start : start + 2], order)
    end = start + 2 + 12 * entries
    if len(content) < max(8, end + 4):
        return True
    entry = "<2xHII" if order == "little" else ">2xHII"
    for kind, count, offset in struct.iter_unpack(entry, content[start + 2 : end]):
        length = _TIFF_BYTES.get(kind, 0) * count
        if length > 4 and offset + length > len(content):  # shorter values stand in the entry itself
            return True
    return False


_TIFF_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1))
"""Bytes a value of each of TIFF's types takes."""


def _boxes_overrun(content: bytes) -> bool:
    """Whether the top-level boxes of an ISO media file (HEIC, AVIF) say that it is longer than it is."""
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if length == 0:
            return False
        if length == 1 or length < 8:
            return length < 8 and length != 1
        at += length
    return at != len(content)
