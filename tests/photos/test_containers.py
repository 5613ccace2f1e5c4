"""The end of a file is told by its container, and a few blanks before a photo are skipped."""

import struct
from io import BytesIO

import pytest
from image_files import quarters, reason_of, sample
from tiff_files import RGB, tiff_pages

from tagger.photos.containers import is_truncated, iso_boxes, tiff_directory_is_missing, without_text_before
from tagger.photos.decode import decode_bytes

JPEG = sample("jpeg")


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n", b"\r\n\r\n", b" \t\n", b"\xef\xbb\xbf\r\n", b"\n" * 16])
@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp"])
def test_blanks_and_a_mark_before_a_photo_are_skipped(before: bytes, name: str) -> None:
    """Scripts that hand out photos print them first."""
    assert without_text_before(before + sample(name)) == sample(name)
    assert reason_of(decode_bytes(before + sample(name), "photo")) == "a photo"


@pytest.mark.parametrize("before", [b"x", b"\n" * 17, b"<!-- -->", b"\0"])
def test_other_text_before_a_photo_is_not_skipped(before: bytes) -> None:
    """What is more than blanks is another file."""
    assert without_text_before(before + JPEG) == before + JPEG
    assert reason_of(decode_bytes(before + JPEG, "photo")) == "not_an_image"


def test_text_after_blanks_stays() -> None:
    """A text that begins with a blank is left as it is, and so is a table with a byte order mark."""
    for text in (b"\xef\xbb\xbfsku,image\n", b"\n", b"", b" BM"):
        assert without_text_before(text) is text


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "bmp", "avif"])
def test_ends_are_known(name: str) -> None:
    """A whole file is not truncated; one that lacks its last tenth is."""
    content = sample(name)
    assert not is_truncated(content)
    assert is_truncated(content[: len(content) * 9 // 10])


def test_jpeg_2000_ends() -> None:
    """A codestream ends with a marker, a container with its last box."""
    for suffix in (".j2k", ".jp2"):
        file = BytesIO()
        file.name = f"photo{suffix}"  # type: ignore[misc]
        quarters().save(file, "JPEG2000")
        content = file.getvalue()
        assert not is_truncated(content)
        assert is_truncated(content[:-30])


def test_boxes() -> None:
    """Boxes of 32 and 64 bits, and one up to the end."""
    content = b"\0\0\0\x0cftypabcd" + b"\0\0\0\1wide" + struct.pack(">Q", 18) + b"xy" + b"\0\0\0\0mdat" + b"rest"
    assert iso_boxes(content) == [(b"ftyp", 8, 12), (b"wide", 28, 30), (b"mdat", 38, 42)]
    assert iso_boxes(b"\0\0\0\3ftyp") == []


@pytest.mark.parametrize("big", [False, True])
def test_directories_of_tiffs(big: bool) -> None:
    """The directory has to be whole, with the values that the picture needs."""
    content = tiff_pages((RGB, {"rowsperstrip": 8}), bigtiff=big)
    start = int.from_bytes(content[8:16] if big else content[4:8], "little")
    assert not tiff_directory_is_missing(content)
    assert tiff_directory_is_missing(content[: start + 40])
    assert tiff_directory_is_missing(content[:start])
    assert tiff_directory_is_missing(content[:6])
    assert tiff_directory_is_missing(sample("lzw tiff")[:-1])
