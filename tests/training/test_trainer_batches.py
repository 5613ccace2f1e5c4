"""Batches of a training: shuffled, shifted, mirrored and cut out by the recipe, the same for one seed and epoch."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import pytest
import torch
from torch import Tensor
from training_helpers import PICTURES, RECIPE

from tagger.data.images import Images
from tagger.training.recipe import Cycle, Recipe
from tagger.training.trainer import _batches

pytestmark = pytest.mark.usefixtures("one_thread")


def batches(recipe: Recipe, epoch: int = 0, images: Images = PICTURES) -> list[tuple[Tensor, Tensor]]:
    """Return an epoch's augmented images, each with its label."""
    return [(pixels, images.labels[chosen]) for pixels, chosen in _batches(images, recipe, epoch)]


def numbered(count: int = 64) -> Images:
    """Return black images, each with one dot in the middle as bright as its label, which is its number plus one."""
    pixels = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 14, 10] = torch.arange(1, count + 1, dtype=torch.uint8)
    return Images(pixels, torch.arange(1, count + 1))


def test_augmented_batches_keep_their_form() -> None:
    """Augmented batches have the images' shape and types, and every image comes at most once per epoch."""
    drawn = batches(RECIPE)
    assert 5 == len(drawn)
    for pixels, labels in drawn:
        assert ((16, 1, 28, 28), torch.uint8) == (tuple(pixels.shape), pixels.dtype)
        assert ((16,), torch.int64) == (tuple(labels.shape), labels.dtype)
    plain = Recipe((Cycle(epochs=1, cutout_probability=0.0),), batch_size=16)
    labels = torch.cat([labels for _, labels in batches(plain, images=numbered())])
    assert list(range(1, 65)) == sorted(labels.tolist())


@pytest.mark.parametrize("shift", [0, 1, 2, 4])
def test_images_move_by_no_more_than_the_shift(shift: int) -> None:
    """An image moves by at most `shift` pixels each way, all of those occur, and it stays with its label."""
    plain = Recipe((Cycle(epochs=8, cutout_probability=0.0),), batch_size=16, shift=shift)
    rows, columns = set(), set()
    for epoch in range(8):
        for pixels, labels in batches(plain, epoch, numbered()):
            n, _, ys, xs = torch.nonzero(pixels, as_tuple=True)
            assert torch.equal(torch.arange(16), n)
            assert torch.equal(labels, pixels[n, 0, ys, xs].long())
            rows |= set((ys - 14).tolist())
            # The dot stands in column 10, or mirrored in column 17.
            columns |= set(torch.where(xs < 14, xs - 10, xs - 17).tolist()) if shift < 4 else set()
    assert set(range(-shift, shift + 1)) == rows
    assert not columns or set(range(-shift, shift + 1)) == columns


def test_images_are_seen_both_ways_within_two_epochs() -> None:
    """Every image comes once as it is and once mirrored within two epochs."""
    plain = Recipe((Cycle(epochs=2, cutout_probability=0.0),), batch_size=16, shift=0)
    sides: dict[int, set[int]] = {}
    for epoch in (0, 1):
        for pixels, labels in batches(plain, epoch, numbered()):
            for label, column in zip(labels.tolist(), torch.nonzero(pixels)[:, 3].tolist(), strict=True):
                sides.setdefault(label, set()).add(column)
    assert {label: {10, 17} for label in range(1, 65)} == sides


def test_squares_are_cut_out() -> None:
    """A share of the images loses a square of at most `cutout_size` pixels, and nothing else changes."""
    white = Images(torch.full((400, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(400, dtype=torch.int64))
    recipe = Recipe((Cycle(epochs=1, cutout_probability=0.5, cutout_size=5),), batch_size=16, shift=0)
    black = torch.cat([(pixels == 0).sum(dim=(1, 2, 3)) for pixels, _ in batches(recipe, images=white)])
    assert 25 == black.max()
    assert 0.4 < (black > 0).float().mean() < 0.6


def test_batches_differ_from_epoch_to_epoch() -> None:
    """Each epoch has its own order, the same every time."""
    first, again, second = batches(RECIPE, 0), batches(RECIPE, 0), batches(RECIPE, 1)
    assert torch.equal(first[0][0], again[0][0])
    assert not torch.equal(first[0][0], second[0][0])


def test_easy_images_are_seen_less() -> None:
    """An epoch has every image that is not easy, and the recipe's share of the easy ones, another one each time."""
    easy = torch.arange(80) >= 40
    recipe = Recipe((Cycle(40, easy_keep_fraction=0.25),), batch_size=5, teachers=("one",))
    seen = [torch.cat([chosen for _, chosen in _batches(PICTURES, recipe, epoch, easy)]) for epoch in range(40)]
    for numbers in seen:
        assert 50 == len(numbers) == len(numbers.unique())
        assert set(range(40)) <= set(numbers.tolist())
    assert set(range(80)) == set(torch.cat(seen).tolist())
    counts = torch.cat(seen).bincount()[40:]
    assert counts.max() < 25  # each is seen ten times on average
