"""The test over nights keeps its error for all nights together, and finds changes."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from tagger.arrays import Floats
from tagger.metrics import sequential
from tagger.metrics.sequential import capital, first_change, sample, tie_breakers

ERROR = 0.05

Draw = Callable[[np.random.Generator, int, int], Floats]
"""Shares of flagged photos of so many nights and shops."""


def binomial(photos: int, share: float = 0.3) -> Draw:
    """Nights of so many photos with the same true share."""
    return lambda rng, nights, shops: rng.binomial(photos, share, (nights, shops)) / photos


def overdispersed(photos: int, share: float = 0.3, strength: float = 5.0) -> Draw:
    """Nights whose true share is drawn anew for each (beta-binomial): one brings shoes, the next dresses."""

    def draw(rng: np.random.Generator, nights: int, shops: int) -> Floats:
        shares = rng.beta(share * strength, (1 - share) * strength, (nights, shops))
        return rng.binomial(photos, shares) / photos

    return draw


def capitals(values: Floats, seed: int = 1) -> Floats:
    """Return the capital of series, with ties ordered at random."""
    return capital(values, np.random.default_rng(seed).random(values.shape))


@pytest.mark.parametrize(
    "draw",
    [binomial(200), binomial(25, 0.02), overdispersed(200), overdispersed(200, strength=1.0), overdispersed(1)],
    ids=["alike", "mostly none", "overdispersed", "all or nothing", "one photo a night"],
)
def test_a_false_alarm_within_a_year_is_rare(draw: Draw) -> None:
    """In at most 5 of 100 shops without a change there is any alarm in 365 nights, however far apart nights lie."""
    values = draw(np.random.default_rng(7), 365, 1_500)
    rate = float((capitals(values) >= 1 / ERROR).any(0).mean())
    assert rate <= ERROR


def test_a_fixed_band_gives_false_alarms_where_this_test_does_not() -> None:
    """Three standard deviations of a binomial share, or of the first 30 nights, alarm in most shops within a year."""
    values = overdispersed(200)(np.random.default_rng(8), 365, 500)
    centre = values[:30].mean(0)
    for deviation in (np.sqrt(centre * (1 - centre) / 200), values[:30].std(0, ddof=1)):
        assert (np.abs(values[30:] - centre) > 3 * deviation).any(0).mean() > 0.3


def test_capital_is_a_fair_bet_on_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all orders of seven nights, which are equally likely, the mean capital is 1 after each night, exactly."""
    monkeypatch.setattr(sequential, "REFERENCE", 2)
    orders = np.array(list(permutations(range(7)))).T / 7
    result = capital(orders, np.zeros(orders.shape))
    assert result.mean(1) == pytest.approx(np.ones(7), abs=1e-12)
    assert result.min() >= 0
    assert result[-1].std() > 0.3
    given_three = result[:, (orders[0] < orders[1]) & (orders[1] < orders[2])]
    assert given_three[3:].mean(1) == pytest.approx(np.full(4, given_three[2, 0]), abs=1e-12)


