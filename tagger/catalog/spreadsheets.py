"""Read Excel workbooks (.xlsx, .xlsm) as tables: the sheet that has an image column, with the cells as a person sees them."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from tagger.catalog.columns import ImageColumns, unique_names
from tagger.catalog.dialect import HEADER_ROWS, SAMPLE_ROWS, IsHeader, choose_header, without_empty_end
from tagger.catalog.export_formats import facts_of, find_image_columns, image_columns
from tagger.catalog.items import Source, row_items
from tagger.catalog.settings import SourceSettings
from tagger.errors import SourceError, first_line_of
from tagger.records import Item

CHUNK_ROWS = 500
"""Rows that are read at once."""


def read_workbook(path: Path, reading: SourceSettings) -> Source:
    """Open the first visible sheet of a workbook that has an image column, else the first hidden one.

    Raises `SourceError` where no sheet has one, openpyxl is not installed, or the workbook is damaged.
    """

    def is_header(cells: Sequence[str]) -> bool:
        return find_image_columns(unique_names(without_empty_end(cells)), reading) is not None

    with _opened(path) as book:
        found = _find_sheets(book, is_header)
        if not found:
            raise _no_image_column(path, book, reading)
        (title, at, sample), *more = found
    header = without_empty_end(sample[at])
    width = max(len(without_empty_end(cells)) for cells in sample[at:])
    columns = tuple(unique_names([*header, *[""] * (width - len(header))]))
    images = image_columns(str(path), columns, reading)
    notes = []
    if more:
        others = ", ".join(repr(name) for name, *_ in more)
        notes.append(f"{path}: the sheet {title!r} is read; other sheets with an image column are not: {others}.")
    column = columns.index(images.main)
    unnamed = [number for number, cells in enumerate(sample) if number > at and any(cells) and not _names_image(cells, column)]
    if unnamed and len(unnamed) == sum(map(any, sample[at + 1 :])) and _has_pictures(path):
        notes.append(f"{path} has pictures inside its cells, which are not read; give a column of file names.")
    elif unnamed and _has_formulas(path, title, unnamed, column):
        notes.append(f"{path} has images as formulas without stored results; open it in a spreadsheet and save it.")
    facts = (("sheet", title), *facts_of(columns, images, reading))
    return Source(_items(path, title, at + 1, columns, images, reading), path.parent, columns, notes=tuple(notes), facts=facts)


def workbook_rows(path: Path, is_header: IsHeader) -> tuple[list[str], Iterator[list[str]]]:
    """Return the header of the first sheet that has one, and the rows below it; no header where no row is one."""
    with _opened(path) as book:
        found = _find_sheets(book, is_header)
    if not found:
        return [], iter(())
    title, at, sample = found[0]
    return list(sample[at]), islice(_rows(path, title), at + 1, None)


# Sheets --------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, values: bool = True) -> Iterator[Any]:
    """Give the workbook, with the stored values of formulas or the formulas; what openpyxl raises becomes a `SourceError`."""
    try:
        import openpyxl
    except ImportError as error:
        raise SourceError(
            f'{path} is an Excel workbook; pip install "fmtag[excel]" reads it, or save it as CSV (UTF-8).'
        ) from error
    book = None
    try:
        with path.open("rb") as file:  # by its name openpyxl would refuse a workbook that is called .csv
            with _quiet():
                book = openpyxl.load_workbook(file, read_only=True, data_only=values, keep_links=False)
            yield book
    except (SourceError, OSError, GeneratorExit):
        raise
    except Exception as error:  # zipfile's, XML parsers' and whatever a damaged file makes openpyxl stumble over
        raise SourceError(f"{path} is a damaged Excel workbook ({first_line_of(error)}); save or copy it again.") from error
    finally:
        if book is not None:
            with suppress(Exception):
                book.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of openpyxl about features of a workbook that it does not keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _find_sheets(book: Any, is_header: IsHeader) -> list[tuple[str, int, list[list[str]]]]:
    """Return title, index of the header row and first rows of each visible sheet with a header, else of the hidden ones."""
    for visible in (True, False):
        found = []
        for sheet in book.worksheets:
            if (sheet.sheet_state == "visible") != visible:
                continue
            sample = [cells for _, cells in islice(_sheet_rows(sheet), HEADER_ROWS + SAMPLE_ROWS)]
            chosen = choose_header(sample, is_header)
            if chosen is not None:
                found.append((sheet.title, chosen[0], sample))
        if found:
            return found
    return []


def _no_image_column(path: Path, book: Any, reading: SourceSettings) -> SourceError:
    names: list[str] = []
    for sheet in book.worksheets:
        rows = (cells for _, cells in islice(_sheet_rows(sheet), HEADER_ROWS))
        names = names or next(
            ([name for name in unique_names(cells) if name] for cells in rows if sum(map(bool, cells)) > 1), []
        )
    if _has_pictures(path):
        return SourceError(f"{path} has pictures inside its sheets, which are not read; give a column of file names.")
    try:
        image_columns(str(path), names, reading)
    except SourceError as error:
        return error
    return SourceError(f"{path} has no sheet with an image column; name one with --image-column.")


def _names_image(cells: Sequence[str], column: int) -> bool:
    """Return whether a row's image cell holds a text; a picture placed in it is an error value to programs that lack such."""
    return column < len(cells) and bool(cells[column].strip()) and not cells[column].startswith("#")


