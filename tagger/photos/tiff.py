"""Read TIFF files of every common kind through tifffile and imagecodecs, which print nothing, and choose the full page.

Pillow reads through libtiff, which writes to standard error, takes the first page, and knows fewer kinds of samples.
TIFF 6.0 and its supplements define the tags; `tiff_samples` turns what is stored into colours.
"""

import logging
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from io import BytesIO
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tagger.photos.containers import tiff_directory_is_missing
from tagger.photos.opened import ImageFault, OpenedImage, one_line
from tagger.photos.tiff_colours import colour_image, upsampled

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MAX_PAGES = 64
"""Pages that are looked at for the full one; a document of more is no photo with previews."""

_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType."""
_UNCOMPRESSED, _LZW, _OLD_JPEG, _JPEG = 1, 5, 6, 7
_DEFLATE = (8, 32946)
_COMPRESSIONS = frozenset(
    # None, fax, LZW, JPEG, deflate, PackBits of TIFF 6.0; JPEG 2000, LERC, LZMA, Zstandard, WebP and JPEG XL of later ones.
    (
        *range(1, 8),
        *_DEFLATE,
        32773,
        33003,
        33004,
        33005,
        34712,
        34887,
        34892,
        *range(34925, 34928),
        *range(50000, 50003),
        52546,
    )
)
"""Compressions that are read. imagecodecs knows more, among them PNG, whose library prints to standard error."""
_LOSSY = (_OLD_JPEG, _JPEG, 34892)
_RAW_PHOTOMETRICS = (32803, 34892)
"""The colour filter of a sensor, and its linear values."""
_DNG_VERSION, _ORIENTATION, _JPEG_START, _JPEG_LENGTH = 50706, 274, 513, 514
_RAW = "a camera's raw file; export the photo as JPEG or PNG"


def open_tiff(content: bytes, lenient: bool = False) -> OpenedImage:
    """Read the directories of a TIFF and return its full page, to be decoded later.

    `lenient` decodes as many strips as there are; those that are missing stay black. Raises `ImageFault` for kinds that are
    not read and for damage, on opening or on loading.
    """
    if tiff_directory_is_missing(content):
        raise ImageFault("truncated", "the file ends before its directory does")
    with _quiet(), _damage_told():
        page = _full_page(_tiff_file(content))
        width, height = int(page.imagewidth), int(page.imagelength)
        if width < 1 or height < 1:
            raise ImageFault("unreadable", "a TIFF without pixels")
        _check_kind(page, content)
    samples = max(1, int(page.samplesperpixel))
    width_of_sample = page.dtype.itemsize if page.dtype is not None else 1
    memory = width * height * samples * (width_of_sample + 2)
    return OpenedImage((width, height), memory, lambda: _load(page, content, lenient))


def _load(page: "TiffPage", content: bytes, lenient: bool) -> Image.Image:
    """Decode the pixels of a page to a Pillow image of eight bits, which has the page's orientation."""
    with _quiet(), _damage_told():
        if page.compression == _OLD_JPEG and _JPEG_START in page.tags:
            return _old_jpeg(page, content)
        samples = _samples(page, content, lenient)
        image = colour_image(page, samples)
        image.getexif()[_ORIENTATION] = _orientation(page)
    return image


def _orientation(page: "TiffPage") -> int:
    """Return the orientation of a page, or where it has none that of the first one, which previews may come before."""
    value = page.tags.valueof(_ORIENTATION)
    if value is None and page.parent.pages:
        first: Any = page.parent.pages[0]
        value = first.tags.valueof(_ORIENTATION)
    return int(value) if value in range(1, 9) else 1


# Directories -------------------------------------------------------------------------------------------------------


def _tiff_file(content: bytes) -> "TiffFile":
    from tifffile import TiffFile

    return TiffFile(BytesIO(content))


def _full_page(tiff: "TiffFile") -> "TiffPage":
    """Return the first page that is no preview: not marked as reduced, and more than a quarter of the largest one's area.

    Pages may hold further ones below them (SubIFDs): cameras put the full photo there.
    """
    pages = [page for page in islice(_pages(tiff), MAX_PAGES) if not int(page.subfiletype) & _MASK]
    if not pages:
        raise ImageFault("unreadable", "a TIFF without a page")
    pages = [page for page in pages if not int(page.subfiletype) & _REDUCED] or pages
    largest = max(_area(page) for page in pages)
    return next(page for page in pages if _area(page) * 4 > largest or _area(page) == largest)


