"""The header of a regular JPEG says what Pillow says of it, and every other header is left to Pillow."""

from io import BytesIO

import pytest
from image_files import detailed, encoded, photo_of, quarters, with_exif
from PIL import Image

from tagger.photos import decode
from tagger.photos.jpeg_header import JpegHeader, pillow_header, read_regular_header

KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "RGB": ("RGB", {}),
    "progressive": ("RGB", {"progressive": True}),
    "4:4:4": ("RGB", {"subsampling": 0}),
    "grey": ("L", {}),
    "inks": ("CMYK", {}),
    "turned": ("RGB", {"exif": with_exif(6)}),
    "turned by XMP": ("RGB", {"xmp": b'<x tiff:Orientation="8"/>'}),
    "metadata": ("RGB", {"exif": with_exif(3), "xmp": b"<x/>", "icc_profile": bytes(70_000), "comment": "x", "dpi": (72, 72)}),
}


def file_of(kind: str) -> bytes:
    mode, options = KINDS[kind]
    return encoded(detailed(97, 67).convert(mode), "JPEG", **options)


def by_pillow(content: bytes) -> JpegHeader | None:
    with Image.open(BytesIO(content)) as image:
        return pillow_header(image, content)


@pytest.mark.parametrize("kind", KINDS)
def test_header_is_that_of_pillow(kind: str) -> None:
    """Size, mode, sampling, Adobe's marker and orientation are the same."""
    content = file_of(kind)
    header = read_regular_header(content)
    assert header is not None
    assert header._replace(one_scan=False) == by_pillow(content)
    assert header.one_scan == (kind != "progressive")


@pytest.mark.parametrize("kind", KINDS)
def test_a_regular_file_is_decoded_without_pillow(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow does not open it, which takes longer than all else beside the decoder."""
    content = file_of(kind)
    expected = photo_of(content).pixels
    monkeypatch.setattr(decode, "open_by_pillow", lambda _: pytest.fail("opened by Pillow"))
    assert (photo_of(content).pixels == expected).all()


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def with_segment(content: bytes, marker: int, data: bytes) -> bytes:
    return content[:2] + segment(marker, data) + content[2:]


def frame_with(content: bytes, at: int, value: int) -> bytes:
    """Return the file with another byte in the frame's segment, counted from its marker."""
    start = content.index(b"\xff\xc0")
    return content[: start + at] + bytes([value]) + content[start + at + 1 :]


FILE = encoded(quarters(40, 30), "JPEG")
FRAME = FILE[FILE.index(b"\xff\xc0") :][:19]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        FILE[1:],
        FILE[:2] + b"\0" + FILE[2:],
        FILE[:2] + b"\xff" + FILE[2:],
        FILE[:2] + b"\xff\xe0\0\1" + FILE[2:],
        FILE[:2] + FRAME + FILE[2:],
        frame_with(FILE, 4, 12),
        frame_with(FILE, 9, 2),
        frame_with(FILE, 10, 2),
        frame_with(frame_with(FILE, 5, 0), 6, 0),
        frame_with(frame_with(FILE, 7, 0), 8, 0),
        frame_with(FILE, 1, 0xC3),
        with_segment(FILE, 0xDB, bytes(64)),
        with_segment(FILE, 0xDB, b"\x10" + bytes(64)),
        with_segment(FILE, 0xE0, b"JFIF\0"),
        with_segment(FILE, 0xEE, b"Adobe\0"),
        with_segment(FILE, 0xE2, b"ICC_PROFILE\0\1"),
        with_segment(FILE, 0xE2, b"MPF\0II*\0"),
        with_segment(FILE, 0xED, b"Photoshop 3.0\x008BIM\4\4"),
        with_segment(FILE, 0xE1, b"Exif\0\0II*\0"),
        with_segment(with_segment(FILE, 0xE1, with_exif(6)), 0xE1, with_exif(6)),
        with_segment(FILE, 0xF7, bytes(9)),
    ],
)
def test_other_headers_are_not_regular(content: bytes) -> None:
    """What is damaged or unusual, or what Pillow refuses, is for Pillow to understand."""
    assert read_regular_header(FILE) is not None
    assert read_regular_header(content) is None


def test_a_header_cut_anywhere_is_not_regular() -> None:
    """A file that ends before the data of its first scan has no header."""
    scan = FILE.index(b"\xff\xda") + 14
    assert read_regular_header(FILE[:scan]) is not None
    assert [read_regular_header(FILE[:end]) for end in range(scan)] == [None] * scan
