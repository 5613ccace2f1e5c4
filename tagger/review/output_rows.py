"""Read the rows of an output that `fmtag run` wrote, for the columns that are not its own: a table's SKU, name or price."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagger.catalog.encoding import open_text
from tagger.catalog.rows import COLUMNS, format_cell
from tagger.catalog.table_kinds import table_kind, text_encoding
from tagger.catalog.text_tables import text_rows
from tagger.embedded_photos import open_table, rows_at_once
from tagger.errors import SourceError, first_line_of, reason_of
from tagger.file_names import unescape_surrogates

PATH = COLUMNS[0]

PARQUET_ROWS = 2_000
"""Rows of a Parquet output that are in memory at once."""

_OWN = re.compile(rf"{'|'.join(COLUMNS)}|model|(tag|confidence)_\d+")

_FORMULA = re.compile(r"'(?=[=+\-@\t\r])")
"""What `--excel` puts before a cell that a spreadsheet would run as a formula."""


class OutputRows(NamedTuple):
    """The rows of an output."""

    columns: tuple[str, ...]
    """Names of the columns that are not fmtag's own."""
    rows: Iterator[tuple[str, list[str]]]
    """Path, as the ledger has it, and the text of these columns, row by row."""


def read_output(path: Path) -> OutputRows:
    """Open an output, of whatever format; its kind is told by its content.

    Raises `SourceError` where it cannot be read or has no column `path`; an error met later, while the rows are read, is a
    `SourceError` too.
    """
    readers = {"text": _read_text, "json": _read_json, "parquet": _read_parquet}
    try:
        kind = table_kind(path)
        if kind not in readers:
            raise SourceError(f"{path} is a workbook; give the file that `fmtag run` wrote.")
        opened = readers[kind](path)
    except SourceError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    return opened._replace(rows=_with_named_errors(path, opened.rows))


def other_columns(names: Sequence[str]) -> list[int]:
    """Return the positions of the columns of an output that are not fmtag's own.

    Those of the source stand before `path`, whatever they are called.
    """
    own_from = names.index(PATH)
    return [at for at, name in enumerate(names) if name and (at < own_from or not _OWN.fullmatch(name))]


def _read_text(path: Path) -> OutputRows:
    encoding = text_encoding(path)
    with open_text(path, encoding) as file:
        excel = encoding.name == "utf-8-sig" or file.read(1) == "\ufeff"
    names, rows = text_rows(path, lambda cells: PATH in cells and "tag" in cells)
    if PATH not in names:
        raise _foreign(path)
    key, others = names.index(PATH), other_columns(names)

    def cells() -> Iterator[tuple[str, list[str]]]:
        for row in rows:
            if len(row.cells) > key and not row.fault:
                texts = [_FORMULA.sub("", cell, count=1) for cell in row.cells] if excel else row.cells
                yield _key(texts[key]), [texts[at] if at < len(texts) else "" for at in others]

    return OutputRows(tuple(names[at] for at in others), cells())


def _read_json(path: Path) -> OutputRows:
    """Read JSON and JSON Lines, of both of which each row is a line."""
    encoding = text_encoding(path)

    def values() -> Iterator[dict[str, Any]]:
        with open_text(path, encoding) as file:
            for line in file:
                text = line.strip("\ufeff \t\r\n").removesuffix(",")
                if text.startswith("{") and text.endswith("}"):
                    value = json.loads(text)
                    if isinstance(value, dict) and PATH in value:
                        yield value

    first = next(values(), None)
    if first is None:
        raise _foreign(path)
    names = [*first]
    others = [names[at] for at in other_columns(names)]
    rows = ((str(row[PATH]), [format_cell(row.get(name)) for name in others]) for row in values())
    return OutputRows(tuple(others), rows)


def _read_parquet(path: Path) -> OutputRows:
    file = open_table(str(path))
    schema = file.schema_arrow
    if PATH not in schema.names:
        raise _foreign(path)

    def is_text(name: str) -> bool:
        """Return whether a column holds no bytes, as those of photos."""
        return "binary" not in str(schema.field(name).type)

    others = [name for at in other_columns(schema.names) if is_text(name := schema.names[at])]

    def rows() -> Iterator[tuple[str, list[str]]]:
        for batch in file.iter_batches(rows_at_once(file, PARQUET_ROWS), columns=[PATH, *others]):
            for row in batch.to_pylist():
                yield _key(format_cell(row[PATH])), [format_cell(row[name]) for name in others]

    return OutputRows(tuple(others), rows())


def _key(text: str) -> str:
    """Return a path as the ledger has it: names that are no Unicode were escaped."""
    return unescape_surrogates(text) if "\\ud" in text else text


def _with_named_errors(path: Path, rows: Iterator[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    try:
        yield from rows
    except SourceError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _foreign(path: Path) -> SourceError:
    return SourceError(f"{path} is no output of `fmtag run`, as it has no column {PATH!r}; give the file that the run wrote.")


def _damaged(path: Path, error: Exception) -> SourceError:
    what = reason_of(error) if isinstance(error, OSError) else first_line_of(error)
    return SourceError(f"{path} cannot be read ({what}); run fmtag again.")
