"""Read tables (CSV, TSV, JSON Lines, Parquet) as streams of items, row by row and with the cells unchanged."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.catalog.export_formats import image_columns
from tagger.catalog.items import Source, row_items
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import JSON, check_table, is_empty
from tagger.records import Failed, Item

if TYPE_CHECKING:
    import pyarrow

CHUNK_ROWS = 2_000
"""Rows of a table that are in memory at once."""

MAX_NESTING = 100
"""Levels of lists and objects that a cell may have; a hundred times more, and Python and readers of the output fail."""

SPARE_COLUMNS = 64
"""Surplus cells that a row may have and still be a row, marked as `bad_row`; with more of them the table is damaged."""


def read_table(path: Path, reading: SourceSettings = DEFAULT_READING) -> Source:
    """Open a table by its suffix.

    Raises `SourceError` where it cannot be read, is of another kind than its suffix says, or its columns do not fit. Any
    error that reading the items meets later is a `SourceError` that names the table.
    """
    suffix = path.suffix.lower()
    try:
        check_table(path)
        if suffix == ".parquet":
            opened = _read_parquet(path, reading)
        elif suffix in (".jsonl", ".ndjson"):
            opened = _read_json_lines(path, reading)
        else:
            opened = _read_delimited(path, reading)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from error
    return replace(opened, items=_with_named_errors(path, opened.items))


def damaged_table(path: Path, error: Exception) -> SourceError:
    """Return the error of a table whose reader failed with `error`: its encoding or its damage, and the remedy."""
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"is damaged ({first_line})"
    return SourceError(f"{path} {reason}; export the table again as UTF-8 {path.suffix.lstrip('.')}.")


def _with_named_errors(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of a table, with whatever its reader raises turned into a `SourceError` that names the table."""
    try:
        yield from items
    except SourceError:
        raise
    except Exception as error:
        raise damaged_table(path, error) from error


# Text with separators ----------------------------------------------------------------------------------------------


def separator_of(path: Path) -> str:
    """Return the separator of a text table: a tab for .tsv, else the most frequent one of its first line.

    Spreadsheets of many countries write semicolons into a .csv.
    """
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = re.sub(r'"[^"]*("|$)', "", file.readline())
    return max(",;\t|", key=header.count)


def _read_delimited(path: Path, reading: SourceSettings) -> Source:
    separator = separator_of(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = next(csv.reader(file, delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise damaged_table(path, error) from error
    column = image_columns(str(path), columns, reading).main
    return Source(_delimited_items(path, separator, columns, column, reading), path.parent, tuple(columns))


def _delimited_items(path: Path, separator: str, columns: list[str], column: str, reading: SourceSettings) -> Iterator[Item]:
    """Yield the rows; all values stay text, so that an article number keeps its leading zeros."""
    import pandas as pd

    # pandas refuses a table with rows that are too long; given columns of our own to spare, it returns their cells.
    spare = [f"{''.join(columns)}+{number}" for number in range(SPARE_COLUMNS)]
    try:
        with pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=1,
            names=[*columns, *spare],
            index_col=False,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            chunksize=CHUNK_ROWS,
        ) as chunks:
            for chunk in chunks:
                for cells in chunk.itertuples(index=False, name=None):
                    row = dict(zip(columns, cells, strict=False))
                    too_long = any(cells[len(columns) :])
                    problem = Failed("bad_row", f"{path}: a row with more cells than columns") if too_long else None
                    yield from row_items([row[column]], row, path.parent, reading, problem)
    except pd.errors.EmptyDataError:
        return  # a header and nothing below it
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise damaged_table(path, error) from error


# JSON Lines --------------------------------------------------------------------------------------------------------


def _read_json_lines(path: Path, reading: SourceSettings) -> Source:
    columns: dict[str, None] = {}
    for value in _json_values(path):
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
    if not columns and not is_empty(path):
        raise SourceError(f"{path} has no line that holds a JSON object; {JSON.remedy}.")
    column = image_columns(str(path), list(columns), reading).main
    return Source(_json_items(path, tuple(columns), column, reading), path.parent, tuple(columns))


def _json_values(path: Path) -> Iterator[object]:
    """Yield the value of each line that is not blank, None for one that is not JSON."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError):
                        yield None
    except UnicodeDecodeError as error:
        raise damaged_table(path, error) from error


def _json_items(path: Path, columns: tuple[str, ...], column: str, reading: SourceSettings) -> Iterator[Item]:
    for value in _json_values(path):
        if not isinstance(value, dict):
            problem = Failed("bad_row", f"{path}: a line that is not a JSON object")
            yield Item("", None, dict.fromkeys(columns), problem)
            continue
        yield from _typed_items(path, column, {name: value.get(name) for name in columns}, reading)


# Parquet -----------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, reading: SourceSettings) -> Source:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise damaged_table(path, error) from error
    columns = file.schema_arrow.names
    column = image_columns(str(path), columns, reading).main

    def items() -> Iterator[Item]:
        try:
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                for row, fault in _parquet_rows(batch):
                    yield from _typed_items(path, column, row, reading, fault)
        except (pyarrow.ArrowException, OSError) as error:
            raise damaged_table(path, error) from error

    return Source(items(), path.parent, tuple(columns), file.schema_arrow)


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


def _typed_items(path: Path, column: str, cells: dict[str, object], reading: SourceSettings, fault: str = "") -> Iterator[Item]:
    """Yield the items of a row of JSON Lines or Parquet; a cell nested too deep becomes None and the row a bad one."""
    deep = [name for name, cell in cells.items() if isinstance(cell, dict | list | tuple) and _is_too_deep(cell)]
    if deep:
        fault = f"the value of {deep[0]!r} is nested more than {MAX_NESTING} levels deep"
    problem = Failed("bad_row", f"{path}: {fault}") if fault else None
    yield from row_items([cells[column]], cells | dict.fromkeys(deep), path.parent, reading, problem)


def _is_too_deep(value: Any) -> bool:
    level = [value]  # by levels, not by recursion, which is what too deep a value would break
    for _ in range(MAX_NESTING):
        parts = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        level = [part for part in parts if isinstance(part, dict | list | tuple)]
    return bool(level)
