"""Rows of text with separators: a quote out of place costs its own row, and valid text is never damaged."""

import io

import pytest

from tagger.catalog import csv_rows
from tagger.catalog.csv_rows import NEVER_CLOSED, OUT_OF_PLACE, Dialect, Row, Shape, is_image_name, read_rows

LAST = Shape(3, 2, True, True)


def rows(text: str, shape: Shape | None = LAST, dialect: Dialect | None = None) -> list[Row]:
    """Return the rows of a text."""
    return list(read_rows(io.StringIO(text, newline=""), dialect or Dialect(), shape))


def faults(found: list[Row]) -> list[str]:
    """Return the fault of each row."""
    return [row.fault for row in found]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_valid_text_is_read_as_it_was_written(line_end: str) -> None:
    """Separators, quotes and line ends within quotes, quotes within cells, empty cells, blank lines, short rows."""
    text = '1,"a, ""b""",x.jpg\n\n2,5" tall,y.jpg\n3,"two\nlines, and ""third""",z.jpg\n4\n'.replace("\n", line_end)
    found = rows(text)
    cells = [["1", 'a, "b"', "x.jpg"], ["2", '5" tall', "y.jpg"], ["3", f'two{line_end}lines, and "third"', "z.jpg"], ["4"]]
    assert [row.cells for row in found] == cells
    assert [row.line for row in found] == [1, 3, 4, 6]
    assert faults(found) == [""] * 4


@pytest.mark.parametrize(
    "text",
    [
        '1,"Tee blue,a.jpg\n2,Trousers,b.jpg\n3,"Bag",c.jpg\n',
        '1,"Tee blue,a.jpg\n2,"Trousers",b.jpg\n3,Bag,c.jpg\n',
        '1,"Tee blue,a.jpg\n2,Trousers 5",b.jpg\n3,Bag,c.jpg\n',
        '1,"Tee blue,a.jpg\n2,Trousers,b.jpg\n3,"",c.jpg\n',
        '1,"Tee, blue,a.jpg\n2,Trousers,b.jpg\n3,Bag,c.jpg\n',
        '1,Tee,"a.jpg\n2,Trousers,b.jpg\n3,Bag,"c.jpg"\n',
        '"1,Tee,a.jpg\n2,Trousers,b.jpg\n"3",Bag,c.jpg\n',
        '1,"Tee,a.jpg\n2,"Trousers",b.jpg\n3,"Bag",c.jpg\n',
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_row(text: str) -> None:
    """Wherever it stands and whatever follows, the rows below are their own; the row itself is one with a fault."""
    found = rows(text)
    assert faults(found) == [NEVER_CLOSED, "", ""]
    assert [(row.cells[0], row.cells[2]) for row in found[1:]] == [("2", "b.jpg"), ("3", "c.jpg")]
    assert [row.line for row in found] == [1, 2, 3]


def test_every_row_may_have_a_quote_that_is_never_closed() -> None:
    """None takes another one."""
    found = rows("".join(f'{number},"Tee {number},{number}.jpg\n' for number in range(20)))
    assert faults(found) == [NEVER_CLOSED] * 20


def test_images_without_suffixes_tell_rows_by_their_form() -> None:
    """Where names have no suffixes, a line with an image of the same form as the first line's is a row."""
    found = rows('1,"Tee,p/1\n2,Bag,p/2\n3,"x",p/3\n', Shape(3, 2, False, True))
    assert faults(found) == [NEVER_CLOSED, "", ""]
    assert faults(rows('1,"Tee\nsoft, nice, cotton",p/1\n', Shape(3, 2, False, True))) == [""]


def test_a_variant_without_an_image_is_a_row_too() -> None:
    """Wide tables tell it by the number of cells and the form of the first one."""
    text = 'tee,"Tee,,,M,T-M,,\ntee,,,,L,T-L,,\nbag,"Bag",,,x,B,bag.jpg,\n'
    assert faults(rows(text, Shape(8, 6, True, True))) == [NEVER_CLOSED, "", ""]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('1,"5" tall",a.jpg\n', '5" tall'),
        ('1,"<p class="x">Hi, there</p>",a.jpg\n', '<p class="x">Hi, there</p>'),
        ('1,"<p class="x">Hi\nthere</p>",a.jpg\n', '<p class="x">Hi\nthere</p>'),
        ('1,"Tee" ,a.jpg\n', "Tee"),
    ],
)
def test_quotes_that_are_not_doubled_are_text_where_the_row_fits(text: str, cell: str) -> None:
    """A quote closes a cell before a separator or a line end only."""
    assert rows(text) == [Row(["1", cell, "a.jpg"], 1)]


@pytest.mark.parametrize("text", ['1,"Tee 5", blue",a.jpg\n', '1,Tee,blue",a.jpg\n', '1,"Tee"x,"a.jpg\n'])
def test_a_row_that_quotes_make_longer_or_shorter_has_a_fault(text: str) -> None:
    """It is named, as its cells may be shifted."""
    assert rows(text)[0].fault in (OUT_OF_PLACE, NEVER_CLOSED)


def test_cells_over_lines_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond them the quote counts as never closed, so that memory is bounded."""
    monkeypatch.setattr(csv_rows, "MAX_CELL", 100)
    found = rows('1,"' + "text\n" * 50 + '",a.jpg\n', Shape(3, 2))
    assert found[0].fault == NEVER_CLOSED
    assert faults(rows('1,"' + "text\n" * 10 + '",a.jpg\n', Shape(3, 2))) == [""]


def test_other_dialects() -> None:
    r"""Apostrophes as quotes, blanks before quotes, and `\"` within them."""
    assert rows("'1';'a;b';'c'\n", None, Dialect(";", "'")) == [Row(["1", "a;b", "c"], 1)]
    assert rows('1, "a, b", "c"\n', None, Dialect(blanks=True)) == [Row(["1", "a, b", "c"], 1)]
    assert rows('1,"5\\" x, y","p\\c"\n', None, Dialect(backslash=True)) == [Row(["1", '5" x, y', "p\\c"], 1)]


def test_large_cells_and_fill_characters() -> None:
    """A cell may have megabytes; a last line of zeros or of the old mark of a file's end is no row."""
    assert len(rows(f'1,"{"x" * 3_000_000}",a.jpg\n')[0].cells[1]) == 3_000_000
    assert [row.cells for row in rows("1,b,a.jpg\n\x1a")] == [["1", "b", "a.jpg"]]
    assert [row.cells for row in rows("1,b\0,a.jpg\n\0\0")] == [["1", "b\0", "a.jpg"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.JPG", True), ("a.jpg?v=1", True), ("https://x/y", True), ("a", False), ("a.jpg large", False), ("", False)],
)
def test_names_of_images(text: str, expected: bool) -> None:
    """They are told by suffix or address."""
    assert is_image_name(text) is expected