def _area(page: "TiffPage") -> int:
    return int(page.imagewidth) * int(page.imagelength)


def _pages(tiff: "TiffFile") -> Iterator["TiffPage"]:
    """Yield the pages of a file, each followed by those below it, as far as its directories can be read."""
    for index in range(MAX_PAGES):
        try:
            page: Any = tiff.pages[index]
        except IndexError:
            return
        except Exception:
            if not index:
                raise
            return
        yield page
        for below in range(min(MAX_PAGES, len(page.subifds or ()))):
            try:
                yield page.pages[below]
            except Exception:  # a preview that is damaged
                break


def _check_kind(page: "TiffPage", content: bytes) -> None:
    """Raise `ImageFault` with what the page holds where that is not read."""
    from tifffile import COMPRESSION, PHOTOMETRIC

    raw = _DNG_VERSION in page.parent.pages[0].tags or content[8:10] == b"CR"  # type: ignore[union-attr]
    if raw or page.photometric in _RAW_PHOTOMETRICS:
        raise ImageFault("unreadable", _RAW)
    if page.compression not in _COMPRESSIONS:
        raise ImageFault("unreadable", _unread(f"{_name(COMPRESSION, page.compression)} compression"))
    if page.dtype is None or page.dtype.kind not in "buif":
        bits = page.bitspersample
        raise ImageFault("unreadable", _unread(f"samples of {bits} bits of format {page.sampleformat}"))
    if page.photometric not in (0, 1, 2, 3, 5, 6, 8, 9):
        raise ImageFault("unreadable", _unread(f"{_name(PHOTOMETRIC, page.photometric)} colours"))


def _name(names: Any, value: int) -> str:
    """Return the name of a tag's value, or its number."""
    try:
        return str(names(value).name).replace("_", " ")
    except ValueError:
        return f"unknown ({int(value)})"


def _unread(what: str) -> str:
    return f"a TIFF with {what}, which fmtag does not read; convert it to JPEG, PNG or a plain TIFF"


# Samples -----------------------------------------------------------------------------------------------------------


def _samples(page: "TiffPage", content: bytes, lenient: bool) -> NDArray[Any]:
    """Decode the strips or tiles of a page to (height, width, samples) in the file's own type of samples."""
    planes, _, height, width, contiguous = page.shaped
    if page.is_subsampled and page.compression not in _LOSSY:
        return upsampled(_decompressed(page), lambda index: _data(page, _segment(page, content, index, lenient) or b""))
    samples = np.zeros((planes, height, width, contiguous), page.dtype.newbyteorder("="))  # type: ignore[union-attr]
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    decode = _decompressed(page).decode
    for index in range(prod(page.chunked)):
        segment = _segment(page, content, index, lenient)
        if segment is None:
            continue
        try:
            data, (plane, deep, top, left, _), _ = decode(_data(page, segment), index, **tables)
        except Exception as error:
            if lenient:
                continue
            raise _damage(error, page, segment) from error
        if data is not None and not deep:  # of a volume the first slice
            part = data[0, : height - top, : width - left]
            samples[plane, top : top + part.shape[0], left : left + part.shape[1]] = part
    return np.moveaxis(samples[..., 0], 0, -1) if planes > 1 else samples[0]


def _segment(page: "TiffPage", content: bytes, index: int, lenient: bool) -> bytes | None:
    """Return the stored bytes of a strip or tile; None where they are missing and may be.

    Raises `ImageFault` for a strip that ends after the file. The last strip of an uncompressed file may, as far as its rows are
    there: some programs announce a whole one although the image ends before.
    """
    if index >= len(page.dataoffsets) or index >= len(page.databytecounts) or not page.databytecounts[index]:
        if lenient:
            return None
        raise ImageFault("truncated", f"strip {index + 1} of {prod(page.chunked)} is missing")
    start, length = page.dataoffsets[index], page.databytecounts[index]
    segment = content[start : start + length]
    if len(segment) == length:
        return segment
    plain = page.compression == _UNCOMPRESSED
    needed = min(length, _row_bytes(page) * _rows_of(page, index)) if plain and not page.is_tiled else length
    if len(segment) >= needed:
        return segment
    if lenient:
        return segment + bytes(needed - len(segment)) if plain else segment or None
    raise ImageFault("truncated", f"the file ends within strip {index + 1} of {prod(page.chunked)}")


