"""Bootstrap intervals over groups of photos."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import numpy as np
import pytest

from tagger.metrics.significance import bootstrap_interval, macro_accuracy, macro_bootstrap_interval


def test_intervals_are_those_of_independent_photos() -> None:
    """Where every photo is its own group the interval of a share is about the binomial one."""
    right = np.random.default_rng(3).random(400) < 0.8
    share, low, high = bootstrap_interval(right.tolist(), [str(number) for number in range(400)])
    deviation = float(np.sqrt(share * (1 - share) / 400))
    assert right.mean() == pytest.approx(share)
    assert (share - 1.96 * deviation, share + 1.96 * deviation) == pytest.approx((low, high), abs=0.2 * deviation)


def test_more_photos_of_the_same_groups_give_no_narrower_interval() -> None:
    """Ten like photos of each product give the interval of one: photos of a product are not independent."""
    rng = np.random.default_rng(4)
    right, classes, groups = rng.random(60) < 0.7, rng.integers(0, 3, 60), rng.integers(0, 25, 60).astype(str)
    once = macro_bootstrap_interval(right.tolist(), classes.tolist(), groups.tolist())
    tenfold = macro_bootstrap_interval(*(np.repeat(values, 10).tolist() for values in (right, classes, groups)))
    assert once == pytest.approx(tenfold)
    assert once[1] < once[0] < once[2]
    apart = macro_bootstrap_interval(
        *(np.repeat(values, 10).tolist() for values in (right, classes)), [str(number) for number in range(600)]
    )
    assert apart[2] - apart[1] < 0.6 * (once[2] - once[1])


def test_intervals_are_the_same_every_time() -> None:
    """Draws are seeded, and the order of the photos does not matter."""
    right, classes, groups = [True, False, True, True, False], [0, 0, 1, 1, 1], ["a", "b", "b", "c", "d"]
    backwards = macro_bootstrap_interval(right[::-1], classes[::-1], groups[::-1])
    assert macro_bootstrap_interval(right, classes, groups) == backwards
    assert (1 / 2 + 2 / 3) / 2 == pytest.approx(backwards[0])
    assert macro_accuracy(right, classes) == backwards[0]


def test_a_single_group_has_no_width() -> None:
    """With one group every resample is that group again: both ends are the share itself."""
    assert (0.5, 0.5, 0.5) == bootstrap_interval([True, False], ["one", "one"])
