"""Read photos whose bytes are in a column of a Parquet table, without a copy of the column in memory or on disk."""

import hashlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from tagger.errors import reason_of
from tagger.records import Content, EmbeddedPhoto, Failed

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

MAX_BYTES = 16_000_000
"""Bytes of rows that are read from a table at once, on the average."""

MAX_ROWS = 256

KEPT_BATCHES = 4
"""Batches of rows that stay in memory, as threads ask for the photos of a table nearly, but not quite, in their order."""

BUFFER_BYTES = 1_000_000


def digest(content: bytes) -> int:
    """Return what tells the bytes of an embedded photo from others: the first 8 bytes of their sha256, as a signed number."""
    return _digest(hashlib.sha256(content).digest())


def _digest(sha256: bytes) -> int:
    return int.from_bytes(sha256[:8], "big", signed=True)


def open_table(path: str) -> "parquet.ParquetFile":
    """Open a Parquet table so that a row group of photos is read page by page, and not as a whole."""
    from pyarrow import parquet

    return parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)


def rows_at_once(file: "parquet.ParquetFile", at_most: int = MAX_ROWS) -> int:
    """Return how many rows of a table have about `MAX_BYTES`, 1 to `at_most`."""
    metadata = file.metadata
    total = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return max(1, min(at_most, int(MAX_BYTES * metadata.num_rows // max(1, total))))


def read_embedded(photo: EmbeddedPhoto) -> tuple[bytes, Content] | Failed:
    """Return the bytes of an embedded photo with their sha256 and size, or why they cannot be had; may run in threads."""
    try:
        found = Path(photo.table).stat()
        content = _reader(photo.table, (found.st_ino, found.st_size, found.st_mtime_ns)).read(photo)
    except FileNotFoundError:
        return Failed("missing", f"{photo.table}: no such file")
    except Exception as error:  # a damaged table
        return Failed("unreadable", f"{photo.name}: {reason_of(error)}")
    sha256 = hashlib.sha256(content).digest()
    if _digest(sha256) != photo.digest:
        return Failed("unreadable", f"{photo.name}: {photo.table} was changed while it was read; run the command again")
    return content, Content(sha256, len(content), photo.digest)


@lru_cache(maxsize=2)
def _reader(table: str, state: tuple[int, int, int]) -> "_Reader":
    """Return the reader of a table in one state of its file."""
    return _Reader(table)


class _Reader:
    """Reads rows of a table in nearly ascending order, each batch of them once."""

    def __init__(self, table: str) -> None:
        self._lock = Lock()  # a file has one position
        self._file = open_table(table)
        self._rows = rows_at_once(self._file)
        groups = range(self._file.metadata.num_row_groups)
        self._ends = list(accumulate(self._file.metadata.row_group(group).num_rows for group in groups))
        self._column = ""
        self._batches: Iterator[pyarrow.RecordBatch] = iter(())
        self._next = self._end = 0
        self._kept: OrderedDict[int, pyarrow.Array] = OrderedDict()

    def read(self, photo: EmbeddedPhoto) -> bytes:
        with self._lock:
            value: Any = self._cell(photo.column, photo.row)
        for key in photo.keys:
            value = value[key]
        return bytes(value)

    def _cell(self, column: str, row: int) -> Any:
        if column != self._column:
            self._column = column
            self._kept.clear()
            self._start(row)
        while (cell := self._kept_cell(row)) is None:
            if not self._next <= row < self._end:
                self._start(row)
            values = next(self._batches).column(0)
            self._kept[self._next] = values
            self._kept.move_to_end(self._next)
            self._next += len(values)
            if len(self._kept) > KEPT_BATCHES:
                self._kept.popitem(last=False)
        return cell.as_py()

    def _kept_cell(self, row: int) -> Any:
        for start, values in self._kept.items():
            if start <= row < start + len(values):
                return values[row - start]
        return None

    def _start(self, row: int) -> None:
        """Go to the beginning of the row group that holds a row."""
        group = bisect_right(self._ends, row)
        self._end = self._ends[group]
        self._next = self._end - self._file.metadata.row_group(group).num_rows
        self._batches = self._file.iter_batches(self._rows, row_groups=[group], columns=[self._column])