def _data(page: "TiffPage", segment: bytes) -> bytes:
    """Return the bytes of a strip or tile as tifffile is to get them: decompressed where that is LZW.

    tifffile names the length of the result as a number; of some damaged strips imagecodecs then writes beyond its memory, which
    ends the process. It does not where it is given the memory, here more than the longest strip takes.
    """
    if page.compression != _LZW:
        return segment
    from imagecodecs import bitorder_decode, lzw_decode

    longest = prod(page.chunks) * (page.dtype.itemsize if page.dtype is not None else 1)
    longest = 2 * longest + 1_024  # units of subsampled colours go beyond the edges
    return bytes(lzw_decode(bitorder_decode(segment) if page.fillorder == 2 else segment, out=bytearray(longest)))


def _decompressed(page: "TiffPage") -> "TiffPage":
    """Return a page as it is once `_data` has decompressed its strips."""
    plain = copy(page)
    if page.compression == _LZW:
        plain.compression, plain.fillorder = _UNCOMPRESSED, 1
    return plain


def _rows_of(page: "TiffPage", index: int) -> int:
    """Return the rows of a strip: the last one may have fewer."""
    height = int(page.imagelength)
    rows = max(1, min(int(page.rowsperstrip), height))
    return min(rows, height - index % -(-height // rows) * rows)


def _row_bytes(page: "TiffPage") -> int:
    """Return the bytes of a row of an uncompressed strip."""
    samples = 1 if page.planarconfig == 2 else int(page.samplesperpixel)
    return (int(page.imagewidth) * samples * int(page.bitspersample) + 7) // 8


def _damage(error: Exception, page: "TiffPage", segment: bytes) -> Exception:
    """Return why a strip cannot be decoded: its data end early, its kind is not read, or what the decoder says."""
    if isinstance(error, NotImplementedError):
        return ImageFault("unreadable", _unread(str(error)))
    early = "cannot be reshaped" in str(error) or (page.compression in _DEFLATE and _deflate_ends_early(segment))
    return ImageFault("truncated", "its data end early") if early else error


def _deflate_ends_early(segment: bytes) -> bool:
    """Return whether what is compressed is right as far as it goes, but lacks its end."""
    unpacker = zlib.decompressobj()
    try:
        while segment and not unpacker.eof:
            unpacker.decompress(segment, 1 << 20)
            segment = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return not unpacker.eof


def _old_jpeg(page: "TiffPage", content: bytes) -> Image.Image:
    """Return the JPEG that a TIFF of 1992 (compression 6) holds as a whole file."""
    start, length = (int(np.ravel(page.tags.valueof(tag, 0))[0]) for tag in (_JPEG_START, _JPEG_LENGTH))
    inner = content[start : start + length if length else None]
    if not inner.startswith(b"\xff\xd8"):
        raise ImageFault("unreadable", _unread("OJPEG compression"))
    return JpegImageFile(BytesIO(inner))


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn whatever damaged tags or data raise into an `ImageFault`."""
    try:
        yield
    except (ImageFault, MemoryError):
        raise
    except Exception as error:
        raise ImageFault("unreadable", f"its directory or its data are damaged ({one_line(error)})") from error


# Messages ----------------------------------------------------------------------------------------------------------

_decoding = threading.local()


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what tifffile logs in this thread during the block: what is wrong with a photo stands in its own row."""
    _install_filter()
    _decoding.quiet = True
    try:
        yield
    finally:
        _decoding.quiet = False


@cache
def _install_filter() -> None:
    """Add a filter to tifffile's logger, once, that drops nothing of what other users of tifffile let it log."""
    logging.getLogger("tifffile").addFilter(lambda record: not getattr(_decoding, "quiet", False))
