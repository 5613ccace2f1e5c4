"""Types of NumPy arrays that several packages share."""

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
