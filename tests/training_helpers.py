"""Small training sets and trainings that several test files share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tagger.data.images import Images
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.recipe import Cycle, Recipe
from tagger.training.trainer import EpochMetrics, train

PRODUCTS = 40


def drawn(label: str, seed: int) -> Image.Image:
    """Return a photo of a scarf, tall and narrow, or of a hat, wide and round, of another size and tone for each seed."""
    rng = np.random.default_rng(seed)
    photo = Image.new("RGB", (200, 200), (250, 250, 250))
    tone = tuple(int(some) for some in rng.integers(0, 120, 3))
    dx, dy = rng.integers(0, 12, 2)
    if label == "scarf":
        ImageDraw.Draw(photo).rectangle((80 - dx, 20 + dy, 110 + dx, 180 - dy), fill=tone)
    else:
        ImageDraw.Draw(photo).ellipse((30 + dx, 70 + dy, 170 - dx, 140 - dy), fill=tone)
    return photo


def folder_of(root: Path, count: int = PRODUCTS) -> Path:
    """Make a folder with a subfolder a class, and return it."""
    for at, label in enumerate(("hat", "scarf")):
        (root / label).mkdir(parents=True)
        for number in range(count):
            drawn(label, 1000 * at + number).save(root / label / f"{number:03}.png")
    return root


# Not narrower: the gradient of a 1x1 convolution with stride 2 over 4 channels corrupts the heap in torch 2.15's oneDNN.
CONFIG = NetworkConfig(widths=(8, 16))

CYCLES = (Cycle(epochs=2, low_resolution_epochs=1, warmup_steps=2), Cycle(epochs=1, peak_lr_scale=0.5, warmup_steps=2))

RECIPE = Recipe(CYCLES, batch_size=16)


def bars(count: int, seed: int = 0) -> Images:
    """Return pictures with a bright bar in the place of their class, which a tiny network can learn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    pixels = rng.integers(0, 60, (count, 1, 28, 28), dtype=np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


PICTURES, OTHERS = bars(80), bars(20, seed=1)


def trained(checkpoint: Path, recipe: Recipe = RECIPE, **options: object) -> tuple[Network, list[EpochMetrics]]:
    return train(recipe, CONFIG, PICTURES, OTHERS, checkpoint, **options)


def same_weights(first: Network, second: Network) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class PowerCutError(Exception):
    """What ends a training in the middle."""


def stop_after(epoch: int) -> object:
    def report(figures: EpochMetrics) -> None:
        if figures.epoch == epoch:
            raise PowerCutError

    return report


def interrupted(checkpoint: Path, epoch: int = 1, recipe: Recipe = RECIPE) -> None:
    with pytest.raises(PowerCutError):
        trained(checkpoint, recipe, report=stop_after(epoch))
