"""Labelled images are selected, moved and fingerprinted with all that belongs to them."""
# ruff: noqa: SIM300 - the expected value stands first

from dataclasses import replace

import pytest
import torch

from tagger.data.images import Images
from tagger.data.labels import LABELS


def numbered(count: int = 6, mixed: bool = True) -> Images:
    """Return images that hold their number in pixels, label and targets; odd ones are photos."""
    numbers = torch.arange(count)
    pixels = numbers.to(torch.uint8)[:, None, None, None].expand(count, 1, 28, 28).clone()
    targets, photo = numbers[:, None].float().expand(count, 10).clone(), numbers % 2 == 1
    return Images(pixels, numbers, targets, photo, ("a", "b")) if mixed else Images(pixels, numbers)


def test_names_are_fashion_mnists_unless_given() -> None:
    """Without names the classes are Fashion-MNIST's; the length is the number of labels."""
    assert LABELS == numbered(mixed=False).names
    assert 6 == len(numbered())


def test_taking_keeps_what_belongs_together() -> None:
    """Pixels, labels, targets and kinds of the chosen images are taken in the order of the indices, names stay."""
    taken = numbered().take(torch.tensor([4, 1, 1]))
    assert taken.targets is not None
    assert taken.photo is not None
    assert [4, 1, 1] == taken.labels.tolist()
    assert [4, 1, 1] == taken.pixels[:, 0, 3, 7].tolist()
    assert [4, 1, 1] == taken.targets[:, 5].tolist()
    assert [False, True, True] == taken.photo.tolist()
    assert ("a", "b") == taken.names


def test_what_is_missing_stays_missing() -> None:
    """Images without targets and kinds have none after they are taken or moved."""
    plain = numbered(mixed=False)
    for images in (plain.take(torch.tensor([0])), plain.to(torch.device("cpu"))):
        assert images.targets is None
        assert images.photo is None


def test_moving_moves_all_tensors() -> None:
    """On another device are pixels, labels, targets and kinds."""
    moved = numbered().to(torch.device("meta"))
    for tensor in (moved.pixels, moved.labels, moved.targets, moved.photo):
        assert tensor is not None
        assert "meta" == tensor.device.type
    assert ("a", "b") == moved.names


@pytest.mark.parametrize("changed", ["pixels", "labels", "photo", "order", "no photo"])
def test_the_fingerprint_tells_images_apart(changed: str) -> None:
    """Another pixel, label, kind or order, or no kinds, give another fingerprint."""
    images = numbered()
    assert images.photo is not None
    if changed == "order":
        other = images.take(torch.tensor([1, 0, 2, 3, 4, 5]))
    elif changed == "no photo":
        other = replace(images, photo=None)
    else:
        tensor = getattr(images, changed).clone()
        tensor.view(-1)[-1] = 0
        other = replace(images, **{changed: tensor})
    assert images.fingerprint() != other.fingerprint()


def test_the_fingerprint_is_stable() -> None:
    """The fingerprint depends neither on targets nor on the layout in memory, and is the same in every version."""
    images = numbered()
    scattered = replace(images, pixels=images.pixels.transpose(2, 3).contiguous().transpose(2, 3), targets=None)
    assert images.fingerprint() == scattered.fingerprint()
    assert "15279a0618426d07df252fe70b021585bc8b5d471b4f12eac7501d2111f6084d" == images.fingerprint()
