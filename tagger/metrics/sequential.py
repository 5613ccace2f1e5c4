"""Test without end whether later nights are like earlier ones: an alarm whose error holds over all nights together.

Null hypothesis: the values of the nights are exchangeable, i.e. any order of them is equally likely. That holds for independent
nights of one distribution, whatever it is: however far apart nights lie, as one brings shoes and the next dresses, and
whatever the true shares are, which are unknown. A test of the single photos (multinomial) would have to take each night's
photos as drawn from the same shares, and would always alarm on such nights.

Only ranks are used. For a reference of the first m nights, the m + 1 gaps between their values are a Polya urn: given all
ranks so far, a further night falls into gap j with probability (1 + c_j) / t, where c_j later nights lie there already and t
counts all nights with this one. That is exact, and takes into account that the reference is only an estimate. An alternative is
that from night v on values are shifted by so many standard deviations. Its likelihood ratio to the urn is a martingale of
expectation 1, and so is the mean over all alternatives by weights that sum to 1: the capital. By Ville's inequality the
probability that the capital ever reaches 1 / error is at most `error`, over all nights, however often it is looked at.

References of 10, 20, 40, ... nights stand for changes after the 10th, 20th, 40th, ...: a late change is found against a long
reference, and no reference holds nights of after the change, which would hide it (arXiv 2602.13848). The mixture over the
night of the change costs the logarithm of its weight, but keeps the error over all nights. An e-detector, the sum of the same
likelihood ratios without weights (Shin, Ramdas, Rinaldo, arXiv 2203.03532), is faster by a few nights, but only bounds the mean
number of nights between false alarms.

Sources: tests of exchangeability by ranks and martingales, Vovk 2021, "Testing randomness online", arXiv 1906.09256; the urn is
the law of ranks given the reference's order.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr, ndtri

from tagger.arrays import Classes, Floats

REFERENCE = 10
"""Values at first that no alarm can come from: the least number that later ones are compared with."""

SHIFTS = (1.0, 2.0, 4.0)
"""Alternatives: shifts up or down, in standard deviations of the reference."""

MOST_CAPITAL = 1e250
"""Where capital stops to grow; less capital than the martingale's keeps the error."""


@dataclass(frozen=True)
class Change:
    """A change that the test has found in one of several series."""

    series: int
    """Number of the series, from 0."""
    at: int
    """Index of the value with which the alarm came."""
    since: int
    """Index of the first value that is likely of after the change."""
    up: bool
    """Whether the values have risen."""


def capital(values: Floats, ties: Floats) -> Floats:
    """Return the capital of a bet against exchangeability after each value, at first 1; above 1 / error it is an alarm.

    Args:
        values: (values, series), in the order of time; each series is a test by itself.
        ties: of the same shape, random and independent of the values; the order of equal values.

    Returns:
        Floats (values, series), at least 0. For exchangeable values their expectation is 1 after any value, and the
        probability that a series ever reaches 1 / error is at most `error`.
    """
    ranks = _ranks(values, ties)
    total = np.ones(ranks.shape)
    for number, size in enumerate(_reference_sizes(len(ranks))):
        weight = _weight(number)
        ratios = _ratios(ranks, size)
        bets = np.zeros((ranks.shape[1], ratios.shape[2]))
        for step in range(len(ratios)):
            if step < size:
                bets += weight / size / ratios.shape[2]
            bets = np.minimum(bets * ratios[step], MOST_CAPITAL)
            unspent = weight * max(0.0, 1 - (step + 1) / size)
            total[size + step] += bets.sum(1) + unspent - weight
    return total


def first_change(values: Floats, ties: Floats, error: float) -> Change | None:
    """Return the first alarm of several series that are watched together; None where there is none.

    Args:
        values: (values, series), in the order of time.
        ties: as for `capital`.
        error: 0..1; the probability of any alarm of exchangeable values is at most this. Each series gets an equal part of
            it (Bonferroni), as the ranks of one series may tell of the next ones in another.
    """
    series = values.shape[1]
    reached = capital(values, ties) >= series / error
    if not reached.any():
        return None
    at = int(reached.any(1).argmax())
    which = int(reached[at].argmax())
    since, up = _most_likely_change(values[: at + 1, which], ties[: at + 1, which])
    return Change(which, at, since, up)


