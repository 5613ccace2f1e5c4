"""Synthetic features and labelled examples, and the commands in this process, shared by the tests of adaptation."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tagger.adaptation.examples import LabelledExamples
from tagger.cli.main import main
from tagger.inference.predictor import Features

WIDTH = 64
"""Width of the synthetic feature maps."""


def maps_of(kinds: Sequence[int], noise: float = 0.15, seed: int = 1) -> Tensor:
    """Return feature maps of photos, each near the centre of its kind."""
    centres = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(9))[list(kinds)]
    return centres + noise * torch.randn(len(kinds), WIDTH, generator=torch.Generator().manual_seed(seed))


def confident(classes: Sequence[int], outputs: int = 4) -> Tensor:
    """Return the probabilities of a network that is sure of these classes."""
    return 0.96 * functional.one_hot(torch.tensor(classes), outputs) + 0.04 / outputs


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


def large_catalog(photos: int, width: int = 48, kinds: int = 12, seed: int = 0) -> tuple[Features, Tensor]:
    """Return features of photos of some kinds, in threes of one product, and their classes (n,), 0..2.

    The network is right on three quarters of the photos.
    """
    rng = torch.Generator().manual_seed(seed)
    products = torch.randint(kinds, (photos // 3 + 1,), generator=rng)
    centres = torch.randn(kinds, width, generator=rng)[products] + 0.5 * torch.randn(len(products), width, generator=rng)
    maps = centres.repeat_interleave(3, 0)[:photos] + 0.2 * torch.randn(photos, width, generator=rng)
    classes = products.repeat_interleave(3)[:photos] % 3
    wrong = torch.rand(photos, generator=rng) < 0.25
    predicted = torch.where(wrong, torch.randint(3, (photos,), generator=rng), classes)
    return Features(0.8 * functional.one_hot(predicted, 4) + 0.05, maps), classes


def examples_of(photos: np.ndarray, classes: Tensor) -> LabelledExamples:
    """Return examples on some photos of a large catalog."""
    return examples_on(photos.tolist(), classes.numpy()[photos].tolist(), ("a", "b", "c"), (0, 1, 2))


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
