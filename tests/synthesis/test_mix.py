"""The training mix for photos: variants, drawings and photos' cuts, with their targets, from the seed alone."""
# ruff: noqa: SIM300 - the expected value stands first

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import draw_photo
from PIL import Image
from synthesis_helpers import CUTS, IMAGES, SOME, assert_images, same, share_changed
from torch import Tensor

from tagger.arrays import Pixels
from tagger.data.clothing import ClothingPhoto
from tagger.data.images import Images
from tagger.data.labels import LABELS, NONE
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.synthesis import mix
from tagger.synthesis.drawing import CANVAS, Rng
from tagger.synthesis.mix import (
    SHIRT,
    TEACHER_WEIGHT,
    TOP,
    ProductCut,
    calibration_mix,
    draw_objects,
    on_canvas,
    product_cuts,
    training_mix,
    variants_of,
)

DRAWN = 24
"""Shoes and bags, and as many OOD objects, in a mix of these tests instead of thousands."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True, scope="module")
def few_drawings() -> Iterator[None]:
    """Draw a few objects instead of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mix, "SHOES_AND_BAGS", DRAWN)
        patch.setattr(mix, "OOD_OBJECTS", DRAWN)
        yield


@pytest.fixture(scope="module")
def judged(few_drawings: None, one_thread: None) -> Images:
    """Build the mix with photos and a judge."""
    return training_mix(SOME, CUTS, network(), network(11), 0)


@pytest.fixture(scope="module")
def plain(few_drawings: None, one_thread: None) -> Images:
    """Build the mix with photos and without a judge."""
    return training_mix(SOME, CUTS, network(), None, 0)


@pytest.fixture(scope="module")
def without_photos(few_drawings: None, one_thread: None) -> Images:
    """Build the mix without photos."""
    return training_mix(SOME, [], network(), None, 0)


def network(photo_classes: int = 0) -> Network:
    """Return a small untrained network, seeded, whose probabilities differ between images."""
    torch.manual_seed(3)
    made = Network(NetworkConfig(widths=(8, 16), photo_classes=photo_classes)).eval()
    for head in (made.head, made.photo_head):
        if head is not None:
            torch.nn.init.normal_(head.weight, std=2.0)
    return made


def one_hot(labels: Tensor) -> Tensor:
    """Return the targets of certain labels, with a column for no class."""
    return torch.nn.functional.one_hot(labels, NONE + 1).float()


def test_drawings_are_of_their_classes() -> None:
    """Shoes and bags come first, sandals twice as often as the others, then OOD objects, which are of none of the classes."""
    made = draw_objects(20, 9, 5)
    assert_images(made, 29)
    counts = Counter(made.labels[:20].tolist())
    assert {"Sandal": 8, "Sneaker": 4, "Ankle boot": 4, "Bag": 4} == {LABELS[label]: count for label, count in counts.items()}
    assert 9 * [NONE] == made.labels[20:].tolist()
    assert same(made, draw_objects(20, 9, 5))
    assert not torch.equal(made.pixels, draw_objects(20, 9, 6).pixels)


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (1, 200), (200, 1), (160, 120), (30, 31)])
def test_products_of_any_size_fit_the_canvas(size: tuple[int, int]) -> None:
    """A product of any size is resized to most of the canvas, whole, on background 0."""
    canvas = on_canvas(np.full(size, 200, np.uint8))
    assert ((CANVAS, CANVAS), np.uint8) == (canvas.shape, canvas.dtype)
    assert canvas.max() >= 190
    _, _, width, height = cv2.boundingRect(canvas)
    assert 0.8 * CANVAS <= max(width, height) <= CANVAS


@pytest.mark.parametrize("seed", range(3))
def test_variants_keep_their_labels(seed: int) -> None:
    """Each image gets its variants, none empty, each with the image's label: one of each in order, then the next."""
    made = variants_of(IMAGES, 2, seed)
    assert_images(made, 400)
    assert 2 * IMAGES.labels.tolist() == made.labels.tolist()
    assert made.targets is None is made.photo


