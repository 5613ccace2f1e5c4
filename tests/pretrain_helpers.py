"""A small data set in Fashion-MNIST's place, for tests of pretraining."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import save_bundle

from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.data.splits import validation_split
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter
from tagger.models.config import NetworkConfig
from tagger.records import ProductImage
from tagger.synthesis import mix
from tagger.training.recipe import Cycle, Recipe

TRAINED_ON, HELD_OUT, TESTED = 200, 60, 100

RECIPE = Recipe((Cycle(epochs=2, low_resolution_epochs=1, warmup_steps=2),), batch_size=20, ema_decay=0.5, network="tiny")


def bars(count: int) -> Images:
    """Return images with a bright bar in the place of their class."""
    labels = np.arange(count) % len(LABELS)
    pixels = np.zeros((count, 1, 28, 28), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[0, 4 + 2 * label : 6 + 2 * label, 4:24] = 250
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def product_images(images: Images, native: bool = True) -> list[ProductImage]:
    """Return images as a predictor takes them: Fashion-MNIST's own, or cut out of photos."""
    return [ProductImage(pixels, found=True, native=native) for pixels in images.pixels[:, 0].numpy()]


def adapted_bundle(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """Save a bundle adapted to a shop whose labels, in any order, are those of the network, and return its folder."""
    loaded = bundle.load(str(save_bundle(folder, NetworkConfig((8, 16)))))
    order = [LABELS.index(label) for label in labels] + [len(LABELS)]
    d, columns = 16 * 4 + 8 * 9, len(labels) + 1
    adapter = ShopAdapter(
        centre=np.zeros(d, np.float32),
        spread=np.ones(d, np.float32),
        translation=np.eye(len(LABELS) + 1, dtype=np.float32)[:, order],
        weight=np.zeros((d, columns), np.float32),
        bias=np.zeros(columns, np.float32),
        memory=np.zeros((1, d), np.float16),
        memory_probabilities=np.full((1, columns), 1 / columns, np.float16),
    )
    card = replace(loaded.card, labels=labels, base_groups=loaded.card.network_groups, parent="small@0+g1")
    bundle.save(folder, card, loaded.network(), adapter)
    return folder


@pytest.fixture(autouse=True, scope="module")
def data() -> Iterator[None]:
    """Put a few made-up images in Fashion-MNIST's place, and few drawings into the mix; one thread, as more only wait."""
    sizes = {"train": HELD_OUT + TRAINED_ON, "test": TESTED}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: bars(sizes[split]))
        patch.setattr(splits, "validation_split", lambda images: validation_split(images, HELD_OUT))
        patch.setattr(mix, "SHOES_AND_BAGS", 50)
        patch.setattr(mix, "OOD_OBJECTS", 50)
        yield
    torch.set_num_threads(before)
