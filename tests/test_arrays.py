"""Functions of arrays: softmax, largest values, and matrix products that are exact sums."""

import numpy as np
import pytest

from tagger.arrays import ExactMatrix, Float32s, largest, row_medians, softmax


def random(*shape: int, seed: int = 0) -> Float32s:
    """Return normally distributed numbers, always the same."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def unit_rows(count: int, width: int) -> Float32s:
    """Return rows of length 1."""
    rows = random(count, width)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_softmax_has_the_ratios_of_the_exponentials() -> None:
    """Rows sum to 1 in float32, and neither large nor small logits overflow."""
    probabilities = softmax(np.array([[0.0, np.log(3.0)], [1000.0, 1000.0], [-1000.0, 1000.0]]))
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities, [[0.25, 0.75], [0.5, 0.5], [0, 1]])


@pytest.mark.parametrize(("count", "found"), [(1, 1), (3, 3), (7, 7), (9, 7)])
def test_largest_values_come_with_their_columns(count: int, found: int) -> None:
    """The values are the largest of each row, all of them if there are fewer, each with its column."""
    values = random(5, 7)
    most, columns = largest(values, count)
    assert most.shape == columns.shape == (5, found)
    assert np.array_equal(np.sort(most, 1), np.sort(values, 1)[:, -found:])
    assert np.array_equal(np.take_along_axis(values, columns, 1), most)


@pytest.mark.parametrize("width", [6, 256, 1088])
@pytest.mark.parametrize("columns", [1, 11, 300])
def test_products_are_those_of_the_numbers(width: int, columns: int) -> None:
    """Rounding changes products by a few millionths of the largest entries."""
    matrix, rows = 7 * random(width, columns, seed=1), unit_rows(50, width)
    expected = rows.astype(np.float64) @ matrix
    product = ExactMatrix(matrix).product(rows)
    assert product.dtype == np.float32
    assert np.abs(product - expected).max() < 3e-6 * np.abs(matrix).max() * max(1, width**0.5 / 8)
    assert np.array_equal(ExactMatrix(np.zeros((width, columns))).product(rows), np.zeros((50, columns)))


@pytest.mark.parametrize("width", [6, 256, 1088])
def test_a_row_has_the_same_product_in_any_order_and_number(width: int) -> None:
    """To the bit: rows elsewhere, fewer rows, and columns of the sum in another order."""
    matrix, rows = random(width, 11, seed=1), unit_rows(150, width)
    product = ExactMatrix(matrix).product(rows)
    for some in (slice(0, 1), slice(3, 67), np.random.default_rng(2).permutation(150)):
        assert np.array_equal(ExactMatrix(matrix).product(rows[some]), product[some])
    order = np.random.default_rng(3).permutation(width)
    assert np.array_equal(ExactMatrix(matrix[order]).product(rows[:, order]), product)


def test_larger_entries_are_cut() -> None:
    """Entries beyond the largest one would not be added up exactly."""
    assert ExactMatrix(np.ones((1, 1))).product(np.array([[3.0]], np.float32)) == 1
    assert ExactMatrix(np.ones((1, 1)), 4.0).product(np.array([[3.0]], np.float32)) == 3


@pytest.mark.parametrize("count", [1, 2, 7, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_medians_are_those_of_numpy(count: int, dtype: type) -> None:
    """Of an even number of values it is the mean of the two in the middle, also of bytes."""
    values = np.random.default_rng(count).integers(0, 256, (20, count)).astype(dtype)
    assert np.array_equal(row_medians(values), np.median(values, axis=1))
