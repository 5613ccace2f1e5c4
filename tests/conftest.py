"""What the tests share: a small network's bundle, photos made on the spot, and the command in its own process."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tagger.data.labels import GROUPS, LABELS
from tagger.models import bundle
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.photos.product import VERSION

ROOT = Path(__file__).resolve().parent.parent


def save_bundle(folder: Path, config: NetworkConfig, **more: Any) -> Path:
    """Save a bundle of an untrained but seeded network, with `more` on its card, and return its folder."""
    torch.manual_seed(7)
    network = Network(config)
    for head in (network.head, network.photo_head):
        if head is not None:
            torch.nn.init.normal_(head.weight, std=4.0)
    card = Card(
        name=folder.name,
        labels=LABELS,
        groups=GROUPS,
        network=config,
        garment_version=VERSION,
        temperature=1.0,
        min_confidence=0.5,
        **more,
    )
    bundle.save(folder, card, network)
    return folder


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny, untrained but seeded network: quick, and its answers differ from photo to photo."""
    return save_bundle(tmp_path_factory.mktemp("bundles") / "small", NetworkConfig(widths=(8, 16), blocks=1))


@pytest.fixture(scope="session")
def photo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a second head, for photos, that also knows what is none of the labels, and a table of precisions."""
    return save_bundle(
        tmp_path_factory.mktemp("bundles") / "shops",
        NetworkConfig(widths=(8, 16), blocks=1, photo_classes=len(LABELS) + 1),
        photo_temperature=2.0,
        precisions={"0.8": 0.31, "0.95": 0.62},
    )


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute in one thread: more only wait for each other on networks so small, on a busy machine a hundred times longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw_photo(seed: int, size: tuple[int, int] = (240, 320)) -> Image.Image:
    """Return a picture of a coloured blob on near-white, another one for each seed."""
    rng = np.random.default_rng(seed)
    width, height = size
    ys, xs = np.mgrid[0:height, 0:width]
    pixels = np.full((height, width, 3), 250, np.uint8)
    for _ in range(3):
        x, y = rng.uniform(0.35, 0.65, 2) * (width, height)
        rx, ry = rng.uniform(0.1, 0.25, 2) * (width, height)
        pixels[((xs - x) / rx) ** 2 + ((ys - y) / ry) ** 2 < 1] = rng.integers(0, 200, 3)
    return Image.fromarray(pixels)


def write_photos(folder: Path, count: int, size: tuple[int, int] = (240, 320), digits: int = 4) -> Path:
    """Write that many good photos, each of another product, into a new folder, named by their numbers, and return it."""
    folder.mkdir()
    for number in range(count):
        draw_photo(number, size).save(folder / f"{number:0{digits}d}.jpg")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[int], Path]:
    """Write that many good photos into a folder and return it."""

    def write(count: int) -> Path:
        return write_photos(tmp_path / "photos", count)

    return write


Fmtag = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def fmtag(small_bundle: Path) -> Fmtag:
    """Run the real command in its own process, with the small bundle unless --model says otherwise."""

    def call(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle), "FMTAG_EVALUATE_MODEL": str(small_bundle)} | environment
        done = subprocess.run(
            [sys.executable, "-m", "tagger", *map(str, arguments)], input=stdin, capture_output=True, env=variables, timeout=300
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return call
