"""Samples of any width become eight bits by the white that they were stored with."""

import numpy as np
import pytest

from tagger.photos.depth import to_eight_bit


def scaled(values: list[float], dtype: type, bits: int, **options: float) -> list[int]:
    """Return samples of one row as eight bits."""
    return to_eight_bit(np.array([values], dtype), bits, **options)[0].tolist()  # type: ignore[no-any-return, arg-type]


@pytest.mark.parametrize(
    ("values", "dtype", "bits", "expected"),
    [
        ([0, 128, 255], np.uint8, 8, [0, 128, 255]),
        ([0, 7, 15], np.uint8, 4, [0, 119, 255]),
        ([0, 1], bool, 1, [0, 255]),
        ([0, 32768, 65535], np.uint16, 16, [0, 128, 255]),
        ([0, 2048, 4095], np.uint16, 16, [0, 128, 255]),
        ([0, 2048, 3686], np.uint16, 16, [0, 128, 230]),
        ([0, 2048, 3600], np.uint16, 16, [0, 8, 14]),
        ([0, 8192, 16383], np.uint16, 16, [0, 128, 255]),
        ([0, 128, 255], np.uint16, 16, [0, 128, 255]),
        ([0, 6553], np.uint16, 16, [0, 25]),
        ([0, 2048, 4095], np.uint16, 12, [0, 128, 255]),
        ([0, 2**31, 2**32 - 1], np.uint32, 32, [0, 128, 255]),
        ([0, 30000], np.uint32, 32, [0, 117]),
        ([0, 128, 250], np.uint32, 32, [0, 128, 250]),
        ([0, 16384, 32767], np.int16, 16, [0, 128, 255]),
        ([-32768, 0, 32767], np.int16, 16, [0, 128, 255]),
        ([0, 0.5, 1], np.float32, 32, [0, 128, 255]),
        ([0, 0.2], np.float32, 32, [0, 51]),
        ([0, 100, 200], np.float64, 64, [0, 128, 255]),
        ([-1, 0, 1], np.float32, 32, [0, 128, 255]),
        ([-0.01, 0, 1], np.float32, 32, [0, 0, 255]),
        ([np.nan, np.inf, -np.inf, 0.5], np.float16, 16, [255, 255, 0, 128]),
        ([np.nan, np.nan], np.float32, 32, [255, 255]),
        ([0, 0], np.uint16, 16, [0, 0]),
    ],
)
def test_white_is_found(values: list[float], dtype: type, bits: int, expected: list[int]) -> None:
    """By the width, or by the content where that fills fewer bits."""
    assert scaled(values, dtype, bits) == expected


def test_declared_values() -> None:
    """The declared white counts unless the content exceeds it; the value of pixels without content is white."""
    assert scaled([0, 500, 1000], np.uint16, 16, declared=1000) == [0, 128, 255]
    assert scaled([0, 32768], np.uint16, 16, declared=1000) == [0, 128]
    assert scaled([-9999, 0, 1], np.float32, 32, nodata=-9999) == [255, 0, 255]
    assert scaled([0, 128], np.uint8, 8, nodata=0) == [255, 128]


def test_blocks_are_scaled_alike() -> None:
    """A photo that is converted in blocks of rows has the same white in all of them."""
    values = np.repeat(np.linspace(0, 4095, 3000).astype(np.uint16)[:, None], 3000, axis=1)
    eight_bit = to_eight_bit(values, 16)
    assert (eight_bit == eight_bit[:, :1]).all()
    assert np.abs(eight_bit[:, 0] - np.linspace(0, 255, 3000)).max() <= 1


def test_bytes_are_not_copied() -> None:
    """What has eight bits already is returned as it is."""
    values = np.zeros((4, 4), np.uint8)
    assert to_eight_bit(values, 8) is values
