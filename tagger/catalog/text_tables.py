"""Read tables of text with separators (CSV, TSV and the like, whatever they are called), and lists of paths."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tagger.catalog.columns import ImageColumns, unique_names
from tagger.catalog.csv_rows import BLANKS, Row, Shape, read_rows
from tagger.catalog.dialect import SAMPLE, IsHeader, Layout, find_headless, find_layout, shape_of, without_empty_end
from tagger.catalog.encoding import Encoding, open_text
from tagger.catalog.export_formats import find_image_columns, image_columns
from tagger.catalog.items import Source, row_items
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.catalog.table_kinds import text_encoding
from tagger.records import Failed, Item


def read_text_table(path: Path, reading: SourceSettings) -> Source:
    """Open a table of text, or a list of paths; raises `SourceError` where it has no image column that is known."""
    encoding = text_encoding(path)
    notes = [f"{path} {encoding.note}."] if encoding.note else []

    def is_header(cells: Sequence[str]) -> bool:
        return find_image_columns(unique_names(without_empty_end(cells)), reading) is not None

    sample = _sample(path, encoding)
    layout = find_layout(sample, is_header)
    if layout is None:
        headless = find_headless(sample) if reading.image_column is None else None
        if headless is None:
            image_columns(str(path), _likeliest_header(sample), reading)  # raises the error that names the columns
            raise AssertionError
        layout, at = headless
        if len(layout.sample[0]) == 1:
            return Source(_listed_items(path, encoding, layout), path.parent, notes=tuple(notes))
        layout = layout._replace(header=[f"column_{number}" for number in range(1, len(layout.sample[0]) + 1)])
        columns, images = tuple(layout.header), ImageColumns(f"column_{at + 1}")
        notes.append(f"{path} has no line of column names; its images are taken from column {at + 1}.")
    else:
        columns = _column_names(path, encoding, layout)
        images = image_columns(str(path), columns, reading)
    return Source(_items(path, encoding, layout, columns, images, reading), path.parent, columns, notes=tuple(notes))


def text_rows(path: Path, is_header: IsHeader) -> tuple[list[str], Iterator[Row]]:
    """Return the header of a table of text and its rows, with the cells unchanged; no header where no row is one."""
    encoding = text_encoding(path)
    layout = find_layout(_sample(path, encoding), is_header)
    return (layout.header, _rows(path, encoding, layout, None)) if layout is not None else ([], iter(()))


# Columns -------------------------------------------------------------------------------------------------------------


def _sample(path: Path, encoding: Encoding) -> str:
    with open_text(path, encoding) as file:
        return file.read(SAMPLE).removeprefix("\ufeff")


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


# Rows ----------------------------------------------------------------------------------------------------------------


def _rows(path: Path, encoding: Encoding, layout: Layout, shape: Shape | None) -> Iterator[Row]:
    with open_text(path, encoding) as file:
        lines: Iterable[str] = islice(file, layout.lines, None)
        yield from read_rows(lines, layout.dialect, shape, layout.lines)


def _items(
    path: Path, encoding: Encoding, layout: Layout, columns: tuple[str, ...], images: ImageColumns, reading: SourceSettings
) -> Iterator[Item]:
    """Yield the rows; all values stay text, so that an article number keeps its leading zeros."""
    width = len(columns)
    shape = shape_of(layout, len(layout.header), columns.index(images.main))
    for cells, line, fault in _rows(path, encoding, layout, shape):
        length = len(cells)
        if length < width:
            cells = cells + [""] * (width - length)
        elif length > width and any(cells[width:]) and not fault:
            fault = "more cells than columns"
        problem = Failed("bad_row", f"{path}, line {line}: {fault}") if fault else None
        row = dict(zip(columns, cells, strict=False))
        yield from row_items(images.images(row), row, path.parent, reading, problem, images.separators)


def _listed_items(path: Path, encoding: Encoding, layout: Layout) -> Iterator[Item]:
    """Yield the paths of a list, one per line; blank lines and comments are none."""
    for cells, *_ in _rows(path, encoding, layout, None):
        text = layout.dialect.separator.join(cells)
        if not text.startswith("#"):
            yield from row_items([text], {}, path.parent, DEFAULT_READING)
