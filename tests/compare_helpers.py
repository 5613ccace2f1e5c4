"""What the tests of comparisons share: sixty random images in the place of Fashion-MNIST, and which a bundle predicts right."""

from collections.abc import Callable

import numpy as np
import torch

from tagger.arrays import Flags
from tagger.data.images import Images
from tagger.models import bundle

IMAGES = Images(torch.from_numpy(np.random.default_rng(1).integers(0, 256, (60, 1, 28, 28), np.uint8)), torch.arange(60) % 10)

SaveBundle = Callable[..., str]
"""Saves a bundle under a name, with the widths and the seed of its network and more of its card, and returns its folder."""


def predicted_right(name: str) -> Flags:
    """Return which of the images a bundle predicts right."""
    return (bundle.load(name).network()(IMAGES.pixels).argmax(1) == IMAGES.labels).numpy()
