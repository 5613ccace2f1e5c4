"""Headers tell format, size and colour without decoding."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from helpers import draw_photo
from image_files import encoded
from PIL import Image

from tagger.photos.header import PhotoHeader, read_header


def header(image: Image.Image, format: str, **options: object) -> PhotoHeader | None:
    """Return what the header of an image saved in a format says."""
    return read_header(BytesIO(encoded(image, format, **options)))


@pytest.mark.parametrize(
    ("mode", "format", "options", "expected"),
    [
        ("RGB", "JPEG", {}, PhotoHeader("JPEG", (24, 32), "RGB")),
        ("RGB", "JPEG", {"progressive": True}, PhotoHeader("JPEG progressive", (24, 32), "RGB")),
        ("L", "JPEG", {}, PhotoHeader("JPEG", (24, 32), "grey")),
        ("CMYK", "JPEG", {}, PhotoHeader("JPEG", (24, 32), "CMYK")),
        ("RGBA", "PNG", {}, PhotoHeader("PNG", (24, 32), "RGB", 8, alpha=True)),
        ("LA", "PNG", {}, PhotoHeader("PNG", (24, 32), "grey", 8, alpha=True)),
        ("P", "PNG", {"bits": 8}, PhotoHeader("PNG", (24, 32), "palette")),
        ("1", "PNG", {}, PhotoHeader("PNG", (24, 32), "black and white", 1)),
        ("I;16", "PNG", {}, PhotoHeader("PNG", (24, 32), "grey", 16)),
        ("I;16", "TIFF", {}, PhotoHeader("TIFF", (24, 32), "grey", 16)),
        ("F", "TIFF", {}, PhotoHeader("TIFF", (24, 32), "grey", 32)),
        ("RGB", "TIFF", {}, PhotoHeader("TIFF", (24, 32), "RGB")),
        ("RGB", "WEBP", {}, PhotoHeader("WEBP", (24, 32), "RGB")),
        ("RGB", "BMP", {}, PhotoHeader("BMP", (24, 32), "RGB")),
    ],
)
def test_headers_of_all_kinds(mode: str, format: str, options: dict[str, object], expected: PhotoHeader) -> None:
    """Each kind is told by its header."""
    image = Image.fromarray(np.full((32, 24), 900, np.uint16)) if mode == "I;16" else draw_photo(1, (24, 32)).convert(mode)
    assert header(image, format, **options) == expected


def test_sixteen_bits_of_colour_png() -> None:
    """Pillow's mode is that of eight bits; the header of the file tells more."""
    content = cv2.imencode(".png", np.full((32, 24, 3), 900, np.uint16))[1].tobytes()
    assert read_header(BytesIO(content)) == PhotoHeader("PNG", (24, 32), "RGB", 16)


def test_several_frames_are_told() -> None:
    """Of an animation and of a TIFF with pages one frame is read, which users should know."""
    for format in ("GIF", "WEBP", "TIFF"):
        frames = [draw_photo(number, (24, 32)) for number in range(3)]
        found = header(frames[0], format, save_all=True, append_images=frames[1:])
        assert found is not None
        assert found.frames
    found = header(draw_photo(1), "GIF")
    assert found is not None
    assert not found.frames


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_has_no_header_has_none(content: bytes) -> None:
    """Text, and headers that end early."""
    assert read_header(BytesIO(content)) is None


def test_a_heic_photo_is_told_by_its_first_bytes() -> None:
    """Pillow does not read it; its size is left to the decoder."""
    assert read_header(BytesIO(b"\0\0\0\x18ftypheic" + bytes(16))) == PhotoHeader("HEIC", None, "")
