"""A cell names its images in their order, however many they are, and a separator within a name separates nothing."""

from collections.abc import Callable

import pytest

from tagger.catalog.cell_images import SEPARATORS, cell_images, is_blank, split_images
from tagger.records import EmbeddedPhoto, Failed

EMBEDDED = EmbeddedPhoto("t.parquet#0", "t.parquet", 0, "image", ("bytes",), 3, 4)


def images(value: object, *existing: str, separators: str = SEPARATORS) -> list[object]:
    """Return the images of a cell, with "bad_row" in place of what is none."""
    found = cell_images(value, separators, existing.__contains__)
    return [one.reason if isinstance(one, Failed) else one for one in found]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "\t\r\n",
        "\u00a0",
        "\u200b",
        '""',
        "-",
        "--",
        "—",
        "n/a",
        "N/A",
        "#N/A",
        "NULL",
        "None",
        "NaN",
        "\\N",
        "no_selection",
    ],
)
def test_cells_that_say_that_there_is_no_image(text: str) -> None:
    """Empty ones, and those of the usual words in any case; a file of that name is an image all the same."""
    assert is_blank(text)
    assert images(text) == images(f" {text} ") == []
    assert images("null", "null") == ["null"]


@pytest.mark.parametrize(
    "value", [None, [], {}, float("nan"), [None, "", []], {"bytes": None, "path": None}, {"url": ""}, "[]", "[null]"]
)
def test_values_that_hold_no_image(value: object) -> None:
    """Missing ones, and lists and objects of nothing else."""
    assert images(value) == []


@pytest.mark.parametrize("text", ["null.jpg", "none-1.jpg", "0.jpg", "na/a.jpg"])
def test_names_that_begin_like_nothing_are_names(text: str) -> None:
    """Only the whole cell says that there is no image."""
    assert images(text) == [text]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tee.jpg, bag.jpg", ["tee.jpg", "bag.jpg"]),
        ("tee.jpg;bag.jpg;coat.jpg", ["tee.jpg", "bag.jpg", "coat.jpg"]),
        ("tee.jpg | bag.jpg", ["tee.jpg", "bag.jpg"]),
        ("tee.jpg\r\nbag.jpg\n", ["tee.jpg", "bag.jpg"]),
        ("tee.jpg,,bag.jpg", ["tee.jpg", "bag.jpg"]),
        (", tee.jpg, bag.jpg", ["tee.jpg", "bag.jpg"]),
        ("tee, blue.jpg", ["tee, blue.jpg"]),
        ("tee, blue.jpg, bag, red.jpg", ["tee, blue.jpg", "bag, red.jpg"]),
        ('"tee.jpg","bag.jpg"', ['"tee.jpg"', '"bag.jpg"']),
        ("https://x.example/a.jpg,https://x.example/b.jpg", ["https://x.example/a.jpg", "https://x.example/b.jpg"]),
        ("https://x.example/w_200,h_300/a.jpg", ["https://x.example/w_200,h_300/a.jpg"]),
        ("https://x.example/a.jpg?crop=1,2", ["https://x.example/a.jpg?crop=1,2"]),
        ("https://x.example/a.jpg?a=1&amp;v=17", ["https://x.example/a.jpg?a=1&amp;v=17"]),
        ("https://x.example/i?id=1, https://x.example/i?id=2", ["https://x.example/i?id=1", "https://x.example/i?id=2"]),
        ("//x.example/w_2,h_3/a.jpg, //x.example/b.jpg", ["//x.example/w_2,h_3/a.jpg", "//x.example/b.jpg"]),
        ("photos\\tee.jpg;photos\\bag.jpg", ["photos\\tee.jpg", "photos\\bag.jpg"]),
        ("tee.jpg, n/a", ["tee.jpg"]),
        ('["tee.jpg", "bag.jpg"]', ["tee.jpg", "bag.jpg"]),
        ("['tee.jpg', 'bag.jpg']", ["tee.jpg", "bag.jpg"]),
        ('{"url": "tee.jpg"}', ["tee.jpg"]),
        ('[{"src": "tee.jpg"}, {"src": "bag.jpg"}]', ["tee.jpg", "bag.jpg"]),
        ("[tee].jpg", ["[tee].jpg"]),
        ("[tee]", ["[tee]"]),
    ],
)
def test_several_images_in_a_text_cell(text: str, parts: list[str]) -> None:
    """Separated as exports do it, as JSON, or as Python prints a list."""
    assert images(text) == parts


def test_a_name_that_exists_is_one_image() -> None:
    """Whatever separators are in it, alone and among others."""
    assert images("a.jpg,b.jpg", "a.jpg,b.jpg") == ["a.jpg,b.jpg"]
    assert images("tee", "tee") == ["tee"]
    assert images("tee,bag", "tee", "bag") == ["tee", "bag"]


def test_a_cell_of_one_image_keeps_its_text() -> None:
    """Blanks and trailing separators are for the search to deal with: the output repeats what the table says."""
    assert images(" tee.jpg ") == [" tee.jpg "]
    assert images("tee.jpg,") == ["tee.jpg,"]


def test_without_separators_a_cell_holds_one_image() -> None:
    """As in exports whose names may have them all."""
    assert images("a.jpg|b.jpg", separators="") == ["a.jpg|b.jpg"]
    assert split_images("a.jpg|b.jpg", ",", lambda text: False) == ["a.jpg|b.jpg"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["a.jpg", ["b.jpg", None]], ["a.jpg", "b.jpg"]),
        ({"url": "a.jpg"}, ["a.jpg"]),
        ({"Image URL": 5, "SRC": "a.jpg"}, ["a.jpg"]),
        ({"file_name": "a.jpg", "url": "https://x.example/a.jpg"}, ["a.jpg"]),
        ({"path": None, "src": "a.jpg"}, ["a.jpg"]),
        ({"image": {"url": "a.jpg"}}, ["a.jpg"]),
        ([{"src": "a.jpg"}, {"src": "b.jpg"}], ["a.jpg", "b.jpg"]),
        (EMBEDDED, [EMBEDDED]),
        ([EMBEDDED, "a.jpg"], [EMBEDDED, "a.jpg"]),
        (5, ["bad_row"]),
        (2.5, ["bad_row"]),
        (True, ["bad_row"]),
        (b"x", ["bad_row"]),
        ({"id": 5}, ["bad_row"]),
    ],
)
def test_values_of_json_lines_and_parquet(value: object, found: list[object]) -> None:
    """Lists and objects name their images; numbers and objects without a path are bad rows."""
    assert images(value) == found


def test_a_number_may_be_the_name_of_a_file() -> None:
    """Where that file exists."""
    assert images(5, "5") == ["5"]


def test_nothing_is_nested_for_ever() -> None:
    """A deep list is a bad row, not an endless search."""
    deep: object = "a.jpg"
    for _ in range(50):
        deep = [deep]
    assert images(deep) == ["bad_row"]
    assert images("[" * 50_000) == ["[" * 50_000]


@pytest.mark.parametrize("wrong", [lambda: images("['\\p.jpg']"), lambda: images("[" + "1," * 60_000 + "]")])
def test_odd_literals_are_read_or_left_without_a_word(wrong: Callable[[], list[object]]) -> None:
    """Python's warnings about escapes, which would be errors here, and endless lists."""
    assert wrong()
