"""What is learnt from: Fashion-MNIST as tensors, with its fixed hold-out, and folders of labelled photos."""

import csv
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tagger.errors import DatasetError
from tagger.file_names import escaped, file_meant

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The ten classes in Fashion-MNIST's order (https://github.com/zalandoresearch/fashion-mnist)."""

NONE = len(LABELS)
"""The class of what is none of these."""

GROUPS = {
    "T-shirt/top": "upper body",
    "Trouser": "lower body",
    "Pullover": "upper body",
    "Dress": "full body",
    "Coat": "upper body",
    "Sandal": "footwear",
    "Shirt": "upper body",
    "Sneaker": "footwear",
    "Bag": "accessory",
    "Ankle boot": "footwear",
}
"""The coarser group that each class belongs to."""

HELD_OUT = 5_000
"""Training images kept out of training, for every choice and for the calibration."""

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


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures: `pixels` uint8 (n, 1, 28, 28) with 0 = background, `labels` int64 (n,).

    In a mix, `targets` float32 (n, classes) say how sure each label is, and `photo` bool (n,) which pictures stand for
    photos; without them labels are certain and all pictures of one kind. `names` are the classes' names in their order.
    """

    pixels: Tensor
    labels: Tensor
    targets: Tensor | None = None
    photo: Tensor | None = None
    names: tuple[str, ...] = LABELS

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Pictures":
        """Return the pictures at `indices`, in their order."""
        targets = None if self.targets is None else self.targets[indices]
        photo = None if self.photo is None else self.photo[indices]
        return Pictures(self.pixels[indices], self.labels[indices], targets, photo, self.names)

    def to(self, device: torch.device) -> "Pictures":
        """Return the pictures on a device."""
        targets = None if self.targets is None else self.targets.to(device)
        photo = None if self.photo is None else self.photo.to(device)
        return Pictures(self.pixels.to(device), self.labels.to(device), targets, photo, self.names)

    def fingerprint(self) -> str:
        """Return the sha256 of pixels, labels and kinds in their order, 64 hexadecimal digits.

        Targets are left out: networks computed them, whose last digits vary from one machine to the next.
        """
        whole = hashlib.sha256()
        for tensor in (self.pixels, self.labels, self.photo):
            if tensor is None:
                whole.update(b"none")
                continue
            values = np.ascontiguousarray(tensor.cpu().numpy())
            whole.update(f"{values.dtype.str}{values.shape}".encode())
            whole.update(values.data)
        return whole.hexdigest()


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo to learn from: its class, `NONE` for one of none of them, and whose it is."""

    file: Path
    label: int
    group: str


KINDS = {
    **dict(zip(LABELS, range(len(LABELS)), strict=True)),
    "T-Shirt": 0,
    "Polo": 0,
    "Top": 0,
    "Undershirt": 0,
    "Pants": 1,
    "Hoodie": 2,
    "Longsleeve": 2,
    "Blazer": 4,
    "Outwear": 4,
    "Blouse": 6,
    "Body": NONE,
    "Hat": NONE,
    "Shorts": NONE,
    "Skirt": NONE,
    "OOD": NONE,
}
"""The classes of the labels of Fashion-MNIST, of the clothing dataset, and of our own tables; others are left out."""

_LAYOUTS = (("labels.csv", "path", "group", ("",)), ("images.csv", "image", "sender_id", ("images", "images_original")))
"""Table, columns of the file and of whose it is, and folders of the photos: ours, and the clothing dataset's own."""

LABEL_TABLES = tuple(name for name, *_ in _LAYOUTS)
"""The tables that a folder of labelled photos may hold."""


