"""Load Fashion-MNIST, verified by checksums (https://github.com/zalandoresearch/fashion-mnist)."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from tagger.data.images import Images
from tagger.errors import DatasetError

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Folder of the four files in Debian's package dataset-fashion-mnist."""

# Checksums of the decompressed bytes, because packagers compress the files again, with other gzip headers.
_FILES = {
    "train": (
        ("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
}


def load_fashion_mnist(split: Literal["train", "test"], folder: Path | None = None) -> Images:
    """Load the 60,000 training or 10,000 test images of Fashion-MNIST.

    Args:
        split: "train" or "test".
        folder: folder of the four files, gzipped or not. None for that of Debian's package, or where it is not installed
            torchvision's download in `~/.cache/fmtag`, which is made if necessary.

    Raises:
        DatasetError: if a file is missing, damaged or of another data set, or the download fails.
    """
    folder = folder or _default_folder()
    (images_name, images_sum), (labels_name, labels_sum) = _FILES[split]
    images = _read_idx(folder, images_name, images_sum, header=16)
    labels = _read_idx(folder, labels_name, labels_sum, header=8)
    return Images(
        torch.from_numpy(images.reshape(-1, 1, 28, 28)),
        torch.from_numpy(labels.astype(np.int64)),
    )


def contains_fashion_mnist(folder: Path) -> bool:
    """Return whether a folder holds any of Fashion-MNIST's four files, gzipped or not."""
    names = [name for split in _FILES.values() for name, _ in split]
    return any((folder / f"{name}{suffix}").is_file() for name in names for suffix in ("", ".gz"))


def fashion_mnist_checksums() -> dict[str, str]:
    """Return the sha256 of each of the four decompressed files, keyed by file name."""
    return dict(_FILES["train"] + _FILES["test"])


def _default_folder() -> Path:
    """Return the folder of Debian's package, or that of the download, which is made if it is missing."""
    if SYSTEM_FOLDER.is_dir():
        return SYSTEM_FOLDER
    cache = Path.home() / ".cache" / "fmtag"
    folder = cache / "FashionMNIST" / "raw"
    if not folder.is_dir():
        _download(cache)
    return folder


def _download(cache: Path) -> None:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(cache), download=True)
    except (OSError, RuntimeError) as error:
        raise DatasetError(
            "Fashion-MNIST is not on this machine and could not be downloaded; install Debian's package "
            "dataset-fashion-mnist, or put its four .gz files into a folder and give it with --data."
        ) from error


def _read_idx(folder: Path, name: str, checksum: str, header: int) -> np.ndarray:
    """Read the values behind the header of an IDX file, uint8 (n,), and verify the file's checksum."""
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes()) if path.exists() else (folder / name).read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{folder} holds no {name}.gz; give the folder of Fashion-MNIST's four files.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}); fetch it again.") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise DatasetError(
            f"{folder / name} is not Fashion-MNIST's (its checksum differs); "
            "it may be MNIST, the release before September 2017, or a damaged copy."
        )
    return np.frombuffer(content, np.uint8, offset=header).copy()
