"""What the tests share: small bundles, photos made on the spot, and rows read back."""

import csv
import io
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from tagger.cli.main import main
from tagger.data.images import Images
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


Fmtag = Callable[..., subprocess.CompletedProcess[str]]


Call = Callable[..., str]
"""Python called with some arguments, here where torch cannot be imported; returns what it printed."""


class Result(NamedTuple):
    """How a command ended that was run in this process: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Result]


def run_cli(*arguments: str | Path) -> Result:
    """Run the command line in this process: quick, for what needs no process of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    code: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([*map(str, arguments)])
        except SystemExit as end:
            code = end.code or 0
    return Result(code, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err)))  # type: ignore[attr-defined]


def exit_code(*arguments: str | Path) -> int:
    """Run the command line in this process, with its output where it goes, and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    return int(caught.value.code or 0)


def load_slice() -> Images:
    """Load the first 200 images of Fashion-MNIST's test set."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        return Images(torch.from_numpy(part["pixels"])[:, None], torch.from_numpy(part["labels"].astype(np.int64)))


def assert_one_sentence(result: Result, code: int, *parts: str) -> None:
    """Assert that a command failed with that exit code, in one sentence on standard error that has these parts in it."""
    assert result.code == code
    assert result.out == ""
    assert "Traceback" not in result.err
    sentence = result.err.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert sentence.endswith((".", ")", "?", *parts))  # Click before 8.4 ends with an unknown option's name
    for part in parts:
        assert part in sentence
    if code == 1:
        assert len(result.err.splitlines()) == 1


def csv_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
