"""Products for tests of synthesis: a slice of Fashion-MNIST, cuts of photos, and drawings of them."""
# ruff: noqa: SIM300 - the expected value stands first

from collections.abc import Callable

import numpy as np
import torch
from helpers import load_slice

from tagger.arrays import Pixels
from tagger.data.images import Images
from tagger.data.labels import LABELS, NONE
from tagger.synthesis.drawing import CANVAS, Rng
from tagger.synthesis.mix import ProductCut, on_canvas

IMAGES = load_slice()
SOME = IMAGES.take(torch.arange(60))
CUTS = [ProductCut(np.full((50 + 3 * at, 40), 90 + 10 * at, np.uint8), at % (NONE + 1)) for at in range(8)] + [
    ProductCut(np.tri(30, 90, dtype=np.uint8) * 200, NONE)
]


def canvases(*labels: str) -> list[Pixels]:
    """Return the slice's products of these classes, or of all, on canvases."""
    wanted = {LABELS.index(label) for label in labels or LABELS}
    return [on_canvas(IMAGES.pixels[at, 0].numpy()) for at, label in enumerate(IMAGES.labels.tolist()) if label in wanted]


def same(first: Images, second: Images) -> bool:
    """Return whether pixels and labels are equal."""
    return torch.equal(first.pixels, second.pixels) and torch.equal(first.labels, second.labels)


def share_changed(first: Images, second: Images) -> float:
    """Return the share of images whose pixels differ."""
    return (first.pixels != second.pixels).flatten(1).any(1).float().mean().item()


def assert_images(images: Images, count: int) -> None:
    """Check that there are `count` images, uint8 (28, 28) with int64 labels, none of them empty."""
    assert (count, 1, 28, 28) == tuple(images.pixels.shape)
    assert (torch.uint8, torch.int64) == (images.pixels.dtype, images.labels.dtype)
    assert count == len(images.labels)
    empty = torch.nonzero(images.pixels.amax(dim=(1, 2, 3)) == 0)[:, 0]
    assert [] == empty.tolist()


def assert_never_empty(draw: Callable[[Rng], Pixels]) -> None:
    """Check for forty seeds that the drawing is a canvas of bytes with an object on background 0."""
    for seed in range(40):
        canvas = draw(np.random.default_rng(seed))
        assert ((CANVAS, CANVAS), np.uint8) == (canvas.shape, canvas.dtype)
        assert np.count_nonzero(canvas) >= 20, seed


def assert_depends_on_the_seed_alone(draw: Callable[[Rng], Pixels]) -> None:
    """Check that one seed gives one drawing, and ten seeds at least eight different ones."""
    first, again = ([draw(np.random.default_rng(seed)) for seed in range(10)] for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({canvas.tobytes() for canvas in first}) >= 8