def sample(counts: Classes, size: int, seed: int) -> Classes:
    """Return the counts per category of `size` photos, at most all, drawn without replacement from `counts` (categories,).

    Equal numbers of each night make shares of small and large nights exchangeable: a small night's would vary more. The draw
    depends on the arguments alone, with every version of NumPy.
    """
    bits = np.random.PCG64([seed, 0])  # NumPy keeps the bits of a generator for good, but not what it draws from them
    total = int(counts.sum())
    moved: dict[int, int] = {}
    drawn = np.empty(size, np.int64)
    for index, draw in enumerate(bits.random_raw(size).tolist()):  # the first steps of a Fisher-Yates shuffle
        other = index + draw % (total - index)
        drawn[index] = moved.get(other, other)
        moved[other] = moved.get(index, index)
    return np.bincount(np.searchsorted(counts.cumsum(), drawn, "right"), minlength=len(counts))


def tie_breakers(count: int, seed: int) -> Floats:
    """Return `count` numbers 0..1 that order equal values, independent of the `sample` of that seed.

    They depend on the arguments alone, with every version of NumPy.
    """
    return np.asarray(np.random.PCG64([seed, 1]).random_raw(count) / 2.0**64, np.float64)


def _reference_sizes(count: int) -> list[int]:
    """Return 10, 20, 40, ..., as far as `count` values hold a later one."""
    sizes = []
    size = REFERENCE
    while size < count:
        sizes.append(size)
        size *= 2
    return sizes


def _weight(number: int) -> float:
    """Return the weight of a reference, 1/2, 1/6, 1/12, ...: they sum to 1, and fall as slowly as a power can."""
    return 1 / ((number + 1) * (number + 2))


def _ranks(values: Floats, ties: Floats) -> Classes:
    """Return the rank of each value in its series, from 0; equal ones in the order of `ties`."""
    order = np.lexsort((ties, values), axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(values))[:, None], 0)
    return ranks


def _ratios(ranks: Classes, size: int) -> Floats:
    """Return the likelihood ratio of each alternative to the urn, for each value after the first `size`.

    Shape (values - size, series, alternatives).
    """
    count, series = ranks.shape
    columns = np.arange(series)
    of_reference = np.zeros((count + 1, series), np.int64)
    of_reference[ranks[:size] + 1, columns] = 1
    gaps = of_reference.cumsum(0)[ranks[size:], columns]
    likelihoods = _likelihoods(size)
    in_gap = np.ones((series, size + 1))
    ratios = np.empty((count - size, series, likelihoods.shape[1]))
    for step, gap in enumerate(gaps):
        ratios[step] = likelihoods[gap] * ((size + 1 + step) / in_gap[columns, gap])[:, None]
        in_gap[columns, gap] += 1
    return ratios


@cache
def _likelihoods(size: int) -> Floats:
    """Return the probabilities of the gaps of a reference under each alternative, (size + 1, alternatives); columns sum to 1.

    The reference is taken as the quantiles of a normal distribution; another distribution costs power, not validity.
    """
    bounds = ndtri(np.arange(size + 2) / (size + 1))
    shifts = np.array([*SHIFTS, *(-shift for shift in SHIFTS)])
    return np.asarray(np.diff(ndtr(bounds[:, None] - shifts), axis=0), np.float64)


def _most_likely_change(values: Floats, ties: Floats) -> tuple[int, bool]:
    """Return the index since which a series is likeliest to have changed, and whether it has risen."""
    ranks = _ranks(values[:, None], ties[:, None])
    best, since, up = -np.inf, len(values) - 1, True
    for size in _reference_sizes(len(values)):
        with np.errstate(divide="ignore"):
            logarithms = np.log(_ratios(ranks, size)[:, 0])
        sums = logarithms[::-1].cumsum(0)[::-1][:size]  # of the values from each one on
        step, alternative = np.unravel_index(sums.argmax(), sums.shape)
        if sums[step, alternative] > best:
            best, since, up = float(sums[step, alternative]), size + int(step), bool(alternative < len(SHIFTS))
    return since, up