def _has_formulas(path: Path, title: str, rows: Sequence[int], column: int) -> bool:
    """Return whether any of the cells of a column is a formula."""
    with _opened(path, values=False) as book, _quiet():
        sheet = book[title]
        sheet.reset_dimensions()
        cells = dict(zip(range(rows[-1] + 1), sheet.iter_rows(), strict=False))
        return any(str(cells[number][column].value).startswith("=") for number in rows if column < len(cells.get(number, ())))


def _has_pictures(path: Path) -> bool:
    with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return any(name.startswith("xl/media/") for name in archive.namelist())
    return False


# Rows ----------------------------------------------------------------------------------------------------------------


def _items(
    path: Path, title: str, first: int, columns: tuple[str, ...], images: ImageColumns, reading: SourceSettings
) -> Iterator[Item]:
    for cells in islice(_rows(path, title), first, None):
        row = dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=False))
        yield from row_items(images.images(row), row, path.parent, reading, None, images.separators)


def _rows(path: Path, title: str) -> Iterator[list[str]]:
    """Yield the rows of a sheet, those below the last one that holds anything left out."""
    with _opened(path) as book:
        expected = 0
        for number, cells in _sheet_rows(book[title]):
            if any(cells):
                yield from ([] for _ in range(number - expected))  # empty rows between others stay rows
                yield cells
                expected = number + 1


def _sheet_rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet with their indices, each cell as text."""
    sheet.reset_dimensions()  # which many programs write wrong, and openpyxl would leave out the rest
    rows = enumerate(sheet.iter_rows())
    while True:
        with _quiet():
            chunk = [(number, [cell_text(cell) for cell in cells]) for number, cells in islice(rows, CHUNK_ROWS)]
        if not chunk:
            return
        yield from chunk


def cell_text(cell: Any) -> str:
    """Return a cell as a person sees it: whole numbers without a point, dates as ISO 8601, TRUE and FALSE, "" if empty."""
    value = cell.value
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return _number_text(value, cell.number_format or "General")
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case timedelta():
            seconds = round(value.total_seconds())
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)


def _number_text(value: float, number_format: str) -> str:
    """Return a number in the formats that identifiers and prices have (`00000`, `0.00`, `#,##0.00`, `0%`), else in full."""
    form = number_format.split(";")[0].strip()
    if re.fullmatch("0{2,}", form):
        return f"{value:0{len(form) + (value < 0)}.0f}"
    if (decimals := re.fullmatch(r"(?:#,##)?0(?:\.(0+))?(%?)", form)) is not None:
        scaled = value * 100 if decimals[2] else value
        return f"{scaled:.{len(decimals[1] or '')}f}{decimals[2]}"
    if isinstance(value, int):
        return str(value)
    return f"{Decimal(repr(value)):.0f}" if value.is_integer() and abs(value) < 1e21 else f"{value:.15g}"
