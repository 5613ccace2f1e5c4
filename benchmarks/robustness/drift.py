"""Simulate nights of uploads: how often the alarms are false within a year, and how soon they find a change.

    python -m benchmarks.robustness.drift [--shops 400] [--jobs 2] [--out FILE.md]

A simulated shop has uploads in each night. The night's true shares of flagged and unknown photos, mix of five tags and mean
confidence are drawn around those of the shop; `spread` is the standard deviation of the flagged share, so that 0 are nights
alike, and at 0.2 one night brings shoes and the next one dresses. Photos are drawn from the night's shares. The alarms are
those of `review.night_alarms`, all four statistics with one error of 5 % together.

They are compared with fixed bands of three standard deviations around the flagged share of the first 30 nights: the binomial
deviation of as many photos, and the deviation among these 30 nights.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.reporting import RESULTS, table, write
from tagger.arrays import Classes, Floats
from tagger.metrics.sequential import REFERENCE, capital
from tagger.review.night_alarms import BINS, ERROR, STATISTICS, Cell, Counts, watch

NIGHTS, BAND_NIGHTS, LATEST, MANY = 365, 30, 60, 10_000
"""Nights without a change; nights that bands are computed from; nights after a change; shops of the test of one statistic."""

TAGS = ("Dress", "Shirt", "Bag", "Coat", "Sneaker", "")

_BIN_MIDDLES = (np.arange(BINS) + 0.5) / BINS


@dataclass(frozen=True)
class Shop:
    """What the nights of a shop are drawn from."""

    flagged: float = 0.3
    unknown: float = 0.03
    confidence: float = 0.85
    mix: tuple[float, ...] = (0.4, 0.25, 0.2, 0.1, 0.05)
    spread: float = 0.0

    def night(self, rng: np.random.Generator, photos: int) -> Counts:
        """Draw a night of so many photos."""
        flagged, unknown, confidence, mix = self.flagged, self.unknown, self.confidence, np.array(self.mix)
        if self.spread:
            strength = self.flagged * (1 - self.flagged) / self.spread**2 - 1
            flagged, unknown, confidence = (
                rng.beta(share * strength, (1 - share) * strength) for share in (flagged, unknown, confidence)
            )
            mix = rng.dirichlet(mix * strength)
        bins = np.exp(-(((_BIN_MIDDLES - confidence) / 0.15) ** 2))
        shares = (1 - unknown) * mix[:, None, None] * np.array([1 - flagged, flagged])[:, None] * (bins / bins.sum())
        counts = rng.multinomial(photos, np.append(shares.ravel(), unknown))
        cells = {
            Cell(TAGS[tag], bool(flag), False, int(number)): int(counts[index])
            for index, (tag, flag, number) in enumerate(np.ndindex(shares.shape))
            if counts[index]
        }
        return cells | ({Cell("", True, True, -1): int(counts[-1])} if counts[-1] else {})


Sizes = Callable[[np.random.Generator, int], Classes]
"""Draws the number of uploads of each of so many nights."""


def about(photos: float, times: float = 1.0) -> Sizes:
    """Return sizes around a number of photos, apart by a factor."""
    return lambda rng, nights: np.rint(photos * times ** rng.normal(size=nights)).astype(int).clip(0, 100_000)


def growing(first: float, last: float) -> Sizes:
    """Return sizes that grow from night to night."""
    return lambda rng, nights: rng.poisson(first * (last / first) ** (np.arange(nights) / nights))


SIZES: dict[str, Sizes] = {
    "200 photos a night": about(200),
    "0 to 15 photos a night (5 on average)": lambda rng, nights: rng.poisson(5, nights),
    "60 photos, larger or smaller by a factor of 4": about(60, 4),
    "2,000 photos, larger or smaller by a factor of 10": about(2_000, 10),
    "growing from 5 to 500 photos": growing(5, 500),
    "shrinking from 1,000 to 10 photos": growing(1_000, 10),
}

SPREADS = (0.0, 0.1, 0.2)

USUAL = Shop()

CHANGES: dict[str, tuple[tuple[str, ...], Shop]] = {
    "flagged 0.3 to 0.4": (("flagged",), replace(USUAL, flagged=0.4)),
    "flagged 0.3 to 0.6": (("flagged",), replace(USUAL, flagged=0.6)),
    "unknown 0.03 to 0.15": (("unknown",), replace(USUAL, unknown=0.15)),
    "a broken camera: confidence 0.85 to 0.65": (("confidence",), replace(USUAL, confidence=0.65)),
    "bags 0.2 to 0.5 of the uploads": (("tags",), replace(USUAL, mix=(0.25, 0.15, 0.5, 0.07, 0.03))),
    "all at once, as another bundle": (
        STATISTICS,
        Shop(flagged=0.15, unknown=0.08, confidence=0.92, mix=(0.3, 0.35, 0.2, 0.1, 0.05)),
    ),
}


class Outcome(NamedTuple):
    """Of one simulated shop."""

    alarm: bool
    binomial: bool
    between: bool


def simulate_year(kind: str, spread: float, seed: int) -> Outcome:
    """Return which alarms a year without a change raises: of the tests, and of both bands."""
    rng = np.random.default_rng([seed, *map(ord, kind)])
    shop = replace(USUAL, spread=spread)
    nights = [night for size in SIZES[kind](rng, NIGHTS) if (night := shop.night(rng, int(size)))]
    watched = watch(nights, TAGS, range(seed * NIGHTS, seed * NIGHTS + len(nights)))
    sizes = np.array([sum(night.values()) for night in nights])
    flagged = np.array([sum(count for cell, count in night.items() if cell.flagged) for night in nights])
    shares = flagged / sizes
    centre = flagged[:BAND_NIGHTS].sum() / sizes[:BAND_NIGHTS].sum()
    apart = np.abs(shares - centre)[BAND_NIGHTS:]
    binomial = np.sqrt(centre * (1 - centre) / sizes[BAND_NIGHTS:])
    return Outcome(
        any(one.alarms for one in watched.values()),
        bool((apart > 3 * binomial).any()),
        bool((apart > 3 * shares[:BAND_NIGHTS].std(ddof=1)).any()),
    )


def simulate_change(kind: str, spread: float, after: int, seed: int) -> int | None:
    """Return with which night after a change the first alarm of its statistics comes; None for none, or one before it."""
    rng = np.random.default_rng([seed, after, *map(ord, kind)])
    statistics, changed = CHANGES[kind]
    shops = [USUAL] * after + [changed] * LATEST
    nights = [replace(shop, spread=spread).night(rng, 200) for shop in shops]
    watched = watch(nights, TAGS, range(seed * 1_000, seed * 1_000 + len(nights)))
    first = [alarms[0].at for name in statistics if (alarms := watched[name].alarms)]
    return min(first) - after + 1 if first and min(first) >= after else None


def one_statistic(draw: Callable[[np.random.Generator], Floats], together: int = 1) -> str:
    """Return the share of `MANY` shops in which one statistic, with all of the error, raises an alarm within a year.

    `together` nights are a value of the test.
    """
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(MANY // 1_000):
        values = draw(rng)[: NIGHTS // together * together].reshape(-1, together, 1_000).mean(1)
        alarms += int((capital(values, rng.random(values.shape)) >= 1 / ERROR).any(0).sum())
    return f"{100 * alarms / MANY:.1f} %"


ALIKE: dict[str, Callable[[np.random.Generator], Floats]] = {
    "200 photos, share 0.3": lambda rng: rng.binomial(200, 0.3, (NIGHTS, 1_000)) / 200,
    "25 photos, share 0.02": lambda rng: rng.binomial(25, 0.02, (NIGHTS, 1_000)) / 25,
    "200 photos, share 0.3 with a deviation of 0.1": lambda rng: rng.binomial(200, rng.beta(6, 14, (NIGHTS, 1_000))) / 200,
    "200 photos, share 0.3 with a deviation of 0.2": lambda rng: (
        rng.binomial(200, rng.beta(1.275, 2.975, (NIGHTS, 1_000))) / 200
    ),
    "all or none, 0.3 of the nights all": lambda rng: rng.binomial(1, 0.3, (NIGHTS, 1_000)) / 1.0,
    "values of any size (Cauchy)": lambda rng: rng.standard_cauchy((NIGHTS, 1_000)),
}


def _nights_of(shares: Floats, rng: np.random.Generator) -> Floats:
    """Draw the flagged share of nights of 200 photos with these true shares (nights,) or (nights, 1_000)."""
    return rng.binomial(200, np.broadcast_to(shares.reshape(NIGHTS, -1), (NIGHTS, 1_000))) / 200


TOGETHER = (1, 3, 7)

NOT_ALIKE: dict[str, Callable[[np.random.Generator], Floats]] = {
    "one night of the week 0.6, the others 0.3": lambda rng: _nights_of(np.where(np.arange(NIGHTS) % 7, 0.3, 0.6), rng),
    "each delivery lasts 3 nights, deviation of 0.1 between deliveries": lambda rng: _nights_of(
        rng.beta(6, 14, (NIGHTS, 1_000))[np.arange(NIGHTS) // 3], rng
    ),
    "each delivery lasts 5 nights, deviation of 0.1 between deliveries": lambda rng: _nights_of(
        rng.beta(6, 14, (NIGHTS, 1_000))[np.arange(NIGHTS) // 5], rng
    ),
    "each delivery lasts 10 nights, deviation of 0.1 between deliveries": lambda rng: _nights_of(
        rng.beta(6, 14, (NIGHTS, 1_000))[np.arange(NIGHTS) // 10], rng
    ),
    "a season: 0.3, up to 0.4 and down to 0.2 within the year": lambda rng: _nights_of(
        0.3 + 0.1 * np.sin(2 * np.pi * np.arange(NIGHTS) / NIGHTS), rng
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate all and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=400, help="simulated shops of each row")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=RESULTS / "drift.md")
    chosen = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "benchmarks.robustness.drift", *(sys.argv[1:] if arguments is None else arguments)])
    with ProcessPoolExecutor(chosen.jobs) as pool:
        lines = report(command, chosen.shops, lambda function, seeds: list(pool.map(function, seeds, chunksize=10)))
    write(chosen.out, lines)


def report(command: str, shops: int, run: Callable[..., list[object]]) -> list[str]:
    """Return the lines of the report; `run` maps a function over seeds."""
    titles = ["uploads", "spread", "these alarms", "binomial band", "band of the nights' deviation"]
    rows = []
    for kind in SIZES:
        for spread in SPREADS:
            outcomes = run(partial(simulate_year, kind, spread), range(shops))
            rows.append([kind, f"{spread:g}", *(f"{100 * sum(part) / shops:.1f} %" for part in zip(*outcomes, strict=True))])  # type: ignore[call-overload]
    delays = []
    for kind in CHANGES:
        for spread in SPREADS[:2]:
            for after in (30, 100, 300):
                found = run(partial(simulate_change, kind, spread, after), range(shops // 4))
                nights = sorted(LATEST + 1 if one is None else int(one) for one in found)  # type: ignore[call-overload]
                median, late = (nights[int(share * len(nights))] for share in (0.5, 0.9))
                share = sum(night <= LATEST for night in nights) / len(nights)
                delays.append([kind, f"{spread:g}", str(after), f"{100 * share:.0f} %", _nights(median), _nights(late)])
    return [
        "# Alarms over nights",
        "",
        f"`{command}`",
        "",
        f"Shares of {shops:,} simulated shops without a change in which there is any alarm within {NIGHTS} nights; at most "
        f"{100 * ERROR:g} % are allowed. Bands are those of one statistic, the alarms those of all four together.",
        "",
        *table(titles, rows),
        f"One statistic alone with all of the error, {MANY:,} shops, {NIGHTS} values each:",
        "",
        *table(["values", "false alarms"], [[kind, one_statistic(draw)] for kind, draw in ALIKE.items()]),
        "The same for nights that are not alike, though nothing is broken: what lasts longer than a night is a change.",
        "",
        *table(
            ["flagged share", *(f"by {together} nights" if together > 1 else "by night" for together in TOGETHER)],
            [[kind, *(one_statistic(draw, together) for together in TOGETHER)] for kind, draw in NOT_ALIKE.items()],
        ),
        f"Nights of 200 photos with a change after so many nights, {shops // 4:,} shops each. It is found where the alarm of a "
        f"statistic that moved comes within {LATEST} nights; the delay counts the nights of after the change until then. No "
        f"alarm can come from the first {REFERENCE} nights.",
        "",
        *table(["change", "spread", "after night", "found", "median delay", "delay of nine in ten"], delays),
    ]


def _nights(count: int) -> str:
    return f"over {LATEST}" if count > LATEST else str(count)


if __name__ == "__main__":
    main()
