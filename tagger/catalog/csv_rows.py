"""Read the rows of text with separators, so that a stray quote costs its own row and no other.

Valid text (RFC 4180) is parsed by Python's csv, in C. Where that finds a quote out of place, the lines are parsed again by a
rule that forgives more: a quote closes a cell only before a separator or a line end. A quote that is never closed, or a cell
over several lines that holds what looks like further rows, makes its first line a row with a fault; the lines after
it are rows of their own.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tagger.file_kinds import IMAGE_SUFFIXES

MAX_CELL = 1 << 26
"""Characters of a row over several lines; beyond them its quote counts as never closed."""

MAX_FAULTY_LINES = 500
"""Lines of a row with a quote out of place; beyond them the quote counts as never closed."""

BLANKS = " \t\r\n"
"""Characters of a line that is no row."""

END_OF_FILE = BLANKS + "\0\x1a"
"""Characters of a last line without a line end that is no row: what old systems fill a file up with."""

NEVER_CLOSED = "a quote that is never closed"

OUT_OF_PLACE = "quotes out of place"

_IMAGE_NAME = re.compile(
    rf"({'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))})[\s'\"]*(\?\S*)?$|^\s*https?://\S+$", re.IGNORECASE
)


class Dialect(NamedTuple):
    """How the cells of a row are separated and quoted."""

    separator: str = ","
    quote: str = '"'
    backslash: bool = False
    r"""Whether a quote within a cell is written as `\"`, besides as two quotes."""
    blanks: bool = False
    """Whether blanks stand between a separator and a quote."""


class Row(NamedTuple):
    """The cells of a row, or of a damaged line."""

    cells: list[str]
    line: int
    """Where it begins, from 1."""
    fault: str = ""
    """What is wrong with its quotes; empty for a good row."""
    has_stray_quotes: bool = False
    """Whether quotes within its cells are neither doubled nor escaped, which another dialect may explain; told only where no
    shape says whether the row fits."""


@dataclass(frozen=True)
class Shape:
    """What a row of the table looks like: it tells a line that is one from a line of text within a cell."""

    width: int
    """Cells of a row."""
    image: int
    """Index of the cell that holds the image."""
    names_have_suffixes: bool = True
    """Whether the images of the table are told by their suffixes or addresses."""
    is_full: bool = False
    """Whether rows have all their cells, also where those at their end are empty."""


def is_image_name(text: str) -> bool:
    """Return whether a text is the name of a photo, by its suffix, or an address."""
    return _IMAGE_NAME.search(text) is not None


def read_rows(lines: Iterable[str], dialect: Dialect, shape: Shape | None = None, line: int = 0) -> Iterator[Row]:
    """Yield the rows of lines, which keep their line ends; lines of blanks are none.

    Args:
        lines: lines of text; at most one row is held in memory.
        dialect: how cells are separated and quoted.
        shape: what a row looks like; None where it is not yet known.
        line: number of lines before the first one.
    """
    return _Reader(lines, dialect, shape, line).rows()


class _Reader:
    """Lines that can be put back, and the parsers of a row, which take as many as the row has."""

    def __init__(self, lines: Iterable[str], dialect: Dialect, shape: Shape | None, line: int) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._dialect, self._shape = dialect, shape
        self._number = line
        self._row: list[str] = []  # the lines of the row that is being parsed
        self._given = 0  # how many of them csv has got
        self._size = 0
        csv.field_size_limit(2**31 - 1)
        separator, quote = dialect.separator, dialect.quote
        self._parser = csv.reader(self, delimiter=separator, quotechar=quote, strict=True)
        self._quoted_cell = re.compile(f"(^|{re.escape(separator)}){re.escape(quote)}")
        cell = f"{re.escape(quote)}[^{re.escape(quote)}\r\n]*{re.escape(quote)}"
        self._all_quoted = re.compile(f"{cell}({re.escape(separator)}{cell})+[\r\n]*")

    def rows(self) -> Iterator[Row]:
        separator, quote = self._dialect.separator, self._dialect.quote
        while (line := self._next_line()) is not None:
            if quote in line:
                yield self._quoted_row(line)
                continue
            text = line.rstrip("\r\n")
            if separator in text or text.strip(BLANKS if len(text) < len(line) else END_OF_FILE):
                yield Row(text.split(separator), self._number)

    def _next_line(self) -> str | None:
        line = self._again.popleft() if self._again else next(self._lines, None)
        self._number += line is not None
        return line

    def _put_back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))
        self._number -= len(lines)

    # Valid rows, by csv

    def __iter__(self) -> "_Reader":
        return self

    def __next__(self) -> str:
        """Give csv the next line of the row, unless it would be a row of the table itself."""
        if self._given == len(self._row):
            line = self._next_line()
            if line is None:
                raise StopIteration
            self._row.append(line)
            self._size += len(line)
            if self._size > MAX_CELL or self._looks_like_row(line):
                raise StopIteration
        self._given += 1
        return self._row[self._given - 1]

    def _quoted_row(self, line: str) -> Row:
        number, self._row, self._given, self._size = self._number, [line], 0, len(line)
        if not (self._dialect.backslash or self._dialect.blanks):
            try:
                cells = next(self._parser)
                if len(self._row) > 1 and self._swallows_a_row():
                    return self._never_closed(number)
                return Row(cells, number, self._fault_of_length(len(cells)))
            except (csv.Error, StopIteration):
                pass
        return self._forgiven_row(number)

    # Rows with quotes out of place

    def _forgiven_row(self, number: int) -> Row:
        taken, self._row = self._row, self._row[:1]
        self._put_back(taken[1:])
        parsed = _Cells(self._dialect)
        parsed.add(self._row[0])
        size = len(self._row[0])
        while parsed.is_open:
            line = self._next_line()
            if line is None:
                return self._never_closed(number)
            self._row.append(line)
            size += len(line)
            if size > MAX_CELL or len(self._row) > MAX_FAULTY_LINES or self._looks_like_row(line):
                return self._never_closed(number)
            parsed.add(line)
            if parsed.opens_within:
                return self._never_closed(number)
        if len(self._row) > 1 and self._swallows_a_row():
            return self._never_closed(number)
        fits = self._shape is None or len(parsed.cells) == self._shape.width
        fault = OUT_OF_PLACE if parsed.faults and not fits else self._fault_of_length(len(parsed.cells))
        return Row(parsed.cells, number, fault, parsed.faults > 0 and self._shape is None)

    def _fault_of_length(self, length: int) -> str:
        """Return the fault of a row of another length than the table's: its quotes may hold more or less than a cell."""
        shape = self._shape
        if shape is None or length == shape.width:
            return ""
        several = len(self._row) > 1
        ends_early = several and length <= shape.image
        odd = several or self._row[0].count(self._dialect.quote) % 2 == 1
        return OUT_OF_PLACE if ends_early or (odd and (length > shape.width or shape.is_full)) else ""

    def _never_closed(self, number: int) -> Row:
        """Return the first line of the row as a row with a fault, and put the others back."""
        self._put_back(self._row[1:])
        parsed = _Cells(self._dialect)
        parsed.add(self._row[0])
        return Row(parsed.closed(), number, NEVER_CLOSED)

    # What tells a row of the table from a line of text

    def _looks_like_row(self, line: str) -> bool:
        """Return whether a line within a cell is a whole row: as many cells, and an image where the table has its images."""
        shape = self._shape
        if shape is None or shape.width < 2 or self._dialect.separator not in line:
            return False
        if self._dialect.quote not in line:
            return self._fits(line.rstrip("\r\n").split(self._dialect.separator))
        if not self._quoted_cell.search(line):
            return False
        try:
            cells = next(csv.reader([line], delimiter=self._dialect.separator, quotechar=self._dialect.quote, strict=True))
        except (csv.Error, StopIteration):
            return False
        return self._fits(cells) or (len(cells) == shape.width and self._all_quoted.fullmatch(line) is not None)

    def _swallows_a_row(self) -> bool:
        """Return whether the first and the last line of a cell over several lines are both rows if quotes are taken as text."""
        shape = self._shape
        if shape is None or shape.width < 2:
            return False
        last = self._row[-1].rstrip("\r\n").split(self._dialect.separator)
        begins = shape.names_have_suffixes and len(last) > shape.width and is_image_name(last[shape.image])
        return self._ends_like_a_row() and (begins or self._fits(last))

    def _fits(self, cells: list[str]) -> bool:
        shape = self._shape
        assert shape is not None
        if len(cells) != shape.width:
            return False
        others = [cell for at, cell in enumerate(cells) if at != shape.image]
        image = cells[shape.image].strip(" \t\"'")
        if shape.names_have_suffixes:
            if image:
                return is_image_name(image) and not all(map(is_image_name, others))
        elif image:
            own = self._image_of_first_line()
            return own is not None and _form(own) == _form(image)
        # A variant without an image of its own: as many cells, and the first one of the same form.
        first = self._row[0].split(self._dialect.separator)[0]
        return shape.width >= 6 and bool(cells[0].strip()) and _form(cells[0]) == _form(first)

    def _ends_like_a_row(self) -> bool:
        image = self._image_of_first_line()
        shape = self._shape
        assert shape is not None
        return image is not None and (is_image_name(image) if shape.names_have_suffixes else bool(image))

    def _image_of_first_line(self) -> str | None:
        """Return the image of the row's first line, counted from its end, with quotes as text; None if it is too short."""
        shape = self._shape
        assert shape is not None
        cells = self._row[0].rstrip("\r\n").split(self._dialect.separator)
        return cells[shape.image - shape.width].strip(" \t\"'") if len(cells) >= shape.width else None


