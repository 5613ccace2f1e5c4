"""What is learnt from: Fashion-MNIST as tensors, with its fixed hold-out, and folders of labelled photos."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from tagger.data.clothing import _LAYOUTS
from tagger.data.images import Images
from tagger.errors import DatasetError
from tagger.file_names import escape_surrogates

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the four files."""

# The checksums are of the decompressed bytes: packagers compress anew, with other gzip headers.
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


LABEL_TABLES = tuple(name for name, *_ in _LAYOUTS)
"""The tables that a folder of labelled photos may hold."""


def _hashed(folder: str, group: str) -> bytes:
    return hashlib.sha256(escape_surrogates(f"{folder}/{group}").encode()).digest()


def load_fashion_mnist(split: Literal["train", "test"], folder: Path | None = None) -> Images:
    """Return the 60,000 training or 10,000 test images of Fashion-MNIST.

    They are read from `folder` if given; else from Debian's package, else from torchvision's download in the user's
    cache, which is filled if need be. Raises `DatasetError` where a file is missing, damaged or another data set's.
    """
    folder = folder or _found_or_downloaded()
    (images_name, images_sum), (labels_name, labels_sum) = _FILES[split]
    images = _read_idx(folder, images_name, images_sum, header=16)
    labels = _read_idx(folder, labels_name, labels_sum, header=8)
    return Images(
        torch.from_numpy(images.reshape(-1, 1, 28, 28)),
        torch.from_numpy(labels.astype(np.int64)),
    )


def contains_fashion_mnist(folder: Path) -> bool:
    """Whether a folder holds any of Fashion-MNIST's four files, packed or not."""
    names = [name for split in _FILES.values() for name, _ in split]
    return any((folder / f"{name}{suffix}").is_file() for name in names for suffix in ("", ".gz"))


def fashion_mnist_checksums() -> dict[str, str]:
    """Return the sha256 of each decompressed Fashion-MNIST file, as `load_fashion_mnist` verifies them."""
    return dict(_FILES["train"] + _FILES["test"])


def _found_or_downloaded() -> Path:
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
