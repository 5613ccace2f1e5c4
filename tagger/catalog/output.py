"""Open an output for its rows: choose the format, and replace the old file by the new one as a whole."""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tagger.catalog.rows import Columns
from tagger.catalog.writers import RowWriter, make_writer
from tagger.errors import OutputError, reason_of
from tagger.files import atomic_write
from tagger.settings import FORMATS, Format

if TYPE_CHECKING:
    import pyarrow


def format_of(out: str, given: Format | None = None) -> Format:
    """Return the format of an output: `given`, or the one that the suffix names, or CSV for `-` (standard output).

    Raises `OutputError` for a suffix that names none.
    """
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
    columns: Columns,
    model: str,
    schema: "pyarrow.Schema | None" = None,
    excel: bool = False,
) -> Iterator[RowWriter]:
    """Open `out` and yield the writer of its rows; the file is replaced when the block ends well and else unchanged.

    `schema` holds the types of the source's columns for Parquet. `excel` escapes CSV cells that a spreadsheet would run as
    a formula, and writes the byte order mark. Raises `OutputError` where `out` cannot be written; errors of the block
    itself pass unchanged.
    """
    with ExitStack() as stack:
        with _naming_output(out):
            file = stack.enter_context(_opened(out))
        writer = make_writer(_OutputFile(file, out), format, columns, model, schema, excel)
        yield writer
        writer.close()
        with _naming_output(out):
            stack.close()


@contextmanager
def _naming_output(out: str) -> Iterator[None]:
    """Turn the operating system's errors into an `OutputError`; a reader that has closed the pipe is the caller's matter."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({reason_of(error)}); nothing was changed there.") from error


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
def _opened(out: str) -> Iterator[IO[bytes]]:
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with atomic_write(Path(out)) as file:
            yield file
