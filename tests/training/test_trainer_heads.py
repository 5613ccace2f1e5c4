"""Training a network with a second head for photos, each head on the images of its kind."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import (
    OTHERS,
    PICTURES,
    TWO_HEADS,
    PowerCutError,
    bars,
    numbered_bars,
    numbers_of,
    random_network,
    same_weights,
    stop_after,
    train_network,
)

from tagger.data.images import Images
from tagger.training import trainer
from tagger.training.recipe import Cycle, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

GENTLE = Recipe((Cycle(epochs=2, warmup_steps=2, cutout_probability=0.0),), batch_size=16, weight_decay=0.0, shift=0)


def mixed(share: float = 0.5, images: Images = PICTURES) -> Images:
    """Return images of which a share stands for photos; there a class is the next one, and some are none of the classes."""
    photo = torch.arange(80) >= 80 * (1 - share)
    labels = torch.where(photo, (images.labels + 1) % 11, images.labels)
    return Images(images.pixels, labels, torch.nn.functional.one_hot(labels, 11).float(), photo)


@pytest.mark.parametrize(("share", "untouched"), [(0.0, "photo_head"), (1.0, "head")])
def test_a_head_without_images_of_its_kind_learns_nothing(tmp_path: Path, share: float, untouched: str) -> None:
    """Where no image is of its kind, a head ends as it began, while the other one learns."""
    start = random_network(TWO_HEADS)
    network, _ = train_network(GENTLE, TWO_HEADS, mixed(share), OTHERS, tmp_path / "checkpoint.pt", start=start)
    for name in ("head", "photo_head"):
        before, after = getattr(start, name), getattr(network, name)
        same = torch.equal(before.weight, after.weight) and torch.equal(before.bias, after.bias)
        assert same == (name == untouched)


def gradients(targets: Tensor, photo: Tensor, weight: float = 1.0) -> dict[str, Tensor]:
    """Return the heads' gradients of one step."""
    network = random_network(TWO_HEADS)
    trainer._train_step(network.train(), [], PICTURES.pixels, targets, Cycle(1, fashion_mnist_weight=weight), photo)
    return {name: getattr(network, name).weight.grad for name in ("head", "photo_head")}


def test_each_head_learns_from_its_kind_alone() -> None:
    """Other labels of photos change the gradient of the photo head alone, other labels of the rest that of the first head."""
    images = mixed()
    assert images.targets is not None
    assert images.photo is not None
    before = gradients(images.targets, images.photo)
    for kind, other in ((images.photo, "head"), (~images.photo, "photo_head")):
        targets = torch.where(kind[:, None], images.targets.roll(3, dims=1), images.targets)
        after = gradients(targets, images.photo)
        assert [other] == [name for name in before if torch.equal(before[name], after[name])]


def test_the_native_weight_is_that_of_the_first_head() -> None:
    """A cycle's weight of Fashion-MNIST's own images scales the gradient of the first head and leaves the photo head's."""
    images = mixed()
    assert images.targets is not None
    assert images.photo is not None
    once, thrice = (gradients(images.targets, images.photo, weight) for weight in (1.0, 3.0))
    torch.testing.assert_close(3 * once["head"], thrice["head"], rtol=0.05, atol=1e-3)
    torch.testing.assert_close(once["photo_head"], thrice["photo_head"], rtol=0.05, atol=1e-3)


def test_targets_of_a_mix_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image of a batch comes with its own targets and its own kind."""
    images = mixed(0.3, numbered_bars())
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    step = trainer._train_step

    def spy(network: object, optimizers: object, pixels: Tensor, targets: Tensor, cycle: Cycle, *kind: Tensor) -> Tensor:
        seen.append((numbers_of(pixels), targets, kind[0]))
        return step(network, optimizers, pixels, targets, cycle, *kind)

    monkeypatch.setattr(trainer, "_train_step", spy)
    train_network(GENTLE, TWO_HEADS, images, OTHERS, tmp_path / "checkpoint.pt", start=random_network())
    assert 10 == len(seen)
    for numbers, targets, photo in seen:
        assert torch.equal(images.targets[numbers], targets)
        assert torch.equal(images.photo[numbers], photo)


def test_resuming_with_two_heads_ends_in_the_same_weights(tmp_path: Path) -> None:
    """A stopped training of two heads resumes to the same weights as one that was not stopped."""
    straight, _ = train_network(GENTLE, TWO_HEADS, mixed(), OTHERS, tmp_path / "straight.pt", start=random_network())
    stopped = tmp_path / "stopped.pt"
    with pytest.raises(PowerCutError):
        train_network(GENTLE, TWO_HEADS, mixed(), OTHERS, stopped, on_epoch=stop_after(1), start=random_network())
    resumed, _ = train_network(GENTLE, TWO_HEADS, mixed(), OTHERS, stopped, resume=True, start=random_network())
    assert same_weights(straight, resumed)


def test_both_heads_are_trained(tmp_path: Path) -> None:
    """Where photos have other labels for the same bars than Fashion-MNIST, each head learns its own labels."""
    recipe = Recipe((Cycle(epochs=10, warmup_steps=5, cutout_probability=0.0),), batch_size=16, ema_decay=0.8, shift=0)
    images = bars(240)
    photo = torch.arange(240) // 10 % 2 == 1
    labels = torch.where(photo, (images.labels + 3) % 10, images.labels)
    both = Images(images.pixels, labels, torch.nn.functional.one_hot(labels, 11).float(), photo)
    others = bars(100, seed=1)
    network, _ = train_network(recipe, TWO_HEADS, both, others, tmp_path / "checkpoint.pt")
    with torch.no_grad():
        predicted = (network(others.pixels).argmax(1), network.photo_logits(others.pixels).argmax(1))
    own, photos_own = ([(some == (others.labels + by) % 10).float().mean() for some in predicted] for by in (0, 3))
    assert own[0] > 0.3 > own[1]
    assert photos_own[1] > 0.3 > photos_own[0]
