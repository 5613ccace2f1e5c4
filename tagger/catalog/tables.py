"""Read tables (text with separators, JSON, Excel workbooks, Parquet) as streams of items, row by row, the cells unchanged."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.catalog.columns import ImageColumns
from tagger.catalog.compressed import DAMAGE
from tagger.catalog.embedded_columns import EmbeddedColumns
from tagger.catalog.encoding import Encoding
from tagger.catalog.export_formats import facts_of, image_columns
from tagger.catalog.items import Source, row_items
from tagger.catalog.json_rows import json_columns, json_rows
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.catalog.spreadsheets import read_workbook
from tagger.catalog.table_kinds import table_kind, text_encoding
from tagger.catalog.text_tables import read_text_table
from tagger.embedded_photos import open_table, rows_at_once
from tagger.errors import SourceError, first_line_of, reason_of
from tagger.records import Failed, Item

if TYPE_CHECKING:
    import pyarrow

CHUNK_ROWS = 2_000
"""Rows of a Parquet table that are in memory at once."""

MAX_NESTING = 100
"""Levels of lists and objects that a cell may have; a hundred times more, and Python and readers of the output fail."""


def read_table(path: Path, reading: SourceSettings = DEFAULT_READING) -> Source:
    """Open a table; its kind is told by its content.

    Raises `SourceError` where it cannot be read, is of a kind that fmtag does not read, or its columns do not fit. Any error
    that reading the items meets later is a `SourceError` that names the table.
    """
    readers = {"text": read_text_table, "json": _read_json, "workbook": read_workbook, "parquet": _read_parquet}
    try:
        opened = readers[table_kind(path)](path, reading)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from error
    return replace(opened, items=_with_named_errors(path, opened.items))


def damaged_table(path: Path, error: Exception) -> SourceError:
    """Return the error of a table whose reader failed with `error`: its damage, and the remedy."""
    return SourceError(f"{path} is damaged ({first_line_of(error)}); export the table again.")


def _with_named_errors(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of a table, with whatever its reader raises turned into a `SourceError` that names the table."""
    try:
        yield from items
    except SourceError:
        raise
    except Exception as error:
        raise damaged_table(path, error) from error


# JSON --------------------------------------------------------------------------------------------------------------


def _read_json(path: Path, reading: SourceSettings) -> Source:
    encoding = text_encoding(path)
    try:
        columns, note = json_columns(path, encoding)
    except (*DAMAGE, UnicodeError) as error:
        raise damaged_table(path, error) from error
    images = image_columns(str(path), columns, reading)
    facts = facts_of(columns, images, reading)
    items = _json_items(path, encoding, columns, images, reading)
    return Source(items, path.parent, columns, notes=(note,) if note else (), facts=facts)


def _json_items(
    path: Path, encoding: Encoding, columns: tuple[str, ...], images: ImageColumns, reading: SourceSettings
) -> Iterator[Item]:
    for value in json_rows(path, encoding):
        if not isinstance(value, dict):
            problem = Failed("bad_row", f"{path}: a line that is not a JSON object")
            yield Item("", None, dict.fromkeys(columns), problem)
            continue
        cells = {name: value.get(name) for name in columns}
        yield from _typed_items(path, images.images(cells), images.separators, cells, reading)


# Parquet -----------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, reading: SourceSettings) -> Source:
    import pyarrow

    try:
        file = open_table(str(path))
    except pyarrow.ArrowException as error:
        raise damaged_table(path, error) from error
    columns = file.schema_arrow.names
    duplicates = sorted({name for name in columns if columns.count(name) > 1})
    if duplicates:
        raise SourceError(f"{path} has more than one column named {', '.join(map(repr, duplicates))}; rename all but one.")
    images = image_columns(str(path), columns, reading)

    def items() -> Iterator[Item]:
        try:
            embedded = EmbeddedColumns(path, file, [images.main, *images.further])
            for batch in file.iter_batches(batch_size=rows_at_once(file, CHUNK_ROWS)):
                for row, fault in _parquet_rows(batch):
                    values, cells = embedded.split(row)
                    yield from _typed_items(path, values, images.separators, cells, reading, fault)
        except (pyarrow.ArrowException, OSError) as error:
            raise damaged_table(path, error) from error

    facts = facts_of(columns, images, reading)
    return Source(items(), path.parent, tuple(columns), file.schema_arrow, facts=facts)


def _parquet_rows(batch: "pyarrow.RecordBatch") -> Iterator[tuple[dict[str, object], str]]:
    """Yield each row with its fault, "" if none: a value that is not UTF-8, or a date that Python lacks, becomes None."""
    rows: list[dict[str, object]] | None = None
    with suppress(Exception):  # the loop below finds the row that has the fault
        rows = batch.to_pylist()
    if rows is not None:
        yield from ((row, "") for row in rows)
        return
    for number in range(batch.num_rows):
        row: dict[str, object] = dict.fromkeys(batch.schema.names)
        fault = ""
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            try:
                row[name] = values[number].as_py()
            except Exception as error:
                fault = f"the value of {name!r} cannot be read ({reason_of(error)})"
        yield row, fault


# Cells with types --------------------------------------------------------------------------------------------------


def _typed_items(
    path: Path, images: list[object], separators: str, cells: dict[str, object], reading: SourceSettings, fault: str = ""
) -> Iterator[Item]:
    """Yield the items of a row of JSON or Parquet; a cell nested too deep becomes None and the row a bad one."""
    deep = [name for name, cell in cells.items() if isinstance(cell, dict | list | tuple) and _is_too_deep(cell)]
    if deep:
        fault = f"the value of {deep[0]!r} is nested more than {MAX_NESTING} levels deep"
    problem = Failed("bad_row", f"{path}: {fault}") if fault else None
    yield from row_items(images, cells | dict.fromkeys(deep), path.parent, reading, problem, separators)


def _is_too_deep(value: Any) -> bool:
    level = [value]  # by levels, not by recursion, which is what too deep a value would break
    for _ in range(MAX_NESTING):
        parts = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        level = [part for part in parts if isinstance(part, dict | list | tuple)]
    return bool(level)
