"""Write rows as CSV, JSON, JSON Lines or Parquet to an open file."""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tagger.catalog.rows import Columns, Row, TextRows, format_cell, format_confidence, format_json
from tagger.file_names import escape_surrogates
from tagger.files import EncodedText, encode_text
from tagger.settings import Format

if TYPE_CHECKING:
    import pyarrow

JSON_FORMAT = 1
"""Version of the layout of JSON outputs."""

PARQUET_ROWS = 10_000
"""Rows per row group of a Parquet output, and so the rows that are in memory at once."""


CSV_TAKES_NULL_BYTES = sys.version_info >= (3, 11)
"""Whether Python's csv module writes a null byte in a cell; it raises an error where it does not."""


class RowWriter(Protocol):
    """Writes rows one by one; `close` writes what the format needs at its end."""

    def write(self, row: Row) -> None:
        """Write one row."""

    def write_text(self, chunks: Iterable[TextRows]) -> bool:
        """Write rows that are text already; return False where the format has other types."""

    def close(self) -> None:
        """Write the end of the file; the file itself stays open."""


def make_writer(
    file: io.RawIOBase, format: Format, columns: Columns, model: str, schema: "pyarrow.Schema | None", excel: bool
) -> RowWriter:
    """Return the writer of a format; `schema` and `excel` are those of `output.open_output`."""
    match format:
        case "csv":
            return _CsvWriter(file, columns, excel)
        case "json":
            return _JsonWriter(file, model)
        case "jsonl":
            return _JsonLinesWriter(file)
        case "parquet":
            return _ParquetWriter(file, columns, schema)


class _CsvWriter:
    def __init__(self, file: io.RawIOBase, columns: Columns, excel: bool) -> None:
        self._own = [source is None for source in columns.values()]
        self._excel = excel
        self._file = io.BufferedWriter(file)
        # Only with \r in its line end does csv quote a lone \r in a cell; `EncodedText` writes \n all the same.
        self._csv = csv.writer(EncodedText(self._file), lineterminator="\r\n")
        if excel:
            self._file.write(b"\xef\xbb\xbf")
        self._csv.writerow(map(self._safe, columns))

    def write(self, row: Row) -> None:
        cells = (
            format_confidence(value) if own and isinstance(value, float) else format_cell(value)
            for value, own in zip(row.values(), self._own, strict=True)
        )
        self._csv.writerow(map(self._safe, cells))

    def write_text(self, chunks: Iterable[TextRows]) -> bool:
        # Nearly all rows have no cell that needs quotes; they go to the file without a step of Python's for each.
        for rows in chunks:
            if not self._excel and (text := _as_plain_csv(rows.lines, len(self._own))) is not None:
                self._file.write(text)
            else:
                self._csv.writerows(map(self._safe, row) for row in rows.cells())
        return True

    def _safe(self, cell: str) -> str:
        """Return a cell as the csv module can write it and, where that is wanted, as no spreadsheet runs it."""
        writable = cell if CSV_TAKES_NULL_BYTES else cell.replace("\0", "\\x00")
        return _without_formula(writable) if self._excel else writable

    def close(self) -> None:
        self._file.flush()


def _as_plain_csv(lines: Sequence[bytes], columns: int) -> bytes | None:
    """Return lines of cells as lines of a CSV; None where a cell may have to be quoted or escaped."""
    text = b"\n".join((*lines, b""))
    # A comma or a line break more than there are between cells and rows is one within a cell.
    if text.count(b",") != (columns - 1) * len(lines) or text.count(b"\n") != len(lines):
        return None
    if any(mark in text for mark in (b'"', b"\r", b"\0")):
        return None
    try:
        text.decode()
    except UnicodeDecodeError:
        return None
    return text


def _without_formula(text: str) -> str:
    """Return text that no spreadsheet runs as a formula: with a leading ', as WooCommerce's exporter writes it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class _JsonLinesWriter:
    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(encode_text(format_json(row)) + b"\n")

    def write_text(self, chunks: Iterable[TextRows]) -> bool:
        return False

    def close(self) -> None:
        pass


class _JsonWriter:
    def __init__(self, file: io.RawIOBase, model: str) -> None:
        self._file = file
        self._separator = b"\n"
        file.write(encode_text(f'{{"format": {JSON_FORMAT}, "model": {format_json(model)}, "rows": ['))

    def write(self, row: Row) -> None:
        self._file.write(self._separator + encode_text(format_json(row)))
        self._separator = b",\n"

    def write_text(self, chunks: Iterable[TextRows]) -> bool:
        return False

    def close(self) -> None:
        self._file.write(b"\n]}\n")


class _ParquetWriter:
    """Writes row groups of `PARQUET_ROWS`; the source's columns keep their types if `schema` has them, else become text."""

    def __init__(self, file: io.RawIOBase, columns: Columns, schema: "pyarrow.Schema | None") -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        self._typed = {name for name, source in columns.items() if source is not None and schema is not None}
        self._types = {name: self._type(name, source, schema) for name, source in columns.items()}
        self._schema = pyarrow.schema([(escape_surrogates(name), type_) for name, type_ in self._types.items()])
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[Row] = []

    def _type(self, name: str, source: str | None, schema: "pyarrow.Schema | None") -> "pyarrow.DataType":
        if source is not None and schema is not None:
            return schema.field(source).type
        if source is None and name.startswith(("confidence", "group_confidence")):
            return self._arrow.float64()
        return self._arrow.bool_() if source is None and name.startswith("low_confidence") else self._arrow.string()

    def write(self, row: Row) -> None:
        self._rows.append({escape_surrogates(name): self._value(name, value) for name, value in row.items()})
        if len(self._rows) >= PARQUET_ROWS:
            self._flush()

    def _value(self, name: str, value: Any) -> Any:
        if value is None or name in self._typed or not self._arrow.types.is_string(self._types[name]):
            return value
        return escape_surrogates(format_cell(value))

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def write_text(self, chunks: Iterable[TextRows]) -> bool:
        return False

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
