"""The logistic regression finds the minimum of its loss, deterministically."""

import numpy as np
import pytest

from tagger.arrays import softmax
from tagger.models.softmax_regression import fit_softmax_regression

RNG = np.random.default_rng(0)

CENTRES = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]])

CLASSES = RNG.integers(0, 3, 300)

INPUTS = (CENTRES[CLASSES] + RNG.normal(0, 1, (300, 3))).astype(np.float32)

EQUAL, NO_OFFSET = np.ones(300), np.zeros((300, 3), np.float32)


def gradient(weight: np.ndarray, bias: np.ndarray, weights: np.ndarray, offset: np.ndarray, strength: float) -> np.ndarray:
    """Return the gradient of the loss, with the formula spelled out in float64, (4, 3)."""
    errors = softmax(offset + INPUTS @ weight + bias).astype(float) - np.eye(3)[CLASSES]
    errors *= (weights / weights.sum())[:, None]
    return np.vstack([INPUTS.T @ errors, errors.sum(0)]) + 2 * strength * np.vstack([weight, bias])


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
def test_the_gradient_is_0_at_the_solution(strength: float) -> None:
    """For several strengths, with weights of the samples and an offset."""
    weights, offset = RNG.uniform(0.1, 2, 300), RNG.normal(0, 1, (300, 3)).astype(np.float32)
    weight, bias = fit_softmax_regression(INPUTS, CLASSES, weights, offset, strength)
    assert ((3, 3), (3,), np.float32, np.float32) == (weight.shape, bias.shape, weight.dtype, bias.dtype)
    assert np.abs(gradient(weight, bias, weights, offset, strength)).max() < 1e-4


def test_classes_are_told_apart() -> None:
    """Most samples get their class, and stronger regularisation gives smaller weights."""
    weight, bias = fit_softmax_regression(INPUTS, CLASSES, EQUAL, NO_OFFSET, 1e-3)
    assert ((INPUTS @ weight + bias).argmax(1) == CLASSES).mean() > 0.8
    smaller, _ = fit_softmax_regression(INPUTS, CLASSES, EQUAL, NO_OFFSET, 1e-1)
    assert np.abs(smaller).sum() < 0.5 * np.abs(weight).sum()


def test_a_weight_is_a_number_of_copies() -> None:
    """A sample of weight 3 counts as three of weight 1, and only ratios of weights matter."""
    weights = np.where(np.arange(300) < 100, 3.0, 1.0)
    repeats = weights.astype(int)
    expected = fit_softmax_regression(
        INPUTS.repeat(repeats, 0), CLASSES.repeat(repeats), np.ones(500), np.zeros((500, 3), np.float32), 0.01
    )
    for found in (weights, 7 * weights):
        for one, other in zip(expected, fit_softmax_regression(INPUTS, CLASSES, found, NO_OFFSET, 0.01), strict=True):
            assert np.allclose(one, other, atol=1e-3)


def test_a_perfect_offset_leaves_nothing_to_learn() -> None:
    """Where the offset gives every class with certainty, weights and biases stay about 0."""
    offset = (50 * np.eye(3)[CLASSES]).astype(np.float32)
    weight, bias = fit_softmax_regression(INPUTS, CLASSES, EQUAL, offset, 0.01)
    assert np.abs(np.vstack([weight, bias])).max() < 1e-3


def test_the_same_samples_give_the_same_bits() -> None:
    """Nothing is drawn at random."""
    first, second = (fit_softmax_regression(INPUTS, CLASSES, EQUAL, NO_OFFSET, 0.01) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
