"""Array types that travel between packages."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

Flags: TypeAlias = NDArray[np.bool_]

Classes: TypeAlias = NDArray[np.int64]


Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (height, width, 3) RGB of a photo, or (28, 28) grey of a garment."""
