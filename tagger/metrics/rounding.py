"""Round reported metrics."""

from typing import Any

import numpy as np


def rounded(value: float | np.floating[Any]) -> float:
    """Return a metric with six decimals, which is more than the size of any test set supports."""
    return round(float(value), 6)
