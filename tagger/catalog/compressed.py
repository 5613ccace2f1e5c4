"""Open files as bytes, decompressed where they are compressed; told by content, as names often say otherwise."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What reading a damaged compressed file raises, besides `OSError`."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading its content: of gzip, bzip2, xz, Zstandard and LZ4 files what is compressed in them.

    Reading may raise `OSError` or one of `DAMAGE`.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST_START)
    for magic, opened in _OPENERS.items():
        if start.startswith(magic):
            return cast(BinaryIO, opened(path))
    return path.open("rb")


def is_compressed(start: bytes) -> bool:
    """Return whether bytes, at least `LONGEST_START` of a longer file, begin a compressed file that `open_bytes` reads."""
    return start.startswith(tuple(_OPENERS))


def _opened_by_pyarrow(codec: str, path: Path) -> object:
    import pyarrow  # has the codecs that Python's own library lacks before 3.14

    return pyarrow.input_stream(path, compression=codec)


_OPENERS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x28\xb5\x2f\xfd": partial(_opened_by_pyarrow, "zstd"),
    b"\x04\x22\x4d\x18": partial(_opened_by_pyarrow, "lz4"),
}
"""What opens a compressed file, by its first bytes."""

LONGEST_START = max(map(len, _OPENERS))
"""Bytes from the beginning of a file that tell whether it is compressed."""
