"""The row schema, the writers of each format, and the atomic replacement of the old file by the new one."""

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from tagger.errors import OutputError
from tagger.file_names import escape_surrogates
from tagger.files import EncodedText, atomic_write, encode_text
from tagger.records import Item, Tag
from tagger.settings import FORMATS, Format

if TYPE_CHECKING:
    import pyarrow

Row: TypeAlias = dict[str, Any]

JSON_FORMAT = 1
COLUMNS = ("path", "tag", "confidence", "low_confidence", "reason", "group", "group_confidence", "duplicate_of")
DECIMALS = 4
"""Of the confidences, as the contract with those who read the file says."""

CELL_ROWS = 1_000
"""Rows of text that are written at once."""

PARQUET_ROWS = 10_000
"""Rows that a Parquet row group holds, and so that are kept in memory."""


class RowWriter(Protocol):
    """Takes rows one by one; `close` writes what the format needs at its end."""

    def write(self, row: Row) -> None:
        """Take one row."""

    def write_cells(self, rows: Iterable[Sequence[str]]) -> bool:
        """Take rows that are text already, in the order of the columns, or return False where the format has other types."""

    def close(self) -> None:
        """Finish the file."""


def columns(source_columns: Sequence[str], top_k: int) -> dict[str, str | None]:
    """Return the output's columns in order, each mapped to the source's column it repeats or to None where it is fmtag's.

    A source column with the name of one of fmtag's is kept as `source_NAME`.
    """
    own = [*COLUMNS]
    for rank in range(2, top_k + 1):
        own += [f"tag_{rank}", f"confidence_{rank}"]
    own.append("model")
    taken = {*own, *source_columns}
    named: dict[str, str | None] = {}
    for name in source_columns:
        kept = name
        while kept in own or (kept != name and kept in taken):
            kept = f"source_{kept}"
        named[kept] = name
    return {**named, **dict.fromkeys(own)}


def row(item: Item, tag: Tag, model: str, named: Mapping[str, str | None], duplicate_of: str = "") -> Row:
    """Return one row; `named` is what `columns` returned."""
    label, confidence = tag.ranked[0] if tag.ranked else ("", None)
    own: Row = {
        "path": item.path,
        "tag": label,
        "confidence": confidence,
        "low_confidence": tag.low_confidence,
        "reason": tag.reason,
        "group": tag.group,
        "group_confidence": tag.group_confidence,
        "duplicate_of": duplicate_of,
        "model": model,
    }
    for rank, (label, confidence) in enumerate(tag.ranked[1:], 2):
        own |= {f"tag_{rank}": label, f"confidence_{rank}": confidence}
    return {name: item.columns.get(source) if source is not None else own.get(name) for name, source in named.items()}


def cells(tag: Tag) -> tuple[str, str, str, str, str, str]:
    """Return tag, confidence, flag, reason, group and its confidence, as CSV has them."""
    label, confidence = tag.ranked[0] if tag.ranked else ("", None)
    of_group = _number(tag.group_confidence)
    return label, _number(confidence), _text(tag.low_confidence), tag.reason, tag.group, of_group


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{DECIMALS}f}"


def format_of(out: str, given: Format | None = None) -> Format:
    """Return the format asked for, else the one that the suffix names, else for `-` csv."""
    if given is not None:
        return given
    if out == "-":
        return "csv"
    suffix = Path(out).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise OutputError(f"{out}: its suffix names no format that fmtag writes ({known}); rename it or give --format.")
    return suffix


@contextmanager
def open_output(
    out: str,
    format: Format,
    named: Mapping[str, str | None],
    model: str,
    schema: "pyarrow.Schema | None" = None,
    excel: bool = False,
) -> Iterator[RowWriter]:
    """Give a writer of rows to `out`, which is replaced when the block ends well and untouched when it does not.

    `schema` holds the types of the source's columns for Parquet. `excel` makes CSV cells harmless that a spreadsheet
    would run as a formula, and writes the byte order mark. Raises `OutputError` where `out` cannot be written.
    """
    with ExitStack() as stack:
        with _said_of(out):
            file = stack.enter_context(_opened(out))
        writer = _writer(_Complaining(file, out), format, named, model, schema, excel)
        yield writer
        writer.close()
        with _said_of(out):
            stack.close()


