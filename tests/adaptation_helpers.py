"""Synthetic features and labelled examples, and the commands in this process, shared by the tests of adaptation."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tagger.adaptation.examples import LabelledExamples
from tagger.arrays import Classes, Float32s
from tagger.cli.main import main
from tagger.inference.predictor import Features

WIDTH = 64
"""Width of the synthetic feature maps."""


def maps_of(kinds: Sequence[int], noise: float = 0.15, seed: int = 1) -> Float32s:
    """Return feature maps of photos, each near the centre of its kind."""
    centres = np.random.default_rng(9).standard_normal((8, WIDTH), np.float32)[list(kinds)]
    return centres + noise * np.random.default_rng(seed).standard_normal((len(kinds), WIDTH), np.float32)


def confident(classes: Sequence[int], outputs: int = 4) -> Float32s:
    """Return the probabilities of a network that is sure of these classes."""
    return 0.96 * np.eye(outputs, dtype=np.float32)[list(classes)] + 0.04 / outputs


def examples_on(
    photos: Sequence[int],
    classes: Sequence[int],
    labels: Sequence[str],
    known: Sequence[int],
    products: Sequence[int] | None = None,
) -> LabelledExamples:
    """Return labelled examples in which every photo is a product of its own, unless `products` says otherwise."""
    numbers = np.arange(len(photos)) if products is None else np.array(products)
    return LabelledExamples(tuple(labels), tuple(known), np.array(photos), np.array(classes), numbers)


def large_catalog(photos: int, width: int = 48, kinds: int = 12, seed: int = 0) -> tuple[Features, Classes]:
    """Return features of photos of some kinds, in threes of one product, and their classes (n,), 0..2.

    The network is right on three quarters of the photos.
    """
    rng = np.random.default_rng(seed)
    products = rng.integers(kinds, size=photos // 3 + 1)
    centres = rng.standard_normal((kinds, width), np.float32)[products]
    centres += 0.5 * rng.standard_normal((len(products), width), np.float32)
    maps = centres.repeat(3, 0)[:photos] + 0.2 * rng.standard_normal((photos, width), np.float32)
    classes = products.repeat(3)[:photos] % 3
    predicted = np.where(rng.random(photos) < 0.25, rng.integers(3, size=photos), classes)
    return Features(0.8 * np.eye(4, dtype=np.float32)[predicted] + 0.05, maps), classes


def examples_of(photos: Classes, classes: Classes) -> LabelledExamples:
    """Return examples on some photos of a large catalog."""
    return examples_on(photos.tolist(), classes[photos].tolist(), ("a", "b", "c"), (0, 1, 2))


def write_table(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = ("path", "label")) -> Path:
    """Write a CSV and return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


class Done(NamedTuple):
    """A command that has ended, with what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The output with all spaces and line breaks folded."""
        return " ".join(self.out.split())

    @property
    def refusal(self) -> str:
        """The error of a command that failed as it should: exit code 1, and one line without a traceback."""
        assert self.code == 1, self.err
        assert self.err.startswith("Error: ")
        assert self.err.count("\n") == 1
        return self.err


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def call(*arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return call
