"""The evidence of ImageNet's classes is the sum of the classes of each label, none of which excludes a label."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import numpy as np
import pytest

from tagger.data.labels import LABELS as FASHION_MNIST_LABELS
from tagger.models.imagenet import CLASSES, EVIDENCE, FLOOR, IMAGENET_CLASSES, LABELS, evidence


def certain(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return logits (1, 1000) of a network that is certain of one class."""
    logits = np.zeros((1, IMAGENET_CLASSES), np.float32)
    logits[0, number] = 100
    return logits


def test_labels_are_fashion_mnists() -> None:
    """In its order, as the small network's probabilities are."""
    assert FASHION_MNIST_LABELS == LABELS
    assert 11 == EVIDENCE


def test_every_class_is_one_of_imagenets_and_of_one_label() -> None:
    """No class counts for two labels by the table."""
    numbers = [number for some in CLASSES.values() for number in some]
    assert len(numbers) == len(set(numbers))
    assert all(0 <= number < IMAGENET_CLASSES for number in numbers)


@pytest.mark.parametrize(("label", "number"), [(label, number) for label, some in CLASSES.items() for number in some])
def test_a_certain_class_is_evidence_of_its_label(label: str, number: int) -> None:
    """Its label has the most, and all together have nearly everything."""
    found = np.exp(evidence(certain(number)))[0]
    assert LABELS[int(found[:-1].argmax())] == label
    assert found[LABELS.index(label)] > 0.99
    assert 1 - FLOOR == pytest.approx(float(found[-1]))


@pytest.mark.parametrize(("number", "share"), [(610, 0.5), (841, 0.5), (869, 0.5), (608, 0.0), (770, 0.0)])
def test_what_covers_the_upper_body_may_be_a_shirt(number: int, share: float) -> None:
    """Half of a T-shirt's, sweatshirt's or coat's evidence counts for shirts, and nothing of jeans and shoes."""
    found = np.exp(evidence(certain(number)))[0]
    assert share == pytest.approx(float(found[LABELS.index("Shirt")]), abs=0.02)


def test_other_things_are_evidence_of_no_label() -> None:
    """A goldfish is none of the labels, and tells nothing about which one."""
    found = np.exp(evidence(certain(1)))[0]
    assert np.allclose(FLOOR, found, atol=1e-6)


def test_sums_are_of_probabilities() -> None:
    """The evidence is finite, float32, and does not depend on other rows or on what is added to all logits."""
    logits = np.random.default_rng(0).normal(0, 4, (70, IMAGENET_CLASSES)).astype(np.float32)
    found = evidence(logits)
    assert ((70, EVIDENCE), np.float32) == (found.shape, found.dtype)
    assert (found < 0.5).all()
    assert (found >= np.log(FLOOR) - 1e-6).all()
    assert np.array_equal(found[33:34], evidence(logits[33:34]))
    assert np.allclose(found, evidence(logits + 50), atol=1e-3)
    exponentials = np.exp(logits.astype(float))
    dresses = exponentials[:, list(CLASSES["Dress"])].sum(1) / exponentials.sum(1)
    assert (np.exp(found[:, LABELS.index("Dress")]) >= dresses + FLOOR - 1e-5).all()
