"""McNemar's test is the exact binomial one."""

import numpy as np
import pytest

from tagger.metrics.significance import mcnemar_p_value


def test_mcnemar_is_exact() -> None:
    """Six images to none give twice a half to the sixth power, in either order; equal predictions give 1."""
    first, second = np.ones(20, bool), np.ones(20, bool)
    assert mcnemar_p_value(first, second) == 1.0
    second[:6] = False
    assert mcnemar_p_value(first, second) == pytest.approx(2 * 0.5**6)
    assert mcnemar_p_value(first, second) == mcnemar_p_value(second, first)
