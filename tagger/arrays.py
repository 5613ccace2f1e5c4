"""Types of NumPy arrays, and functions of them, that several packages share."""

from math import frexp
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
"""Floats of any precision."""

Flags: TypeAlias = NDArray[np.bool_]
"""Booleans, such as whether each prediction is right."""

Classes: TypeAlias = NDArray[np.int64]
"""Class numbers, from 0 on."""

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (height, width, 3) RGB of a photo, or (28, 28) grey of a product image."""

Float32s: TypeAlias = NDArray[np.float32]
"""Floats that networks and adapters compute with."""


def as_uint8(pixels: NDArray[Any]) -> Pixels:
    """Narrow the type of what OpenCV computed from uint8; its stubs allow any dtype."""
    return np.asarray(pixels, np.uint8)


def softmax(logits: Floats) -> Float32s:
    """Return the softmax, float32, of each row of logits (n, classes); rows sum to 1."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True), np.float32)


def largest(values: Float32s, count: int) -> tuple[Float32s, Classes]:
    """Return the `count` largest values of each row, or all, and their columns, in no particular order.

    Args:
        values: float32 (n, m).
        count: at least 1.

    Returns:
        Values float32 (n, k) and columns int64 (n, k), for k the lesser of `count` and m.
    """
    rest = values.shape[1] - count
    columns = np.argpartition(values, rest, 1)[:, rest:] if rest > 0 else np.tile(np.arange(values.shape[1]), (len(values), 1))
    return np.take_along_axis(values, columns, 1), columns


def row_medians(values: NDArray[Any]) -> Floats:
    """Return the median of each row of numbers (n, m), floats (n,); `np.median` takes three times as long."""
    count = values.shape[1]
    middle = (count - 1) // 2, count // 2
    medians: Floats = np.partition(values, middle, axis=1)[:, middle].mean(axis=1)
    return medians


_BITS = 22
"""Bits to which `ExactMatrix` rounds. Whole numbers of twice as many bits are added up exactly in the 53 bits of a float64."""


class ExactMatrix:
    """A matrix whose product with a row has the same bits whatever other rows there are, and whatever sums in which order.

    BLAS libraries sum in another order for another number of rows, place of the row, processor or number of threads. Here rows
    and matrix are rounded to whole multiples of powers of two, so that all sums of products are exact.
    """

    def __init__(self, matrix: Floats, largest_entry: float = 1.0) -> None:
        """Round a matrix (d, k) for rows (d,) with entries up to `largest_entry`.

        Sums are exact up to d = 512, and up to d = 262,144 for rows of at most that Euclidean length.
        """
        self._limit = largest_entry
        self._row_step = _grid_step(largest_entry)
        self._step = _grid_step(float(np.abs(matrix).max(initial=0)))
        self._whole = np.rint(matrix.astype(np.float64) / self._step)

    def product(self, rows: Float32s) -> Float32s:
        """Return the product, float32 (n, k), with rows, float32 (n, d), whose entries are cut to the largest one."""
        whole = np.rint(rows.clip(-self._limit, self._limit).astype(np.float64) / self._row_step)
        return np.asarray((whole @ self._whole) * (self._row_step * self._step), np.float32)


def _grid_step(largest_entry: float) -> float:
    """Return the power of two of which an entry is at most 2 ** `_BITS` multiples."""
    step: float = 2.0 ** (frexp(largest_entry)[1] - _BITS)
    return step
