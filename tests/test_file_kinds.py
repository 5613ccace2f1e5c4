"""The first bytes of a file tell a photo from what users give in its place."""

import io
from pathlib import Path

import pytest
from helpers import draw_photo

from tagger.errors import SourceError
from tagger.file_kinds import (
    EMPTY,
    JSON,
    PARQUET,
    START,
    TEXT,
    UNKNOWN,
    UTF16,
    begins_photo,
    is_heic,
    is_heif,
    is_photo,
    kind_of,
)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_photos_are_told_by_their_first_bytes(format: str) -> None:
    """Whatever Pillow writes is a photo."""
    file = io.BytesIO()
    draw_photo(1, (20, 20)).save(file, format)
    assert is_photo(file.getvalue()[:START])
    assert is_heif(file.getvalue()) == (format == "AVIF")


@pytest.mark.parametrize("start", [b"II+\0\x08\0", b"MM\0+\0\x08", b"GIF87a", b"MM\0*\0"])
def test_rarer_kinds_of_the_formats_are_photos(start: bytes) -> None:
    """TIFF in either byte order, BigTIFF, and the older GIF."""
    assert is_photo(start)


@pytest.mark.parametrize(
    ("brand", "heic", "heif"),
    [(b"heic", True, True), (b"mif1", True, True), (b"avif", False, True), (b"isom", False, False)],
)
def test_heic_and_avif_are_told_by_their_brand(brand: bytes, heic: bool, heif: bool) -> None:
    """Videos have the same container, with another brand."""
    start = b"\0\0\0\x18ftyp" + brand + bytes(8)
    assert (is_heic(start), is_heif(start), is_photo(start)) == (heic, heif, heif)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GIF89,path\n",
        b"BMI,path\n1,a.jpg\n",
        b"BM" + bytes(11),
        b"RIFF\x24\0\0\0WAVE",
        b"RIFF,path",
        b"II*,path",
        b"\xff\xd8",
    ],
)
def test_text_and_sounds_that_begin_alike_are_no_photos(start: bytes) -> None:
    """A column named BMI makes no bitmap."""
    assert not is_photo(start)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PAR1", PARQUET),
        (b" \r\n\t", EMPTY),
        (b"", EMPTY),
        (b"sku,image\n", TEXT),
        (b"\xef\xbb\xbfsku,image\n", TEXT),
        ("größe,bild\n".encode(), TEXT),
        ("größe,bild\n".encode("latin-1"), UNKNOWN),
        (b"a\0b", UNKNOWN),
        (b"a\x1bb", TEXT),
        (b"\xff\xfea\0", UTF16),
        (b"\xfe\xff\0a", UTF16),
        (b'{"a": 1}', JSON),
        (b"{}", JSON),
        (b'\xef\xbb\xbf [\n{"a": 1}]', JSON),
        (b"[]", JSON),
        (b"[x],path\n", TEXT),
        (b"{x},path\n", TEXT),
    ],
)
def test_kinds_of_text_are_told_apart(start: bytes, kind: object) -> None:
    """Tables whose first column's name begins with a bracket are text, not JSON."""
    assert kind_of(start) is kind


def test_a_zip_is_a_spreadsheet_by_suffix_or_content() -> None:
    """All office files are ZIP archives."""
    start = b"PK\x03\x04" + bytes(30)
    assert kind_of(start).name == "an archive"
    assert kind_of(start, ".XLSX").name == "a spreadsheet"
    assert kind_of(start + b"xl/workbook.xml").name == "a spreadsheet"
    assert kind_of(b"PK\x05\x06").name == "an archive"


def test_text_is_text_wherever_its_start_is_cut() -> None:
    """A character that the end of the start cuts in two makes it no other kind; a wrong byte before the end does."""
    text = ("ü" * 3000).encode()
    assert {kind_of(text[:START]), kind_of(text[: START - 1])} == {TEXT}
    assert kind_of(text[:1001] + b"a" * 100) is UNKNOWN


def test_a_photo_is_told_by_the_beginning_of_its_file(tmp_path: Path) -> None:
    """Whatever its name is; a file that cannot be read is an error of one sentence."""
    (tmp_path / "notes").write_text("sku,image\n")
    draw_photo(1, (20, 20)).save(tmp_path / "upload", "PNG")
    assert (begins_photo(tmp_path / "notes"), begins_photo(tmp_path / "upload")) == (False, True)
    with pytest.raises(SourceError, match=r"none cannot be read: No such file or directory\.$"):
        begins_photo(tmp_path / "none")
