"""Find the header of a table and, of text, the characters that separate and quote its cells.

The rule, over whole rows and not over counted characters: a separator is right if with it one of the first rows is a header,
which has an image column, and most rows below have no more cells than it has. Lines before the header (titles, blank lines,
comments, `sep=;`) are left out. Where no row is such a header, rows that all have a photo's name in the same column are a table
without one; a table of one column is a list.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tagger.catalog.csv_rows import BLANKS, Dialect, Row, Shape, is_image_name, read_rows

SEPARATORS = (",", ";", "\t", "|", "^", "~", "\x01", "\x1f")
"""Characters that may separate cells, the likeliest first."""

SAMPLE = 1 << 18
"""Characters from the beginning of a table in which its dialect and header are found."""

SAMPLE_ROWS = 300

HEADER_ROWS = 60
"""First rows, one of which is the header."""

MIN_FIT = 0.5
"""Share of the rows below that a header fits; of several rows that have an image column the first one such is the header."""

IsHeader = Callable[[Sequence[str]], bool]
"""Returns whether cells are the names of a table's columns."""


class Layout(NamedTuple):
    """Where the rows of a table begin and how they are written."""

    dialect: Dialect
    header: list[str]
    """The cells of the header as they are; empty where the table has none."""
    lines: int
    """Lines before the first row, those of the header included."""
    sample: list[list[str]]
    """The cells of the first rows."""


def find_layout(sample: str, is_header: IsHeader) -> Layout | None:
    """Return the layout of a table from its first characters; None where no row is a header."""
    found: list[tuple[float, int, bool, int, int, Layout]] = []
    for dialect in _dialects(sample):
        rows = _sample_rows(sample, dialect)
        chosen = choose_header([row.cells for row in rows], is_header)
        if chosen is None:
            continue
        at, fit = chosen
        below = rows[at + 1 :]
        lines = below[0].line - 1 if below else _lines(sample)
        width = len(rows[at].cells)
        faults = sum(_is_odd(row) or len(row.cells) > width for row in rows[at:])
        header = [cell.strip(dialect.quote) for cell in rows[at].cells] if rows[at].fault else rows[at].cells
        layout = Layout(dialect, header, lines, [row.cells for row in below])
        found.append((-round(fit, 2), faults, width == 1, at, len(found), layout))
    return min(found)[-1] if found else _find_by_lines(sample, is_header)


def find_headless(sample: str) -> tuple[Layout, int] | None:
    """Return the layout of a table without a header, and the index of the column whose cells are all names of photos.

    Returns None where no column is one. A layout with one column is a list.
    """
    for dialect in _dialects(sample):
        rows = [row.cells for row in _sample_rows(sample, dialect) if not _is_comment(row.cells)]
        widths = [len(cells) for cells in rows]
        if not rows or widths.count(widths[0]) < 0.9 * len(widths):
            continue
        for at in range(widths[0]):
            cells = [row[at] for row in rows if at < len(row)]
            if is_image_name(cells[0]) and sum(map(is_image_name, cells)) >= 0.9 * len(cells):
                return Layout(dialect, [], 0, rows), at
    return None


def choose_header(rows: Sequence[Sequence[str]], is_header: IsHeader) -> tuple[int, float] | None:
    """Return the index of the header among the first rows of a table, and the share 0..1 of rows below that it fits.

    A row fits if it has no more cells than the header, empty ones at its end not counted. Returns None without a header.
    """
    best: tuple[int, float] | None = None
    for at, cells in enumerate(rows[:HEADER_ROWS]):
        if not is_header(cells):
            continue
        width = len(without_empty_end(cells))
        below = [len(without_empty_end(row)) for row in rows[at + 1 :]]
        fit = sum(length <= width for length in below) / len(below) if below else 1.0
        if best is None or fit > best[1]:
            best = at, fit
        if fit >= MIN_FIT:
            break
    return best


def shape_of(layout: Layout, width: int, image: int) -> Shape:
    """Return what a row of a table looks like, from the rows of its layout."""
    images = [cells[image] for cells in layout.sample if image < len(cells) and cells[image].strip()]
    named = sum(map(is_image_name, images)) >= 0.5 * len(images)
    return Shape(width, image, named, sum(len(cells) >= width for cells in layout.sample) >= 0.7 * len(layout.sample))


def without_empty_end(cells: Sequence[str]) -> Sequence[str]:
    """Return cells without the empty ones at their end."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


# Ways to read a sample -----------------------------------------------------------------------------------------------


def _dialects(sample: str) -> Iterator[Dialect]:
    """Yield the dialects that a sample may have, of equally good ones the likelier first."""
    declared = re.match(r'\ufeff?"?sep=(.)"?[ \t]*[\r\n]', sample, re.IGNORECASE)
    present = [separator for separator in SEPARATORS if separator in sample]
    separators = (
        [declared[1]] if declared else [*present, *([separator for separator in SEPARATORS if separator not in sample][:1])]
    )
    for separator in separators:
        quote = _quote(sample, separator)
        yield Dialect(separator, quote)
        spaced = re.search(f"{re.escape(separator)}[ \t]+{quote}", sample) is not None and separator != "\t"
        escaped = "\\" + quote in sample
        if spaced:
            yield Dialect(separator, quote, blanks=True)
        if escaped:
            yield Dialect(separator, quote, backslash=True)
        if spaced and escaped:
            yield Dialect(separator, quote, backslash=True, blanks=True)


def _quote(sample: str, separator: str) -> str:
    """Return the quote of a sample: an apostrophe where it encloses the header's cells, or more cells than quotes do."""
    mark = re.escape(separator)
    first = next((line for line in sample.splitlines() if line.strip(BLANKS) and not line.startswith(("#", "sep="))), "")
    if re.fullmatch(f" *'[^']*' *(?:{mark} *'[^']*' *)*{mark}?", first):
        return "'"
    enclosed = {
        quote: len(re.findall(f"(?m)(?:^|{mark}) *{quote}[^{quote}\r\n]*{quote}(?= *(?:{mark}|\r|$))", sample))
        for quote in "\"'"
    }
    return "'" if enclosed["'"] > enclosed['"'] and enclosed["'"] >= max(5, _lines(sample) - 1) else '"'


def _sample_rows(sample: str, dialect: Dialect) -> list[Row]:
    rows: list[Row] = []
    for row in read_rows(io.StringIO(sample, newline=""), dialect):
        rows.append(row)
        if len(rows) == SAMPLE_ROWS:
            return rows
    if len(sample) >= SAMPLE and len(rows) > HEADER_ROWS:
        rows.pop()  # the sample ends within it
    return rows


def _find_by_lines(sample: str, is_header: IsHeader) -> Layout | None:
    """Return the layout of a table whose header is in a row with lines before it, because of a quote that is never closed."""
    for dialect in _dialects(sample):
        number = 0
        for number, line in enumerate(io.StringIO(sample, newline=""), 1):
            cells = line.rstrip("\r\n").split(dialect.separator)
            if is_header(cells):
                return Layout(dialect, [cell.strip(dialect.quote + " ") for cell in cells], number, [])
            if number == HEADER_ROWS:
                break
    return None


def _is_odd(row: Row) -> bool:
    """Return whether a row has quotes that its dialect does not explain."""
    edged = (cell.strip()[:1] == '"' or cell.strip()[-1:] == '"' for cell in row.cells)
    return bool(row.fault) or row.has_stray_quotes or any(edged)


def _is_comment(cells: Sequence[str]) -> bool:
    return cells[0].lstrip(BLANKS).startswith("#")


def _lines(sample: str) -> int:
    return sum(1 for _ in io.StringIO(sample, newline=""))
