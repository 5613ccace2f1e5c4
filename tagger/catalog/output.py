"""Open an output for its rows: choose the format, and replace the old file by the new one as a whole."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tagger.catalog.destinations import open_destination
from tagger.catalog.rows import Columns
from tagger.catalog.writers import RowWriter, make_writer
from tagger.errors import OutputError, reason_of
from tagger.settings import FORMATS, Format
from tagger.storage.addresses import shown
from tagger.storage.traffic import Traffic
from tagger.streams import is_standard_output, is_stream, waiting_for_reader

if TYPE_CHECKING:
    import pyarrow


def format_of(out: str, given: Format | None = None) -> Format:
    """Return the format of an output: `given`, or the one that the suffix names, or CSV for `-`, a pipe or a device.

    Raises `OutputError` for a suffix that names none.
    """
    if given is not None:
        return given
    suffix = Path(out).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        if is_stream(out):
            return "csv"
        known = ", ".join(f".{name}" for name in FORMATS)
        raise OutputError(f"{out}: its suffix names no format that fmtag writes ({known}); rename it or give --format.")
    return suffix


@contextmanager
def open_output(
    out: str,
    format: Format,
    columns: Columns,
    model: str,
    schema: "pyarrow.Schema | None" = None,
    excel: bool = False,
    waiting: Callable[[str], None] = lambda sentence: None,
    traffic: Traffic | None = None,
) -> Iterator[RowWriter]:
    """Open `out` and yield the writer of its rows; the file is replaced when the block ends well and else unchanged.

    `out` may be the address of an object in a bucket, whose requests `traffic` counts.

    `schema` holds the types of the source's columns for Parquet. `excel` escapes CSV cells that a spreadsheet would run as
    a formula, and writes the byte order mark. `waiting` gets a sentence where the reader of a named pipe is waited for.
    Raises `OutputError` where `out` cannot be written; errors of the block itself pass unchanged.
    """
    with ExitStack() as stack:
        with _naming_output(out):
            file = stack.enter_context(_opened(out, waiting, traffic))
        writer = make_writer(_OutputFile(file, out), format, columns, model, schema, excel)
        yield writer
        writer.close()
        with _naming_output(out):
            stack.close()


@contextmanager
def _naming_output(out: str) -> Iterator[None]:
    """Turn the operating system's errors into an `OutputError`, except where the reader of standard output has seen enough."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_standard_output(out):
            raise
        name = "Standard output" if out == "-" else shown(out)
        kept = "" if is_stream(out) else "; nothing was changed there"
        raise OutputError(f"{name} cannot be written ({reason_of(error)}){kept}.") from error


class _OutputFile(io.RawIOBase):
    """A file whose `write` raises `OutputError`, so that an `OSError` of the block is never taken for the output's."""

    def __init__(self, file: IO[bytes], out: str) -> None:
        self._file = file
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._file.closed:  # given up: Parquet's writer, when it is garbage collected, still writes the end of its file
            return len(data)
        with _naming_output(self._out):
            return self._file.write(data)


@contextmanager
def _opened(out: str, waiting: Callable[[str], None], traffic: Traffic | None) -> Iterator[IO[bytes]]:
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with open_destination(out, traffic, lambda: waiting(waiting_for_reader(out))) as file:
            yield file
