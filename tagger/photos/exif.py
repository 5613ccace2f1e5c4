"""Read the orientation of a photo from its EXIF data, without the other values in them."""

import struct

from PIL import Image

_ORIENTATION, _RESOLUTION = 0x0112, 0x011A
"""Tags of the orientation, and of the horizontal resolution, which Pillow reads on opening a photo (EXIF 2.3, table 4)."""

_MARK = b"Exif\0\0"
_XMP_ORIENTATION = b"tiff:Orientation"
_SHORT, _RATIONAL = 3, 5

_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes per value of the types that Pillow knows; it skips values of other types."""

_ENTRIES = {b"II*\0": struct.Struct("<HHIHH"), b"MM\0*": struct.Struct(">HHIHH")}
"""Tag, type, number of values, and the halves of the value or of its place, by the order of bytes (TIFF 6.0, section 2)."""


def xmp_orientation(xmp: bytes) -> int:
    """Return the orientation that an XMP packet says, 1 where it says none; the packet is empty where a photo has none."""
    if _XMP_ORIENTATION not in xmp:
        return 1
    image = Image.Image()
    image.info = {"xmp": xmp}
    return pillow_orientation(image)


def pillow_orientation(image: Image.Image) -> int:
    """Return the orientation of an opened image by Pillow, 1 where it is absent or unreadable."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with broken EXIF data is still a photo
        return 1


def regular_orientation(exif: bytes) -> int | None:
    """Return the orientation in the first directory of EXIF data, 0 where it has none, or where there are no data.

    The data are as a JPEG stores them, with the mark `Exif` before. None where the directory is unusual or damaged: Pillow has
    rules for what then counts. The orientation may be any number.
    """
    if not exif:
        return 0
    entry = _ENTRIES.get(exif[6:10])
    if entry is None or not exif.startswith(_MARK):
        return None
    data = memoryview(exif)[len(_MARK) :]
    order = entry.format[:1] == "<"
    start = int.from_bytes(data[4:8], "little" if order else "big")
    first = start + 2
    end = first + entry.size * int.from_bytes(data[start:first], "little" if order else "big")
    if not 8 <= start < first < end <= len(data):
        return None
    orientation = total = 0
    for tag, kind, count, low, high in entry.iter_unpack(data[first:end]):
        size = count * _VALUE_BYTES.get(kind, 0)
        if size > 4:
            total += size
            place = low + (high << 16) if order else (low << 16) + high
            if place + size > len(data) or total > len(data):
                return None
        if tag == _ORIENTATION:
            if kind != _SHORT or count != 1 or not low or orientation:
                return None
            orientation = low
        elif tag == _RESOLUTION and (kind != _RATIONAL or count != 1):
            return None
    return orientation
