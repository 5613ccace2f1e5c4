"""Open files as bytes, decompressed where they are compressed; told by content, as names often say otherwise."""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import BinaryIO, cast

_ZSTD, _LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"

DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What reading a damaged compressed file raises, besides `OSError`."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading its content: of gzip, bzip2, xz, Zstandard and LZ4 files what is compressed in them.

    Reading may raise `OSError` or one of `DAMAGE`.
    """
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.open(path))
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    if magic == b"\xfd7zXZ\0":
        return lzma.open(path)
    if magic.startswith((_ZSTD, _LZ4)):
        import pyarrow  # has the codecs that Python's own library lacks before 3.14

        return cast(BinaryIO, pyarrow.input_stream(path, compression="zstd" if magic.startswith(_ZSTD) else "lz4"))
    return path.open("rb")


def is_compressed(start: bytes) -> bool:
    """Return whether bytes begin a compressed file that `open_bytes` reads."""
    return start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", _ZSTD, _LZ4))
