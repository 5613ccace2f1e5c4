"""Small training sets and trainings that several test files share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tagger.data.images import Images
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.recipe import Cycle, Recipe
from tagger.training.trainer import train

PRODUCTS = 40


def drawn(label: str, seed: int) -> Image.Image:
    """Return a photo of a scarf, tall and narrow, or of a hat, wide and round; size and tone differ from seed to seed."""
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
    """Write a folder with a subfolder per class, `count` photos in each, and return it."""
    for at, label in enumerate(("hat", "scarf")):
        (root / label).mkdir(parents=True)
        for number in range(count):
            drawn(label, 1000 * at + number).save(root / label / f"{number:03}.png")
    return root


# Not narrower: the gradient of a 1x1 convolution with stride 2 over 4 channels corrupts the heap in torch 2.15's oneDNN.
CONFIG = NetworkConfig(widths=(8, 16))

TWO_HEADS = replace(CONFIG, photo_classes=11)

CYCLES = (Cycle(epochs=2, low_resolution_epochs=1, warmup_steps=2), Cycle(epochs=1, peak_lr_scale=0.5, warmup_steps=2))

RECIPE = Recipe(CYCLES, batch_size=16)


def bars(count: int, seed: int = 0) -> Images:
    """Return images with a bright bar in the place of their class, which a tiny network can learn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    pixels = rng.integers(0, 60, (count, 1, 28, 28), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


PICTURES, OTHERS = bars(80), bars(20, seed=1)


def numbered_bars() -> Images:
    """Return `PICTURES` with each image's index as the brightness of one corner, and 0 in the corner that mirrors it."""
    images = bars(80)
    images.pixels[:, 0, 0, 27] = 0
    images.pixels[:, 0, 0, 0] = torch.arange(80, dtype=torch.uint8)
    return images


def numbers_of(pixels: torch.Tensor) -> torch.Tensor:
    """Return the indices of `numbered_bars`, mirrored or not."""
    return pixels[:, 0, 0, [0, 27]].amax(1).long()


def random_network(config: NetworkConfig = CONFIG) -> Network:
    """Return a network whose weights and norms are not those that training starts from by itself."""
    torch.manual_seed(12)
    network = Network(config)
    torch.nn.init.normal_(network.head.weight)
    network.train()(PICTURES.pixels)
    return network.eval()


def train_network(
    recipe: Recipe, config: NetworkConfig, images: Images, held_out: Images | None, checkpoint: Path, **options: Any
) -> tuple[Network, list[EpochMetrics]]:
    """Train with these inputs, `options` being further fields of `TrainingJob`."""
    return train(TrainingJob(recipe, config, images, held_out, checkpoint, **options))


def trained(checkpoint: Path, recipe: Recipe = RECIPE, **options: Any) -> tuple[Network, list[EpochMetrics]]:
    """Train the small network on the bars."""
    return train_network(recipe, CONFIG, PICTURES, OTHERS, checkpoint, **options)


def same_weights(first: Network, second: Network) -> bool:
    """Return whether two networks have identical weights."""
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class PowerCutError(Exception):
    """Ends a training in the middle."""


def stop_after(epoch: int) -> Callable[[EpochMetrics], None]:
    """Return a callback that ends the training after an epoch."""

    def on_epoch(metrics: EpochMetrics) -> None:
        if metrics.epoch == epoch:
            raise PowerCutError

    return on_epoch


def interrupted(checkpoint: Path, epoch: int = 1, recipe: Recipe = RECIPE) -> None:
    """Train up to an epoch, and leave its checkpoint."""
    with pytest.raises(PowerCutError):
        trained(checkpoint, recipe, on_epoch=stop_after(epoch))
