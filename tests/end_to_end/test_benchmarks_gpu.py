"""The benchmark of a GPU and many cores takes start-up off, and says what bounds a run; no command is run here."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import write_photos

from benchmarks.speed import gpu


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gpu.Benchmark:
    """A machine of two cores, where a run takes 3 seconds, and 0.1 more for every photo, or 0.06 on two cores or the GPU."""

    def run_command(folder: Path, out: Path, model: str, *options: str, cores: Sequence[int] = ()) -> tuple[float, float]:
        cost = 0.06 if len(cores) == 2 or "cuda" in options else 0.1
        return 3 + cost * (len(list(folder.iterdir())) - 1), 500.0

    monkeypatch.setattr(gpu, "run_command", run_command)
    monkeypatch.setattr(gpu, "cores_in_order", lambda: [0, 1])
    photos = write_photos(tmp_path / "photos", 3)
    options = argparse.Namespace(model="catalog", runs=2, per_core=40, devices=["cuda", "cpu"], photos=photos)
    (tmp_path / "files").mkdir()
    return gpu.Benchmark(options, tmp_path / "files")


def test_copies_have_hashes_of_their_own(benchmark: gpu.Benchmark) -> None:
    """So that none is taken for one that has a result."""
    assert 80 == len(benchmark.files) == len({file.read_bytes() for file in benchmark.files})
    assert 3 == benchmark.originals


def test_runs_are_told_with_start_up_and_without(benchmark: gpu.Benchmark) -> None:
    """Start-up is that of a run on one photo."""
    results, lines = benchmark.run()
    assert 80 / (3 + 79 * 0.1) == pytest.approx(results["cpu"]["photos/s"])
    assert 80 / (79 * 0.06) == pytest.approx(results["cuda"]["photos/s without start-up"])
    assert any(line.startswith("| cuda | 80 | 10 | 17 | 3.00 s | 500 MB |") for line in lines)


def test_efficiency_is_that_of_one_worker(benchmark: gpu.Benchmark) -> None:
    """Twice the photos on twice the cores in 1.2 times the time are 0.83; more workers than cores are left out."""
    results, _ = benchmark.workers()
    assert ["1", "2"] == list(results)
    assert 1 == results["1"]["efficiency"]
    assert 1 / 1.2 == pytest.approx(results["2"]["efficiency"], abs=0.02)


def test_the_slower_part_bounds_a_run() -> None:
    """It is named with its speed; without all parts the sentence is left out."""
    results = {
        "loading": {"photos/s": 2000.0},
        "networks": {"both networks, as in a run": 8000.0},
        "run": {"cuda": {"photos/s without start-up": 1800.0}},
    }
    (sentence,) = gpu.bound(results, "cuda")
    assert "the run, at 1,800, does 0.90 of the lower one: loading photos." in sentence
    assert [] == list(gpu.bound({"loading": {}}, "cuda"))
