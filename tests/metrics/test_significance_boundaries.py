"""Intervals and p-values to the digit: reports of different days are compared by them."""

import numpy as np
import pytest
from scipy.stats import binom

from tagger.metrics.significance import (
    RESAMPLES,
    bootstrap_interval,
    macro_accuracy,
    macro_bootstrap_interval,
    mcnemar_p_value,
)


def test_an_interval_is_that_of_2000_seeded_resamples() -> None:
    """The 2.5 % and 97.5 % quantiles of the accuracy of resampled groups, from one generator of seed 0."""
    groups = [str(number % 40) for number in range(150)]
    right = [number % 7 < 5 for number in range(150)]
    totals = np.array([sum(group == name for group in groups) for name in sorted(set(groups))])
    correct = np.array(
        [sum(one for one, group in zip(right, groups, strict=True) if group == name) for name in sorted(set(groups))]
    )
    rng = np.random.default_rng(0)
    draws = np.concatenate([rng.multinomial(40, [1 / 40] * 40, 100) for _ in range(20)])
    low, high = np.quantile((draws @ correct) / (draws @ totals), [0.025, 0.975])
    assert RESAMPLES == len(draws) == 2_000
    assert bootstrap_interval(right, groups) == pytest.approx((np.mean(right), low, high))


def test_a_class_that_a_resample_lacks_does_not_count_in_it() -> None:
    """Each class has one group: a resample has the accuracies of the classes that it drew, and no number is missing."""
    estimate, low, high = macro_bootstrap_interval([True, False], ["a", "b"], ["1", "2"])
    assert (estimate, low, high) == (0.5, 0.0, 1.0)


def test_rare_classes_count_as_much_as_frequent_ones() -> None:
    """Ninety-nine hits of one class and a miss of another are one half."""
    assert macro_accuracy([True] * 99 + [False], ["a"] * 99 + ["b"]) == 0.5


@pytest.mark.parametrize(("only_first", "only_second"), [(1, 0), (3, 3), (5, 1), (0, 10), (7, 2)])
def test_p_values_are_two_sided_binomial_ones(only_first: int, only_second: int) -> None:
    """Twice the smaller tail of a fair coin, and never above 1; images that both get right or wrong do not matter."""
    first = np.array([True] * only_first + [False] * only_second + [True, False])
    second = np.array([False] * only_first + [True] * only_second + [True, False])
    tail = 2 * binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)
    assert mcnemar_p_value(first, second) == pytest.approx(min(1, tail))
