"""Reading Fashion-MNIST: missing, foreign and damaged files are refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tagger.data.fashion_mnist import fashion_mnist_checksums, load_fashion_mnist
from tagger.errors import DatasetError

PACKED = gzip.compress(bytes(5000))

DAMAGED = [b"", b"no gzip", PACKED[:-9], PACKED[:-4] + b"1234"]


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    """A missing file is named, with its folder."""
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "train-images-idx3-ubyte" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
def test_another_data_sets_files_are_refused(tmp_path: Path, packed: bool) -> None:
    """Files of the right names with other contents, as MNIST's are, are refused by their checksum."""
    content = b"\0\0\x08\x03" + bytes(12 + 28 * 28)
    for name in fashion_mnist_checksums():
        file = tmp_path / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(content) if packed else content)
    for split in ("train", "test"):
        with pytest.raises(DatasetError, match="checksum differs") as caught:
            load_fashion_mnist(split, tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", DAMAGED, ids=["empty", "text", "cut", "checksum"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A damaged archive is refused in one sentence."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_archive_damaged_inside_is_refused(tmp_path: Path) -> None:
    """An archive with a flipped byte anywhere is refused in one sentence, never with a traceback."""
    packed = gzip.compress(np.random.default_rng(1).integers(0, 99, 3000, np.uint8).tobytes())
    file = tmp_path / "train-images-idx3-ubyte.gz"
    for at in range(0, len(packed), 37):
        file.write_bytes(packed[:at] + bytes([packed[at] ^ 255]) + packed[at + 1 :])
        with pytest.raises(DatasetError):
            load_fashion_mnist("train", tmp_path)
