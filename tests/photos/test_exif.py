"""The orientation in regular EXIF data is read as Pillow reads it, and unusual data are left to Pillow."""

import struct

import pytest
from image_files import with_exif
from PIL import Image

from tagger.photos.exif import pillow_orientation, regular_orientation, xmp_orientation

MARK = b"Exif\0\0"
SHORT = 3


def exif(*entries: tuple[int, int, int, int], order: str = "<", more: bytes = b"") -> bytes:
    """Return EXIF data with these entries: tag, type, count, value."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    packed = b"".join(
        struct.pack(order + ("HHIHxx" if kind == SHORT else "HHII"), tag, kind, count, value)
        for tag, kind, count, value in entries
    )
    return MARK + head + packed + bytes(4) + more


ORIENTED = (0x0112, SHORT, 1, 6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [*range(1, 9), 65535])
def test_orientation_in_both_orders_of_bytes(order: str, orientation: int) -> None:
    """The number is that of the tag, among others, and whether EXIF defines it or not."""
    data = exif((0x010F, 2, 4, 0x61626300), (0x0112, SHORT, 1, orientation), (0x0213, SHORT, 1, 1), order=order)
    assert regular_orientation(data) == orientation
    image = Image.new("L", (1, 1))
    image.info["exif"] = data
    assert pillow_orientation(image) == orientation


def test_data_of_pillow_are_regular() -> None:
    """What Pillow writes is read without it."""
    assert [regular_orientation(with_exif(orientation)) for orientation in range(1, 9)] == list(range(1, 9))


def test_without_orientation() -> None:
    """Data without the tag, and no data, say nothing."""
    assert regular_orientation(exif((0x0213, SHORT, 1, 1))) == 0
    assert regular_orientation(b"") == 0


@pytest.mark.parametrize(
    "data",
    [
        MARK,
        exif(ORIENTED)[:-8],
        exif(ORIENTED).removeprefix(MARK),
        MARK + exif(ORIENTED),
        exif(ORIENTED, ORIENTED),
        exif((0x0112, 4, 1, 6)),
        exif((0x0112, SHORT, 1, 0)),
        exif((0x010F, 2, 400, 8), ORIENTED),
        exif((0x010F, 2, 4_000_000_000, 0), ORIENTED),
        exif((0x011A, 2, 1, 0), ORIENTED),
        exif((0x010F, 2, 40, 8), (0x0110, 2, 40, 8), ORIENTED, more=bytes(6)),
    ],
)
def test_unusual_data_are_not_regular(data: bytes) -> None:
    """Data that are cut, point beyond their end, or hold a value in another form are for Pillow to understand."""
    assert regular_orientation(data) is None


def test_orientation_in_xmp() -> None:
    """A packet says it as an attribute or as an element; without it, it is 1."""
    assert xmp_orientation(b'<x tiff:Orientation="8"/>') == 8
    assert xmp_orientation(b"<tiff:Orientation>3</tiff:Orientation>") == 3
    assert xmp_orientation(b"<x/>") == xmp_orientation(b"") == 1
