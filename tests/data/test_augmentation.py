"""Augmentation shifts, flips and cuts squares out within its bounds, and leaves its argument unchanged."""

import pytest
import torch
from torch import Tensor

from tagger.data.augmentation import cutout, random_shift_flip


def dots(count: int = 400) -> Tensor:
    """Return black images with a dot in row 14 and column 10, as bright as their number modulo 255 plus one."""
    pixels = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 14, 10] = (torch.arange(count) % 255 + 1).to(torch.uint8)
    return pixels


def rng(seed: int = 0) -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_images_are_shifted_up_to_the_maximum(shift: int, mirrored: bool) -> None:
    """Every shift up to the maximum occurs along both axes, none is larger, and each image keeps its dot."""
    pixels = dots()
    moved = random_shift_flip(pixels, torch.full((400,), mirrored), shift, rng())
    assert (pixels.shape, pixels.dtype) == (moved.shape, moved.dtype)
    n, _, rows, columns = torch.nonzero(moved, as_tuple=True)
    assert torch.equal(torch.arange(400), n)
    assert torch.equal(pixels.amax((1, 2, 3)), moved.amax((1, 2, 3)))
    shifts = set(range(-shift, shift + 1))
    assert shifts == set((rows - 14).tolist())
    assert shifts == set((columns - (17 if mirrored else 10)).tolist())
    assert (2 * shift + 1) ** 2 == len(set(zip(rows.tolist(), columns.tolist(), strict=True)))


def test_only_the_chosen_images_are_flipped() -> None:
    """Each image is flipped if its flag is set, whatever the others'."""
    mirrored = torch.arange(400) % 3 == 0
    moved = random_shift_flip(dots(), mirrored, 0, rng())
    assert torch.equal(torch.where(mirrored, 17, 10), torch.nonzero(moved)[:, 3])


def test_pixels_from_outside_are_background() -> None:
    """Pixels that are shifted in from outside are 0."""
    moved = random_shift_flip(torch.full((50, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(50, dtype=torch.bool), 2, rng())
    assert {0, 255} == set(moved.unique().tolist())
    assert (moved[:, 0, 2:-2, 2:-2] == 255).all()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_images_is_cut(share: float) -> None:
    """A share of the images loses a square, and all others are unchanged."""
    white = torch.full((1000, 1, 28, 28), 255, dtype=torch.uint8)
    cut = (cutout(white, share, 5, rng()) == 0).flatten(1).any(1)
    assert cut.float().mean().item() == pytest.approx(share, abs=0.05 if 0 < share < 1 else 0)


@pytest.mark.parametrize(("side", "expected"), [(1, 1), (2, 3), (5, 5), (6, 7)])
def test_the_square_has_its_side(side: int, expected: int) -> None:
    """The square is `side` pixels wide, rounded up to an odd number, less at the image's edges; all else is unchanged."""
    white = torch.full((400, 1, 28, 28), 255, dtype=torch.uint8)
    erased = cutout(white, 1.0, side, rng()) == 0
    heights, widths = erased[:, 0].any(2).sum(1), erased[:, 0].any(1).sum(1)
    assert (expected, expected) == (heights.max(), widths.max())
    assert torch.equal(heights * widths, erased.sum((1, 2, 3)))
    assert heights.min() >= (expected + 1) // 2
    assert (white == 255).all()


def test_the_generator_decides_alone() -> None:
    """The same generator state gives the same images, another one others, and the global seed does not matter."""
    mirrored = torch.zeros(400, dtype=torch.bool)

    def augmented(seed: int) -> Tensor:
        torch.manual_seed(seed + 7)
        generator = rng(seed)
        return cutout(random_shift_flip(dots(), mirrored, 2, generator), 0.5, 9, generator)

    first = augmented(1)
    assert torch.equal(first, augmented(1))
    assert not torch.equal(first, augmented(2))