@contextmanager
def _said_of(out: str) -> Iterator[None]:
    """Turn the operating system's errors into one sentence; a reader that has left is the caller's matter."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror or error}); nothing was changed there.") from error


class _Complaining(io.RawIOBase):
    """A file whose writing fails with an `OutputError`, so that no other room's trouble is mistaken for the output's."""

    def __init__(self, file: IO[bytes], out: str) -> None:
        self._file = file
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._file.closed:  # given up: Parquet's writer, when it is forgotten, still wants to end its file
            return len(data)
        with _said_of(self._out):
            return self._file.write(data)


@contextmanager
def _opened(out: str) -> Iterator[IO[bytes]]:
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with atomic_write(Path(out)) as file:
            yield file


def _writer(
    file: io.RawIOBase,
    format: Format,
    named: Mapping[str, str | None],
    model: str,
    schema: "pyarrow.Schema | None",
    excel: bool,
) -> RowWriter:
    match format:
        case "csv":
            return _CsvWriter(file, named, excel)
        case "json":
            return _JsonWriter(file, model)
        case "jsonl":
            return _JsonLinesWriter(file)
        case "parquet":
            return _ParquetWriter(file, named, schema)


class _CsvWriter:
    def __init__(self, file: io.RawIOBase, named: Mapping[str, str | None], excel: bool) -> None:
        self._own = [source is None for source in named.values()]
        self._safe = _harmless if excel else str
        self._file = io.BufferedWriter(file)
        # Only with \r in its line end does csv quote a lone \r in a cell; `EncodedText` writes \n all the same.
        self._csv = csv.writer(EncodedText(self._file), lineterminator="\r\n")
        if excel:
            self._file.write(b"\xef\xbb\xbf")
        self._csv.writerow([self._safe(name) for name in named])

    def write(self, row: Row) -> None:
        cells = (
            _number(value) if own and isinstance(value, float) else _text(value)
            for value, own in zip(row.values(), self._own, strict=True)
        )
        self._csv.writerow([self._safe(cell) for cell in cells])

    def write_cells(self, rows: Iterable[Sequence[str]]) -> bool:
        # Whole rows go from the ledger's query to the file without a step of Python's for each.
        waiting = iter(rows)
        while some := list(islice(waiting, CELL_ROWS)):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(some)
            if self._safe is str and "\r" not in text.getvalue():
                self._file.write(encode_text(text.getvalue()))
            else:
                self._csv.writerows([self._safe(cell) for cell in row] for row in some)
        return True

    def close(self) -> None:
        self._file.flush()


def _harmless(text: str) -> str:
    """Return text that no spreadsheet runs, as WooCommerce's exporter does it: with a leading '."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list() | tuple() | dict():
            return _json(value)
        case float() if math.isnan(value):
            return ""
    return str(value)


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value with None for numbers that JSON cannot hold."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [_finite(part) for part in value]
        case dict():
            return {str(name): _finite(part) for name, part in value.items()}
    return value


class _JsonLinesWriter:
    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(encode_text(_json(row)) + b"\n")

    def write_cells(self, rows: Iterable[Sequence[str]]) -> bool:
        return False

    def close(self) -> None:
        pass


class _JsonWriter:
    def __init__(self, file: io.RawIOBase, model: str) -> None:
        self._file = file
        self._separator = b"\n"
        file.write(encode_text(f'{{"format": {JSON_FORMAT}, "model": {_json(model)}, "rows": ['))

    def write(self, row: Row) -> None:
        self._file.write(self._separator + encode_text(_json(row)))
        self._separator = b",\n"

    def write_cells(self, rows: Iterable[Sequence[str]]) -> bool:
        return False

    def close(self) -> None:
        self._file.write(b"\n]}\n")


class _ParquetWriter:
    """Writes row groups of `PARQUET_ROWS`; the source's columns keep their types where it has any, else become text."""

    def __init__(self, file: io.RawIOBase, named: Mapping[str, str | None], source: "pyarrow.Schema | None") -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        self._typed = {name for name, column in named.items() if column is not None and source is not None}
        self._types = {name: self._type(name, column, source) for name, column in named.items()}
        self._schema = pyarrow.schema([(escape_surrogates(name), type_) for name, type_ in self._types.items()])
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[Row] = []

    def _type(self, name: str, column: str | None, source: "pyarrow.Schema | None") -> "pyarrow.DataType":
        if column is not None and source is not None:
            return source.field(column).type
        if column is None and name.startswith(("confidence", "group_confidence")):
            return self._arrow.float64()
        return self._arrow.bool_() if column is None and name.startswith("low_confidence") else self._arrow.string()

    def write(self, row: Row) -> None:
        self._rows.append({escape_surrogates(name): self._value(name, value) for name, value in row.items()})
        if len(self._rows) >= PARQUET_ROWS:
            self._flush()

    def _value(self, name: str, value: Any) -> Any:
        if value is None or name in self._typed or not self._arrow.types.is_string(self._types[name]):
            return value
        return escape_surrogates(_text(value))

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def write_cells(self, rows: Iterable[Sequence[str]]) -> bool:
        return False

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
