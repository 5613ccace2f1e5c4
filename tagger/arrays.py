"""Types of NumPy arrays, and functions of them, that several packages share."""

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