class _Cells:
    """The cells of a row that is parsed line by line; a quote closes a cell before a separator or a line end only."""

    def __init__(self, dialect: Dialect) -> None:
        self._separator, self._quote, self._backslash = dialect.separator, dialect.quote, dialect.backslash
        quote, separator = re.escape(dialect.quote), re.escape(dialect.separator)
        self._opening = re.compile(f"[ \t]*{quote}" if dialect.blanks and dialect.separator != "\t" else quote)
        self._closing = re.compile(f"{quote}[ ]*(?={separator}|[\r\n]|$)")
        self.cells: list[str] = []
        self.faults = 0
        """Quotes within a cell that are neither doubled nor escaped."""
        self.is_open = False
        self.opens_within = False
        """Whether the open cell has a quote, not on its first line, where another cell would begin."""
        self._parts: list[str] = []
        self._lines = 0
        self._starts_quoted = False

    def add(self, line: str) -> None:
        """Parse a line that begins the row, or goes on in its open cell."""
        at = 0
        self._lines += 1
        if self._lines == 1:
            self._starts_quoted = line.startswith(self._quote)
        while True:
            if not self.is_open:
                opening = self._opening.match(line, at)
                if opening is None:
                    end = line.find(self._separator, at)
                    if end < 0:
                        self.cells.append(line[at:].rstrip("\r\n"))
                        return
                    self.cells.append(line[at:end])
                    at = end + 1
                    continue
                self.is_open, at = True, opening.end()
            end, after = self._end_of_cell(line, at)
            self._parts.append(line[at:end])
            if after < 0:
                return
            self.cells.append(self._unescaped("".join(self._parts)))
            self._parts, self.is_open, at = [], False, after
            if line[at : at + 1] != self._separator:
                return
            at += 1

    def closed(self) -> list[str]:
        """Return the cells with a quote that is open at the end taken as text."""
        if not self.is_open:
            return self.cells
        rest = (self._quote + "".join(self._parts)).rstrip("\r\n")
        return [*self.cells, *rest.split(self._separator)]

    def _end_of_cell(self, line: str, at: int) -> tuple[int, int]:
        """Return where the open cell ends in a line, and where its closing quote does; the line's end and -1 if it goes on."""
        while (found := line.find(self._quote, at)) >= 0:
            if self._backslash and (len(line[:found]) - len(line[:found].rstrip("\\"))) % 2:
                at = found + 1
            elif line.startswith(self._quote * 2, found):
                at = found + 2
            elif (closing := self._closing.match(line, found)) is not None:
                return found, closing.end()
            else:
                self.faults += 1
                begins = line[found - 1] == self._separator if found else self._starts_quoted
                self.opens_within = self.opens_within or (begins and self._lines > 1)
                at = found + 1
        return len(line), -1

    def _unescaped(self, text: str) -> str:
        text = text.replace(self._quote * 2, self._quote)
        return text.replace("\\" + self._quote, self._quote) if self._backslash else text


def _form(cell: str) -> str:
    """Return a cell with each run of digits as 9 and each run of letters as a."""
    return re.sub("[^\\W\\d_]+", "a", re.sub(r"\d+", "9", cell.strip(" \"'")))
