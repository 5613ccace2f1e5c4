"""A small data set in Fashion-MNIST's place, for tests of pretraining."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.data.splits import validation_split
from tagger.synthesis import mix
from tagger.training.recipe import Cycle, Recipe

TRAINED_ON, HELD_OUT, TESTED = 200, 60, 100

RECIPE = Recipe((Cycle(epochs=2, low_resolution_epochs=1, warmup_steps=2),), batch_size=20, ema_decay=0.5)


def bars(count: int) -> Images:
    """Return pictures with a bright bar in the place of their class."""
    labels = np.arange(count) % len(LABELS)
    pixels = np.zeros((count, 1, 28, 28), np.uint8)
    for picture, label in zip(pixels, labels, strict=True):
        picture[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


@pytest.fixture(autouse=True, scope="module")
def data() -> Iterator[None]:
    """Put a few made-up pictures in Fashion-MNIST's place, and few drawings into the mix; one thread, as more only wait."""
    sizes = {"train": HELD_OUT + TRAINED_ON, "test": TESTED}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(sizes[split]))
        patch.setattr(splits, "validation_split", lambda pictures: validation_split(pictures, HELD_OUT))
        patch.setattr(mix, "SHOES_AND_BAGS", 50)
        patch.setattr(mix, "STRANGERS", 50)
        yield
    torch.set_num_threads(before)
