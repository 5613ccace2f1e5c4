"""A path in a table is read in every way in which programs write paths, and in none that leads elsewhere."""

import os
import unicodedata

import pytest

from tagger.catalog.spellings import clean, decode_percent, folded, readings


@pytest.mark.parametrize(
    "text",
    [
        " tee.jpg",
        "tee.jpg\t",
        "\u00a0tee.jpg\u00a0",
        "\ufefftee.jpg",
        "tee.jpg\u200b",
        '"tee.jpg"',
        "'tee.jpg",
        "\u201etee.jpg\u201c",
        '="tee.jpg"',
        "tee.jpg,",
        "\r\ntee.jpg\n",
        "tee.jpg\0",
    ],
)
def test_what_stands_around_a_path_is_left_out(text: str) -> None:
    """Blanks, quotes, invisible characters and separators, on either side and in any number."""
    assert clean(text) == clean(f" {text} ") == "tee.jpg"


@pytest.mark.parametrize("text", ["a b.jpg", "it's.jpg", "-", "a,b.jpg", ""])
def test_what_stands_within_a_path_stays(text: str) -> None:
    """The same characters between others are part of a name."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TEE.JPG", "tee.jpg"),
        (unicodedata.normalize("NFC", "Hémd.jpg"), unicodedata.normalize("NFD", "HÉMD.jpg")),
        ("a\u00a0b.jpg", "a b.jpg"),
        ("te\u200be.jpg", "tee.jpg"),
        ("tee.jpg ", "tee.jpg"),
        (os.fsdecode("Mäntel.jpg".encode("cp1252")), "mäntel.JPG"),
    ],
)
def test_names_of_one_file_are_folded_alike(one: str, other: str) -> None:
    """Letter case, Unicode form, blanks and the encoding of an older system do not tell names apart."""
    assert folded(one) == folded(other)


@pytest.mark.parametrize("other", ["tee.jpeg", "te e.jpg", "tee-1.jpg", "tée.jpg", "tee_jpg", "\ud800.jpg"])
def test_other_names_are_folded_differently(other: str) -> None:
    """An accent, a hyphen or a suffix makes another file."""
    assert folded(other) != folded("tee.jpg")


@pytest.mark.parametrize(
    ("text", "path"), [("M%C3%A4ntel", "Mäntel"), ("M%E4ntel", "Mäntel"), ("100%", "100%"), ("a%20b", "a b")]
)
def test_percent_codes_are_utf8_or_else_windows_1252(text: str, path: str) -> None:
    """Older shops write one byte per letter; a lone percent sign stays."""
    assert decode_percent(text) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("photos\\tee.jpg", "photos/tee.jpg"),
        ("photos\\men/tee.jpg", "photos/men/tee.jpg"),
        ("blue%20tee.jpg", "blue tee.jpg"),
        ("blue%2520tee.jpg", "blue tee.jpg"),
        ("photos%2Ftee.jpg", "photos/tee.jpg"),
        ("photos%5Ctee.jpg", "photos/tee.jpg"),
        ("%2Fphotos%2Ftee.jpg", "photos/tee.jpg"),
        ("black &amp; white.jpg", "black & white.jpg"),
        ("file:///srv/blue%20tee.jpg", "/srv/blue tee.jpg"),
        ("file://localhost/srv/tee.jpg", "/srv/tee.jpg"),
        ("FILE:/srv/tee.jpg", "/srv/tee.jpg"),
        ("file:tee.jpg", "tee.jpg"),
        ("file://photos/tee.jpg", "photos/tee.jpg"),
        ("file:///C:/shop/tee.jpg", "C:/shop/tee.jpg"),
        ("file:photos\\tee.jpg", "photos/tee.jpg"),
        ("..\\photos\\tee.jpg", "../photos/tee.jpg"),
        (r"caf\udce9.jpg", os.fsdecode(b"caf\xe9.jpg")),
    ],
)
def test_ways_to_write_a_path(text: str, path: str) -> None:
    """Each is among the readings, after the text itself."""
    assert path in readings(text)
    assert readings(text)[0] in (text, path)


@pytest.mark.parametrize(
    "text", ["%2e%2e/tee.jpg", "..%2Ftee.jpg", "photos/%2E%2E/%2e%2e/tee.jpg", "file:../tee.jpg", "%252e%252e%252ftee.jpg"]
)
def test_no_reading_climbs_where_the_text_does_not(text: str) -> None:
    """A `..` that only decoding brings about is no way out of the folder, nor is a leading slash."""
    assert not any(".." in path.split("/") or path.startswith("/") for path in readings(text))