def labelled_photos(folder: Path) -> list[LabelledPhoto]:
    """Return the photos of a folder with a table of labels, such as the clothing dataset of Alexey Grigorev (CC0-1.0).

    The table is `labels.csv` (columns path, label and group) or the dataset's own `images.csv`. Photos with a label that
    is not in `KINDS`, such as "Not sure", are left out. Raises `DatasetError` where there is no such table, or no photo.
    """
    for name, file_column, group_column, places in _LAYOUTS:
        if (folder / name).is_file():
            rows = _rows(folder / name)
            place = next((folder / place for place in places if (folder / place).is_dir()), folder)
            if rows and not {file_column, "label", group_column} <= rows[0].keys():
                raise DatasetError(f"{folder / name} needs the columns {file_column}, label and {group_column}.")
            photos = [
                LabelledPhoto(_photo_file(place, row[file_column]), KINDS[row["label"]], row[group_column] or "")
                for row in rows
                if row["label"] in KINDS and row[file_column]
            ]
            if photos:
                return photos
            raise DatasetError(f"{folder / name} names no photo with a label that fmtag knows; these are: {', '.join(KINDS)}.")
    raise DatasetError(f"{folder} holds neither labels.csv nor images.csv; give a folder of photos with a table of labels.")


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table} cannot be read as a CSV in UTF-8 ({error}); mend or replace it.") from error


def table_checksum(folder: Path) -> dict[str, str]:
    """Return the sha256 of a folder's table of labels by its name."""
    table = next(folder / name for name, *_ in _LAYOUTS if (folder / name).is_file())
    return {table.name: hashlib.sha256(table.read_bytes()).hexdigest()}


def _photo_file(place: Path, name: str) -> Path:
    return file_meant(place / name if Path(name).suffix else place / f"{name}.jpg")


def kept_for_reporting(folder: str, group: str) -> bool:
    """Whether a group is in the half that no choice or training may look at, by its hash, so that it stays there for good."""
    return _hashed(folder, group)[0] % 2 == 1


def kept_for_calibration(folder: str, group: str) -> bool:
    """Whether a group of the other half, about one in six, is kept out of training to calibrate by."""
    return _hashed(folder, group)[1] % 6 == 0


def _hashed(folder: str, group: str) -> bytes:
    return hashlib.sha256(escaped(f"{folder}/{group}").encode()).digest()


def fashion_mnist(split: Literal["train", "test"], folder: Path | None = None) -> Pictures:
    """Return the 60,000 training or 10,000 test images of Fashion-MNIST.

    They are read from `folder` if given; else from Debian's package, else from torchvision's download in the user's
    cache, which is filled if need be. Raises `DatasetError` where a file is missing, damaged or another data set's.
    """
    folder = folder or _found_or_downloaded()
    (images_name, images_sum), (labels_name, labels_sum) = _FILES[split]
    images = _read_idx(folder, images_name, images_sum, header=16)
    labels = _read_idx(folder, labels_name, labels_sum, header=8)
    return Pictures(
        torch.from_numpy(images.reshape(-1, 1, 28, 28)),
        torch.from_numpy(labels.astype(np.int64)),
    )


def holds_fashion_mnist(folder: Path) -> bool:
    """Whether a folder holds any of Fashion-MNIST's four files, packed or not."""
    names = [name for split in _FILES.values() for name, _ in split]
    return any((folder / f"{name}{suffix}").is_file() for name in names for suffix in ("", ".gz"))


def checksums() -> dict[str, str]:
    """Return the sha256 of each decompressed Fashion-MNIST file, as `fashion_mnist` verifies them."""
    return dict(_FILES["train"] + _FILES["test"])


def hold_out(pictures: Pictures, count: int = HELD_OUT) -> tuple[Pictures, Pictures]:
    """Return the pictures without, and the `count` pictures of, the fixed hold-out.

    The same pictures are held out whatever the training seed, so that choices compare on the same images and
    no training run ever sees another's.
    """
    if not 0 < count < len(pictures):
        raise DatasetError(f"Cannot hold {count} of {len(pictures)} pictures out; there must be more pictures than that.")
    # RandomState's stream is frozen by numpy's compatibility policy; torch.randperm's is not.
    order = torch.from_numpy(np.random.RandomState(20170825).permutation(len(pictures)))
    return pictures.take(order[count:]), pictures.take(order[:count])


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
