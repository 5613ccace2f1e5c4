"""Reported metrics are plain numbers with six decimals."""

import json

import numpy as np
import pytest

from tagger.metrics.rounding import rounded


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1 / 3, 0.333333), (2 / 3, 0.666667), (0.1234564, 0.123456), (0.1234566, 0.123457), (1.0, 1.0), (np.float32(0.1), 0.1)],
)
def test_metrics_have_six_decimals(value: float, expected: float) -> None:
    """NumPy's numbers become Python's, which JSON can hold."""
    assert rounded(value) == expected
    assert json.loads(json.dumps(rounded(value))) == expected