def test_variants_depend_on_the_seed_alone() -> None:
    """The same seed gives the same variants, another one others, and variants of an image differ."""
    first = variants_of(SOME, 2, 1)
    torch.manual_seed(9)
    np.random.seed(9)
    assert same(first, variants_of(SOME, 2, 1))
    other = variants_of(SOME, 2, 2)
    changed = share_changed(first, other)
    assert changed > 0.9
    assert (first.pixels[:60] != first.pixels[60:]).flatten(1).any(1).float().mean() > 0.9


def test_variants_do_not_change_the_images() -> None:
    """The images that variants are made of are not changed."""
    before = SOME.pixels.clone()
    variants_of(SOME, 1, 1)
    assert torch.equal(before, SOME.pixels)


@pytest.mark.parametrize("label", range(NONE))
def test_one_class_alone_can_be_varied(label: int) -> None:
    """Where the other classes are missing, outfits lack them, and no image is lost."""
    alone = IMAGES.take(torch.nonzero(IMAGES.labels == label)[:, 0])
    made = variants_of(alone, 2, 0)
    assert_images(made, 2 * len(alone))


@pytest.mark.parametrize(("label", "expected"), [("Sandal", 0.65), ("Sneaker", 0.65), ("Ankle boot", 0.85)])
def test_boots_are_narrowed_less(label: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most shoes become pairs, narrowed to 0.65 of their length at least, boots to 0.85: narrower ones look like shoes."""
    widths: list[float] = []
    own = mix.draw_pair

    def noting(shoe: Pixels, rng: Rng, min_width: float) -> Pixels:
        widths.append(min_width)
        return own(shoe, rng, min_width)

    monkeypatch.setattr(mix, "draw_pair", noting)
    variants_of(IMAGES.take(torch.nonzero(IMAGES.labels == LABELS.index(label))[:10, 0]), 5, 0)
    assert {expected} == set(widths)
    assert 25 <= len(widths) <= 45


def test_cuts_get_their_variants() -> None:
    """Each photo's cut gets `times` variants with its label, also one of none of the classes."""
    made = mix.variants_of_cuts(CUTS, SOME, 4, 0)
    assert_images(made, 36)
    assert 4 * [cut.label for cut in CUTS] == made.labels.tolist()
    assert same(made, mix.variants_of_cuts(CUTS, SOME, 4, 0))


def test_cuts_are_the_products_in_the_photos(tmp_path: Path) -> None:
    """Photos that can be read and show a product give their cut and label; others are left out without an error."""
    for number in range(3):
        draw_photo(number).save(tmp_path / f"{number}.jpg")
    Image.new("RGB", (60, 80), "white").save(tmp_path / "blank.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    names = ["0.jpg", "blank.jpg", "1.jpg", "broken.jpg", "gone.jpg", "2.jpg"]
    cuts = product_cuts([ClothingPhoto(tmp_path / name, label, "1") for label, name in enumerate(names)])
    assert [0, 2, 5] == [cut.label for cut in cuts]
    for cut in cuts:
        assert (2, np.uint8) == (cut.product.ndim, cut.product.dtype)
        assert cut.product.any(axis=0).all()
        assert cut.product.any(axis=1).all()


def test_fashion_mnist_comes_first(judged: Images) -> None:
    """Fashion-MNIST's images come first, unchanged and not marked as photos; all others are marked."""
    assert_images(judged, 2 * 60 + mix.TIMES_PHOTO * len(CUTS) + 2 * DRAWN)
    assert torch.equal(SOME.pixels, judged.pixels[:60])
    assert torch.equal(SOME.labels, judged.labels[:60])
    assert torch.equal(SOME.labels, judged.labels[60:120])
    assert judged.photo is not None
    assert 60 * [False] + (len(judged) - 60) * [True] == judged.photo.tolist()
    assert DRAWN * [NONE] == judged.labels[-DRAWN:].tolist()


def test_targets_are_probabilities(judged: Images) -> None:
    """Each row of targets sums to 1; for all but Fashion-MNIST's images and shirts it is the label alone."""
    assert judged.targets is not None
    assert ((len(judged), NONE + 1), torch.float32) == (tuple(judged.targets.shape), judged.targets.dtype)
    assert (judged.targets >= 0).all()
    assert torch.allclose(torch.ones(len(judged)), judged.targets.sum(1), atol=1e-5)
    assert torch.equal(one_hot(judged.labels)[120:], judged.targets[120:])


def test_the_teachers_probabilities_are_mixed_in(without_photos: Images) -> None:
    """Targets of Fashion-MNIST's images mix in the teacher's probabilities of image and mirror image, with 0 for no class."""
    teacher, targets = network(), without_photos.targets
    with torch.inference_mode():
        probabilities = (teacher(SOME.pixels).softmax(1) + teacher(SOME.pixels.flip(3)).softmax(1)) / 2
    assert targets is not None
    expected = (1 - TEACHER_WEIGHT) * one_hot(SOME.labels)[:, :NONE] + TEACHER_WEIGHT * probabilities
    assert torch.allclose(expected, targets[:60, :NONE], atol=1e-5)
    assert 0 == targets[:60, NONE].max()


def test_the_judge_moves_shirts_towards_tops(judged: Images, plain: Images) -> None:
    """A judge changes no image, and only the targets of shirts' variants, from shirt to top alone."""
    assert same(judged, plain)
    assert judged.targets is not None
    assert plain.targets is not None
    shirts = 60 + torch.nonzero(SOME.labels == SHIRT)[:, 0]
    assert len(shirts) > 0
    moved = torch.nonzero((judged.targets != plain.targets).any(1))[:, 0]
    assert set(moved.tolist()) <= set(shirts.tolist())
    assert len(moved) > 0
    others = [label for label in range(NONE + 1) if label not in (SHIRT, TOP)]
    assert 0 == judged.targets[shirts][:, others].max()
    assert (judged.targets[shirts, TOP] >= 0).all()
    assert torch.allclose(torch.ones(len(shirts)), judged.targets[shirts][:, [TOP, SHIRT]].sum(1))


def test_the_mix_without_shirts() -> None:
    """Images without a shirt can be judged too."""
    bags = IMAGES.take(torch.nonzero(IMAGES.labels != SHIRT)[:20, 0])
    whole = training_mix(bags, CUTS, network(), network(11), 0)
    assert whole.targets is not None
    assert torch.equal(one_hot(bags.labels), whole.targets[20:40])


def test_the_mix_without_photos(without_photos: Images) -> None:
    """Without photos the mix is images, variants and drawings, and needs no judge."""
    assert_images(without_photos, 2 * 60 + 2 * DRAWN)
    assert without_photos.targets is not None
    assert torch.equal(one_hot(without_photos.labels)[60:], without_photos.targets[60:])


def test_the_mix_depends_on_the_seed_alone(plain: Images) -> None:
    """The same seed gives the same mix; another one changes all but Fashion-MNIST's images."""
    again, other = (training_mix(SOME, CUTS, network(), None, seed) for seed in (0, 1))
    assert same(plain, again)
    assert torch.equal(plain.labels, other.labels)
    assert torch.equal(plain.pixels[:60], other.pixels[:60])
    assert share_changed(plain.take(torch.arange(60, len(plain))), other.take(torch.arange(60, len(other)))) > 0.9


@pytest.mark.parametrize("cuts", [[], CUTS], ids=["without photos", "with photos"])
def test_the_calibration_mix_is_of_the_same_kinds(
    cuts: Sequence[ProductCut], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The calibration mix holds variants, drawings and photos' cuts too, but other ones than training with the same seed."""
    training = request.getfixturevalue("plain" if cuts else "without_photos")
    monkeypatch.setattr(mix, "SHOES_AND_BAGS", 10 * DRAWN)
    monkeypatch.setattr(mix, "OOD_OBJECTS", 10 * DRAWN)
    made = calibration_mix(SOME, cuts, 0)
    assert_images(made, 60 + 2 * DRAWN + mix.TIMES_HELD_OUT * len(cuts))
    assert SOME.labels.tolist() == made.labels[:60].tolist()
    assert made.labels.tolist().count(NONE) >= DRAWN
    trained_on = {image.numpy().tobytes() for image in training.pixels}
    shared = sum(image.numpy().tobytes() in trained_on for image in made.pixels)
    assert shared < 0.05 * len(made)
