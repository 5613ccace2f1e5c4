"""The validation split of Fashion-MNIST."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import numpy as np
import pytest
import torch

from tagger.data.images import Images
from tagger.data.splits import VALIDATION_IMAGES, validation_split
from tagger.errors import DatasetError


def test_the_split_is_disjoint_and_complete() -> None:
    """The held-out images and the others are disjoint and together all images, each with its label."""
    count = 1000
    pixels = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(count) // 256, torch.arange(count) % 256
    kept, held = validation_split(Images(pixels, torch.arange(count)), 100)
    assert (900, 100) == (len(kept), len(held))
    assert list(range(count)) == sorted(kept.labels.tolist() + held.labels.tolist())
    for part in (kept, held):
        assert torch.equal(part.labels, part.pixels[:, 0, 0, 0].long() * 256 + part.pixels[:, 0, 0, 1])


def test_the_split_is_fixed() -> None:
    """The same images are held out every time, whatever the global seeds, and they are 5,000 of Fashion-MNIST's 60,000."""
    everything = Images(torch.zeros(60_000, 1, 1, 1, dtype=torch.uint8), torch.arange(60_000))
    torch.manual_seed(1)
    np.random.seed(1)
    _, first = validation_split(everything)
    torch.manual_seed(2)
    np.random.seed(2)
    _, second = validation_split(everything)
    assert torch.equal(first.labels, second.labels)
    assert VALIDATION_IMAGES == len(first) == 5_000
    # numpy freezes RandomState's stream: bundles of every version stay comparable.
    assert np.random.RandomState(20170825).permutation(60_000)[:5_000].tolist() == first.labels.tolist()


@pytest.mark.parametrize("count", [0, -1, 80, 81])
def test_an_impossible_split_is_refused(count: int) -> None:
    """As many images as there are, or none, cannot be held out."""
    with pytest.raises(DatasetError):
        validation_split(Images(torch.zeros(80, 1, 28, 28, dtype=torch.uint8), torch.zeros(80, dtype=torch.int64)), count)
