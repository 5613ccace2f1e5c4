"""Rounding of reported metrics."""

from typing import Any

import numpy as np


def rounded(value: float | np.floating[Any]) -> float:
    """Return a figure with six decimals, which is more than any of them is worth."""
    return round(float(value), 6)
