"""Fashion-MNIST is read from gzipped or plain files, verified by checksums, and refused in one sentence otherwise."""
# ruff: noqa: SIM300 - the expected value stands first

import gzip
import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tagger.data import fashion_mnist
from tagger.data.fashion_mnist import contains_fashion_mnist, fashion_mnist_checksums, load_fashion_mnist
from tagger.data.labels import LABELS
from tagger.errors import DatasetError

COUNT = 5
LABEL_BYTES = bytes([9, 0, 3, 3, 7])
PIXELS = np.random.default_rng(2).integers(0, 256, (COUNT, 28, 28), np.uint8)
FILES = {
    "images": b"\0\0\x08\x03" + b"".join(number.to_bytes(4, "big") for number in (COUNT, 28, 28)) + PIXELS.tobytes(),
    "labels": b"\0\0\x08\x01" + COUNT.to_bytes(4, "big") + LABEL_BYTES,
}
PACKED = gzip.compress(FILES["images"], mtime=0)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write five images in the place of the training set, gzipped, and in that of the test set, plain."""
    checksums = {kind: hashlib.sha256(content).hexdigest() for kind, content in FILES.items()}
    entries: dict[str, tuple[tuple[str, str], ...]] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        names = {"images": f"{prefix}-images-idx3-ubyte", "labels": f"{prefix}-labels-idx1-ubyte"}
        entries[split] = tuple((names[kind], checksums[kind]) for kind in FILES)
        for kind, content in FILES.items():
            if split == "train":
                (tmp_path / f"{names[kind]}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (tmp_path / names[kind]).write_bytes(content)
    monkeypatch.setattr(fashion_mnist, "_FILES", entries)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_labels_are_read(small: Path, split: str) -> None:
    """Gzipped and plain files give uint8 pixels and int64 labels in their order, named as Fashion-MNIST's."""
    images = load_fashion_mnist(split, small)  # type: ignore[arg-type]
    assert np.array_equal(PIXELS[:, None], images.pixels.numpy())
    assert list(LABEL_BYTES) == images.labels.tolist()
    assert "torch.int64" == str(images.labels.dtype)
    assert LABELS == images.names


def test_the_systems_folder_comes_first(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the one of Debian's package is read, and nothing is downloaded."""
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", small)
    monkeypatch.setattr(fashion_mnist, "_download", lambda cache: pytest.fail("downloaded"))
    assert COUNT == len(load_fashion_mnist("train"))


def test_the_download_is_made_once(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no package is installed, the download in the user's cache is read, and made where it is missing."""
    calls: list[Path] = []

    def download(cache: Path) -> None:
        calls.append(cache)
        (cache / "FashionMNIST").mkdir(parents=True)
        (cache / "FashionMNIST" / "raw").symlink_to(small)

    home = tmp_path / "home"
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "none")
    monkeypatch.setattr(fashion_mnist, "_download", download)
    monkeypatch.setattr(Path, "home", lambda: home)
    assert [COUNT, COUNT] == [len(load_fashion_mnist("train")) for _ in range(2)]
    assert [home / ".cache" / "fmtag"] == calls


def test_a_failed_download_names_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the download fails, the error names the package and the option."""

    def failing(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    # In place of torchvision, which takes seconds to import.
    datasets = SimpleNamespace(FashionMNIST=failing)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=datasets))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    with pytest.raises(DatasetError, match=r"dataset-fashion-mnist.*--data"):
        fashion_mnist._download(tmp_path)


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    """The error names the folder and the missing file."""
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "train-images-idx3-ubyte" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_files_of_another_data_set_are_refused(tmp_path: Path, split: str, packed: bool) -> None:
    """Files of the same names with other contents, as MNIST's are, are refused by their checksum in one sentence."""
    content = b"\0\0\x08\x03" + bytes(12 + 28 * 28)
    for name in fashion_mnist_checksums():
        file = tmp_path / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    with pytest.raises(DatasetError, match="checksum differs") as caught:
        load_fashion_mnist(split, tmp_path)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", PACKED[:-9], PACKED[:-4] + b"1234"],
    ids=["empty", "not gzip", "truncated", "wrong checksum"],  # an archive's bytes hold the time at which it was made
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A truncated or corrupt archive is refused in one sentence."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_archive_damaged_inside_is_refused(tmp_path: Path) -> None:
    """An archive with a flipped byte anywhere is refused with a `DatasetError`, never with another exception."""
    packed = gzip.compress(np.random.default_rng(1).integers(0, 99, 3000, np.uint8).tobytes())
    file = tmp_path / "train-images-idx3-ubyte.gz"
    for at in range(0, len(packed), 37):
        file.write_bytes(packed[:at] + bytes([packed[at] ^ 255]) + packed[at + 1 :])
        with pytest.raises(DatasetError):
            load_fashion_mnist("train", tmp_path)


def test_a_folder_of_fashion_mnist_is_recognised(tmp_path: Path) -> None:
    """Any of the four files, gzipped or not, tells a folder of Fashion-MNIST; no other file does."""
    (tmp_path / "labels.csv").touch()
    assert not contains_fashion_mnist(tmp_path)
    for name in fashion_mnist_checksums():
        for suffix in ("", ".gz"):
            file = tmp_path / f"{name}{suffix}"
            file.touch()
            assert contains_fashion_mnist(tmp_path)
            file.unlink()


def test_checksums_are_of_the_four_files() -> None:
    """There is a sha256 for each of the four published files."""
    checksums = fashion_mnist_checksums()
    assert 4 == len(checksums) == len(set(checksums.values()))
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in checksums.values())
    assert "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888" == checksums["train-images-idx3-ubyte"]