def test_equal_nights_are_ordered_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties are broken by the random numbers alone: nights that are all equal give the same capital as those numbers do."""
    monkeypatch.setattr(sequential, "REFERENCE", 2)
    ties = np.random.default_rng(2).random((30, 50))
    assert np.array_equal(capital(np.zeros((30, 50)), ties), capital(ties, np.zeros((30, 50))))


def test_only_the_order_of_values_counts() -> None:
    """Another scale of the values changes nothing."""
    values = np.random.default_rng(3).random((60, 20))
    assert np.array_equal(capitals(values), capitals(np.exp(5 * values)))


def test_no_capital_changes_afterwards() -> None:
    """What was known after a night stays as it is with the nights that follow."""
    values = np.random.default_rng(4).random((90, 10))
    ties = np.random.default_rng(5).random((90, 10))
    whole = capital(values, ties)
    for nights in (1, 9, 10, 11, 21, 47, 89):
        assert whole[:nights] == pytest.approx(capital(values[:nights], ties[:nights]), rel=1e-12)
    assert (whole[:10] == 1).all()


@pytest.mark.parametrize(
    ("before", "after", "change", "median", "latest"),
    [
        (binomial(200), binomial(200, 0.6), 14, 5, 8),
        (binomial(200), binomial(200, 0.4), 30, 7, 20),
        (binomial(200), binomial(200, 0.2), 100, 6, 10),
        (binomial(200), binomial(200, 0.4), 300, 6, 10),
        (overdispersed(200, strength=20), overdispersed(200, 0.6, 20), 100, 7, 15),
    ],
    ids=["0.3 to 0.6, early", "0.3 to 0.4", "0.3 to 0.2", "0.3 to 0.4, late", "overdispersed 0.3 to 0.6"],
)
def test_changes_are_found_within_nights(before: Draw, after: Draw, change: int, median: float, latest: int) -> None:
    """Half of the changes are found within `median` nights, nine of ten within `latest`, at a quarter of the error."""
    rng = np.random.default_rng(9)
    values = np.concatenate([before(rng, change, 300), after(rng, 60, 300)])
    reached = capitals(values) >= 4 / ERROR
    delays = np.where(reached.any(0), reached.argmax(0) - change + 1, 1_000)
    assert np.median(delays) <= median
    assert np.quantile(delays, 0.9) <= latest
    assert delays.min() >= 1 or (delays < 1).mean() < ERROR / 4


def test_the_alarm_names_series_direction_and_night() -> None:
    """Of twelve series the one that fell is named, and the night since which it is lower, give or take one."""
    rng = np.random.default_rng(10)
    values = rng.normal(size=(70, 12))
    values[50:, 7] -= 4
    found = first_change(values, rng.random(values.shape), ERROR)
    assert found is not None
    assert found.series == 7
    assert not found.up
    assert abs(found.since - 50) <= 1
    assert found.since < found.at <= 58
    assert first_change(values[:50], rng.random((50, 12)), ERROR) is None
    rising = first_change(-values, rng.random(values.shape), ERROR)
    assert rising is not None
    assert rising.up


def test_many_series_share_the_error() -> None:
    """The more series are watched together, the rarer an alarm of each has to be: all have one error together."""
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(60):
        values = rng.normal(size=(100, 30))
        alarms += first_change(values, rng.random(values.shape), ERROR) is not None
    assert alarms <= 6


def test_few_values_are_no_evidence() -> None:
    """Without a value, and until the reference is complete, there is no alarm, whatever the values."""
    for count in range(sequential.REFERENCE + 1):
        values = np.arange(count, dtype=float)[:, None]
        assert first_change(values, values, ERROR) is None


def test_the_capital_of_a_lasting_change_stays_finite() -> None:
    """Three thousand nights after a change the capital has not overflown."""
    values = np.concatenate([np.arange(400.0), 1_000 + np.arange(3_000.0)])[:, None]
    assert np.isfinite(capital(values, np.zeros(values.shape))).all()


def test_samples_are_drawn_without_replacement() -> None:
    """No category gives more than it has, all photos give all of them, and on average each gives its share."""
    counts = np.array([0, 5, 0, 20, 75])
    assert sample(counts, 100, 3).tolist() == counts.tolist()
    drawn = np.array([sample(counts, 20, seed) for seed in range(2_000)])
    assert (drawn.sum(1) == 20).all()
    assert (drawn <= counts).all()
    assert drawn.mean(0) == pytest.approx(counts / 5, abs=0.15)
    hypergeometric = 20 * 0.75 * 0.25 * 80 / 99
    assert drawn[:, 4].var() == pytest.approx(hypergeometric, rel=0.1)


def test_draws_are_the_same_for_ever() -> None:
    """Alarms do not come and go with the version of NumPy: draws are fixed by the seed."""
    assert sample(np.array([500, 300, 200]), 100, 12).tolist() == sample(np.array([500, 300, 200]), 100, 12).tolist()
    assert sample(np.array([500, 300, 200]), 100, 12).tolist() == [57, 25, 18]
    assert tie_breakers(2, 12) == pytest.approx([0.6288291984102581, 0.4051509812546245], rel=1e-15)
