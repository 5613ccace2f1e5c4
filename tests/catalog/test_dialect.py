"""Separator, quotes and header of a table are found by whole rows."""

from collections.abc import Sequence

import pytest

from tagger.catalog.columns import unique_names, usual_image_column
from tagger.catalog.dialect import choose_header, find_headless, find_layout, shape_of, without_empty_end


def has_image(cells: Sequence[str]) -> bool:
    """Return whether cells are a header."""
    return usual_image_column(unique_names(without_empty_end(cells))) is not None


@pytest.mark.parametrize(
    ("sample", "separator", "header", "lines"),
    [
        ("image\na,b.jpg\n", ";", ["image"], 1),
        ("image\n", ",", ["image"], 1),
        ("sku;price;image\n1;1,50;a.jpg\n", ";", ["sku", "price", "image"], 1),
        ("Images of 2026, all\n\nsku|image\n1|a.jpg\n", "|", ["sku", "image"], 3),
        ("Image\nsku,image,n\n1,a.jpg,x\n2,b.jpg,y\n", ",", ["sku", "image", "n"], 2),
        ("sep=^\nsku^image\n1^a.jpg\n", "^", ["sku", "image"], 2),
        ('"a;b;c;d",image,price\n1,a.jpg,2\n', ",", ["a;b;c;d", "image", "price"], 1),
        ('sku,"net\nprice",image\n1,2,a.jpg\n', ",", ["sku", "net\nprice", "image"], 2),
        ('sku,"title,image\n1,a,a.jpg\n', ",", ["sku", "title", "image"], 1),
    ],
)
def test_the_layout_is_that_in_which_a_header_fits_its_rows(sample: str, separator: str, header: list[str], lines: int) -> None:
    """Separators in titles, quotes, prices and file names do not count."""
    layout = find_layout(sample, has_image)
    assert layout is not None
    assert (layout.dialect.separator, layout.header, layout.lines) == (separator, header, lines)


@pytest.mark.parametrize(
    ("sample", "quote", "backslash", "blanks"),
    [
        ("'sku','image'\n'1','a, b.jpg'\n", "'", False, False),
        ('sku,image\n"5\\" x, y",a.jpg\n', '"', True, False),
        ('sku, image\n"a, b", "a.jpg"\n', '"', False, True),
        ('sku,image\n"C:\\x\\",a.jpg\n', '"', False, False),
        ("sku,image\n'tis,a.jpg\n", '"', False, False),
    ],
)
def test_quotes_are_found(sample: str, quote: str, backslash: bool, blanks: bool) -> None:
    """The simplest dialect that explains all quotes is taken."""
    layout = find_layout(sample, has_image)
    assert layout is not None
    assert layout.dialect[1:] == (quote, backslash, blanks)


def test_tables_without_header() -> None:
    """A column of photos' names from the first row on tells a table without one; text is none."""
    found = find_headless("1;a.jpg\n2;b.jpg\n")
    assert found is not None
    assert (found[0].dialect.separator, found[1]) == (";", 1)
    assert find_headless("This is, a text\nof lines, you see\n") is None
    assert find_headless("Bild;Name\na.jpg;x\n") is None


def test_the_header_fits_most_rows_below() -> None:
    """A title with the name of an image column is none, where a later row is; the last row alone may be one."""
    assert choose_header([["image"], ["sku", "image"], ["1", "a"], ["2", "b"]], has_image) == (1, 1.0)
    assert choose_header([["1"], ["image"]], has_image) == (1, 1.0)
    assert choose_header([["1"]], has_image) is None


def test_the_shape_of_a_table_is_that_of_its_first_rows() -> None:
    """Suffixes of the images, and whether rows have all their cells."""
    layout = find_layout("sku,image,n\n1,a.jpg,x\n2,b.jpg\n", has_image)
    assert layout is not None
    assert shape_of(layout, 3, 1) == (shape := shape_of(layout, 3, 1))
    assert (shape.names_have_suffixes, shape.is_full) == (True, False)
