"""Scale samples of more than eight bits, and floating-point ones, to eight bits by the white that they were stored with.

The samples of a file are often wider than what they hold: twelve bits of a camera in sixteen, bytes in floats. White is
taken, in this order, from what the file declares (`declared`), from the content, and from the width of the samples:

- Integers fill fewer bits than their samples have where the largest value lies in the upper tenth of what 8, 10, 12 or 14
  bits hold: photos of products have white or bright parts. A photo that is merely dark rarely has its largest
  value there. Samples of 32 bits and more hold as many bits as the smallest of 8, 16, 20, 24 and 32 that fits.
- Floating-point samples hold 0 to 1, or 0 to their largest value where that is above 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Pixels

_COMMON_DEPTHS = (8, 10, 12, 14)
_FILLED = 0.9
_BLOCK = 4_000_000
"""Samples that are converted at once, so that no copy of a whole photo in floating point is made."""


def to_eight_bit(values: NDArray[Any], bits: int, declared: float | None = None, nodata: float | None = None) -> Pixels:
    """Scale samples to uint8 of the same shape, from black = 0 to white = 255.

    Args:
        values: integers or floats, (h, w) or (h, w, n).
        bits: bits per sample of the file, at most those of the dtype.
        declared: the white that the file declares; ignored where a sample is larger.
        nodata: a value that marks pixels without content.

    NaN, infinity and `nodata` become white, which is the ground of most product photos; minus infinity becomes black.
    """
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8 and bits == 8 and (declared is None or declared >= 255) and nodata is None:
        return values
    least, largest = _range(values, nodata)
    white = _white(values.dtype, bits, largest, declared)
    # Signed samples go from -1 to 1 or -32768 to 32767; slightly negative ones are the overshoot of a filter.
    black = 0.0
    if least < -white / 4:
        white = max(white, -least)
        black = -white
    scaled = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        scaled[top : top + rows] = _scaled(values[top : top + rows], black, white, nodata)
    return scaled


def _scaled(values: NDArray[Any], black: float, white: float, nodata: float | None) -> Pixels:
    block = values.astype(np.float32)
    if nodata is not None:
        block[values == nodata] = np.nan
    with np.errstate(all="ignore"):
        block = (block - np.float32(black)) * np.float32(255 / (white - black)) + np.float32(0.5)
    return np.clip(np.nan_to_num(block, nan=255, posinf=255, neginf=0), 0, 255).astype(np.uint8)


def _range(values: NDArray[Any], nodata: float | None) -> tuple[float, float]:
    """Return the least and the largest finite value that is not `nodata`; (0, 0) where there is none."""
    if values.dtype.kind != "f" and nodata is None:
        content = values
    else:
        counted = np.isfinite(values)
        if nodata is not None:
            counted &= values != nodata
        content = values[counted]
    return (float(content.min()), float(content.max())) if content.size else (0.0, 0.0)


def _white(dtype: np.dtype[Any], bits: int, largest: float, declared: float | None) -> float:
    """Return the value of white; see the module."""
    if declared is not None and declared > 0 and largest <= declared:
        return declared
    if dtype.kind == "f":
        return max(1.0, largest)
    bits = min(bits, dtype.itemsize * 8) - (dtype.kind == "i")
    for fewer in _COMMON_DEPTHS:
        if fewer < bits and _FILLED * (2**fewer - 1) <= largest <= 2**fewer - 1:
            return float(2**fewer - 1)
    if bits > 16:
        return float(next((2**fewer - 1 for fewer in (8, 16, 20, 24, 32) if fewer < bits and largest < 2**fewer), 2**bits - 1))
    return float(2**bits - 1)
