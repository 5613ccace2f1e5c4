"""A small run of the benchmark of the alarms over nights: its tables have the rows and shares that they promise."""

import numpy as np
import pytest

from benchmarks.robustness import drift


def test_the_report_has_a_row_for_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares without a change, of one statistic, of nights that are not alike, and the delay of each change."""
    for name, value in {"NIGHTS": 42, "LATEST": 15, "MANY": 1_000}.items():
        monkeypatch.setattr(drift, name, value)
    monkeypatch.setattr(drift, "SIZES", {"100 photos": drift.about(100)})
    monkeypatch.setattr(drift, "CHANGES", {name: drift.CHANGES[name] for name in ("flagged 0.3 to 0.6",)})
    monkeypatch.setattr(drift, "ALIKE", {"alike": lambda rng: rng.random((drift.NIGHTS, 1_000))})
    lines = drift.report("the command", 4, lambda function, seeds: [function(seed) for seed in seeds])
    assert "`the command`" in lines
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[:2] for row in rows if row[0] == "100 photos"] == [["100 photos", f"{spread:g}"] for spread in drift.SPREADS]
    assert all(cell.endswith(" %") for row in rows if row[0] == "100 photos" for cell in row[2:])
    (alike,) = (row for row in rows if row[0] == "alike")
    assert float(alike[1].removesuffix(" %")) <= 5
    assert len([row for row in rows if row[0] in drift.NOT_ALIKE]) == len(drift.NOT_ALIKE)
    changes = [row for row in rows if row[0] == "flagged 0.3 to 0.6"]
    assert [row[1:3] for row in changes] == [[spread, after] for spread in ("0", "0.1") for after in ("30", "100", "300")]
    assert changes[2][3] == "100 %"
    assert 1 <= int(changes[2][4]) <= 10


def test_simulated_shops_are_what_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A night has its photos, its shares are around the shop's, apart by the spread, and each draw is the same every time."""
    nights = [drift.Shop(spread=0.1).night(np.random.default_rng(seed), 400) for seed in range(300)]
    assert {sum(night.values()) for night in nights} == {400}
    flagged = np.array([sum(count for cell, count in night.items() if cell.flagged and not cell.unknown) for night in nights])
    known = np.array([sum(count for cell, count in night.items() if not cell.unknown) for night in nights])
    assert (flagged / known).mean() == pytest.approx(0.3, abs=0.02)
    assert (flagged / known).std() == pytest.approx(np.hypot(0.1, np.sqrt(0.3 * 0.7 / 400)), abs=0.015)
    monkeypatch.setattr(drift, "NIGHTS", 60)
    kind = next(iter(drift.SIZES))
    assert drift.simulate_year(kind, 0.1, 5) == drift.simulate_year(kind, 0.1, 5)
    assert drift.simulate_change("flagged 0.3 to 0.6", 0.0, 30, 5) == drift.simulate_change("flagged 0.3 to 0.6", 0.0, 30, 5)


def test_no_simulated_night_has_more_photos_than_a_shop_could_have() -> None:
    """Sizes are whole numbers from 0 to 100,000, and those that grow do."""
    rng = np.random.default_rng(1)
    for sizes in drift.SIZES.values():
        drawn = sizes(rng, 1_000)
        assert drawn.min() >= 0
        assert drawn.max() <= 100_000
        assert np.array_equal(drawn, drawn.astype(int))
    assert drift.growing(5, 500)(rng, 1_000)[-200:].mean() > 20 * drift.growing(5, 500)(rng, 1_000)[:200].mean()
