"""Read tables of text with separators (CSV, TSV and the like, whatever they are called), and lists of paths."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tagger.catalog.columns import ImageColumns, unique_names
from tagger.catalog.csv_rows import BLANKS, Row, Shape, read_rows
from tagger.catalog.dialect import SAMPLE, IsHeader, Layout, find_headless, find_layout, shape_of, without_empty_end
from tagger.catalog.encoding import Encoding, guessed_encoding, open_text
from tagger.catalog.export_formats import facts_of, find_image_columns, image_columns
from tagger.catalog.items import Source, row_items
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.catalog.table_kinds import text_encoding
from tagger.records import Failed, Item

_SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

CANDIDATES = 6
"""Encodings that are tried where the text does not tell which one it has."""

NAMES_TRIED = 50
"""Images whose names tell the encoding: in the right one they exist."""


class _Table(NamedTuple):
    """A table of text, understood as far as its columns."""

    path: Path
    encoding: Encoding
    layout: Layout
    columns: tuple[str, ...]
    """Their unique names; empty for a list of paths."""
    images: ImageColumns
    note: str = ""


def read_text_table(path: Path, reading: SourceSettings) -> Source:
    """Open a table of text, or a list of paths; raises `SourceError` where it has no image column that is known."""
    encoding = text_encoding(path)
    sample = _sample(path, encoding)
    table = _with_header(path, encoding, sample, reading) or _without_header(path, encoding, sample, reading)
    if table is None:
        image_columns(str(path), _likeliest_header(sample), reading)  # raises the error that names the columns
        raise AssertionError(f"{path} has an image column after all")
    table = table._replace(encoding=_encoding_of_names(table))
    notes = [f"{path} {note}." for note in (table.encoding.note, table.note) if note]
    items = _items(table, reading) if table.columns else _listed_items(table)
    return Source(items, path.parent, table.columns, notes=tuple(notes), facts=_facts(table, reading))


def text_rows(path: Path, is_header: IsHeader) -> tuple[list[str], Iterator[Row]]:
    """Return the header of a table of text and its rows, with the cells unchanged; no header where no row is one."""
    encoding = text_encoding(path)
    layout = find_layout(_sample(path, encoding), is_header)
    return (layout.header, _rows(path, encoding, layout, None)) if layout is not None else ([], iter(()))


def _facts(table: _Table, reading: SourceSettings) -> tuple[tuple[str, str], ...]:
    """Return encoding, separator, header line and image columns of a table, of a list the encoding, for `Source.facts`."""
    encoding, layout = ("encoding", table.encoding.name), table.layout
    if not table.columns:
        return (encoding,)
    separator = _SEPARATOR_NAMES.get(layout.dialect.separator, repr(layout.dialect.separator))
    header = f"line {layout.lines}" if layout.lines else "none"
    separated = (("separator", separator),) if len(table.columns) > 1 else ()
    return (encoding, *separated, ("column names", header), *facts_of(table.columns, table.images, reading))


# Columns -------------------------------------------------------------------------------------------------------------


def _sample(path: Path, encoding: Encoding) -> str:
    with open_text(path, encoding) as file:
        return file.read(SAMPLE).removeprefix("\ufeff")


def _with_header(path: Path, encoding: Encoding, sample: str, reading: SourceSettings) -> _Table | None:
    def is_header(cells: Sequence[str]) -> bool:
        names = without_empty_end(cells)
        is_comment = len(names) == 1 and names[0].lstrip().startswith("#")
        return not is_comment and find_image_columns(unique_names(names), reading) is not None

    layout = find_layout(sample, is_header)
    if layout is None:
        return None
    columns = _column_names(path, encoding, layout)
    return _Table(path, encoding, layout, columns, image_columns(str(path), columns, reading))


def _without_header(path: Path, encoding: Encoding, sample: str, reading: SourceSettings) -> _Table | None:
    found = find_headless(sample) if reading.image_column is None and reading.table_format in ("auto", "plain") else None
    if found is None:
        return None
    layout, at = found
    columns = tuple(f"column_{number}" for number in range(1, len(layout.sample[0]) + 1))
    layout = layout._replace(header=list(columns))
    images = ImageColumns(columns[at])
    if len(columns) == 1:
        return _Table(path, encoding, layout, (), images)
    note = f"has no line of column names; its images are taken from column {at + 1}"
    return _Table(path, encoding, layout, columns, images, note)


def _column_names(path: Path, encoding: Encoding, layout: Layout) -> tuple[str, ...]:
    """Return the unique names of the columns; those without a name at the end are left out if they hold nothing."""
    width, named = len(layout.header), len(without_empty_end(layout.header))
    if named < width:
        # One cell in the last row would be lost: so the table is read twice where columns at its end have no name.
        rows = _rows(path, encoding, layout, None)
        named = max(named, min(width, max((len(without_empty_end(row.cells)) for row in rows), default=0)))
    return tuple(unique_names(layout.header[:named]))


def _likeliest_header(sample: str) -> list[str]:
    """Return the column names of a table without an image column, for the error that lists them."""
    layout = find_layout(sample, lambda cells: len(without_empty_end(cells)) > 1)
    layout = layout or find_layout(sample, lambda cells: any(cell.strip(BLANKS) for cell in cells))
    return [name for name in unique_names(layout.header) if name] if layout else []


def _encoding_of_names(table: _Table) -> Encoding:
    """Return the encoding in which most images of the first rows exist, among those that the text may have."""
    encoding, layout = table.encoding, table.layout
    if not encoding.others:
        return encoding
    at = table.columns.index(table.images.main) if table.columns else 0

    def existing(name: str) -> int:
        text = _sample(table.path, Encoding(name))
        lines = islice(io.StringIO(text, newline=""), layout.lines, None)
        cells = (row.cells[at].strip() for row in read_rows(lines, layout.dialect) if at < len(row.cells))
        names = islice((cell for cell in cells if not cell.isascii() and "\0" not in cell), NAMES_TRIED)
        return sum(os.path.exists(table.path.parent / cell) for cell in names)

    best = max((encoding.name, *encoding.others[: CANDIDATES - 1]), key=existing)
    return encoding if best == encoding.name else guessed_encoding(best)


# Rows ----------------------------------------------------------------------------------------------------------------


def _rows(path: Path, encoding: Encoding, layout: Layout, shape: Shape | None) -> Iterator[Row]:
    with open_text(path, encoding) as file:
        lines: Iterable[str] = islice(file, layout.lines, None)
        yield from read_rows(lines, layout.dialect, shape, layout.lines)


def _items(table: _Table, reading: SourceSettings) -> Iterator[Item]:
    """Yield the rows; all values stay text, so that an article number keeps its leading zeros."""
    path, columns, images = table.path, table.columns, table.images
    width = len(columns)
    shape = shape_of(table.layout, len(table.layout.header), columns.index(images.main))
    for cells, line, fault, _ in _rows(path, table.encoding, table.layout, shape):
        length = len(cells)
        if length < width:
            cells = cells + [""] * (width - length)
        elif length > width and any(cells[width:]) and not fault:
            fault = "more cells than columns"
        problem = Failed("bad_row", f"{path}, line {line}: {fault}") if fault else None
        row = dict(zip(columns, cells, strict=False))
        yield from row_items(images.images(row), row, path.parent, reading, problem, images.separators)


def _listed_items(table: _Table) -> Iterator[Item]:
    """Yield the paths of a list, one per line; blank lines and comments are none."""
    for cells, *_ in _rows(table.path, table.encoding, table.layout, None):
        text = table.layout.dialect.separator.join(cells)
        if not text.startswith("#"):
            yield from row_items([text], {}, table.path.parent, DEFAULT_READING)
