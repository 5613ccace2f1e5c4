"""Compressed files are read by their content."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from catalog_helpers import write

from tagger.catalog.compressed import is_compressed, open_bytes


def arrow(codec: str) -> Callable[[bytes], bytes]:
    """Return the compression of a codec that Python lacks."""

    def compress(content: bytes) -> bytes:
        packed = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(packed, codec) as file:
            file.write(content)
        return bytes(packed.getvalue().to_pybytes())

    return compress


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, arrow("zstd"), arrow("lz4")])
def test_a_compressed_file_has_the_content_that_was_compressed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Whatever its name is; all of it, to the last byte."""
    content = b"sku,image\n" * 10_000
    file = write(tmp_path / "t.csv", compress(content))
    assert is_compressed(file.read_bytes()[:6])
    with open_bytes(file) as opened:
        assert opened.read() == content


def test_other_files_are_read_as_they_are(tmp_path: Path) -> None:
    """A name that ends in .gz makes no compressed file."""
    file = write(tmp_path / "t.csv.gz", "sku,image\n")
    assert not is_compressed(file.read_bytes())
    with open_bytes(file) as opened:
        assert opened.read() == b"sku,image\n"
