"""The benchmarks of photos in a bucket: costs, a billion on paper, listing, merging shards, and parts of JPEGs."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, draw_photo, write_photos

from benchmarks.speed import billion, cloud, partial_jpeg, photo_sets
from benchmarks.speed.cloud import Timing, cost
from benchmarks.speed.photo_sets import PhotoSet
from benchmarks.speed.s3_server import serving

ROW: dict[str, Any] = {
    "model": "catalog",
    "cores": 2,
    "latency_ms": 5,
    "n": 100,
    "bucket": 100.0,
    "requests": {"get": 100, "head": 0, "list": 1, "put": 0},
    "bytes_per_photo": 200_000.0,
}

LISTED = {"keys": 1_000_000, "alone_seconds": 36.0, "microseconds_per_key": 72.0, "ledger_bytes": 300_000_000}


def test_costs_are_those_of_the_formulas() -> None:
    """A million photos at 50 per second and core are 5.56 core hours, a million GET, and a thousand LIST."""
    of = cost(ROW, 1_000_000, on_demand=0.1, spot=0.01)
    assert of.core_hours == pytest.approx(1_000_000 / 50 / 3600)
    assert of.requests == pytest.approx(0.4 + 0.005)
    assert (of.on_demand, of.spot) == pytest.approx((0.405 + 0.5556, 0.405 + 0.0556), abs=1e-3)


def test_a_billion_is_computed_from_the_measured_rows() -> None:
    """The row at 5 ms with the most cores counts; machines are whole ones; dollars are those of hours and requests."""
    others = [ROW | {"latency_ms": 50, "bucket": 1.0}, ROW | {"cores": 1, "bucket": 1.0}]
    measured = {"rows": [others[0], ROW, others[1]], "on_demand": 0.05, "spot": 0.02}
    rows = billion.billion_rows(measured, {"rows": [LISTED]}, vcpus=16, hours=24, efficiency=0.8)
    last = dict(zip(billion.TITLES, rows[-1], strict=True))
    hours = 1e9 / (50 * 0.8) / 3600
    assert (last["photos"], last["core hours"], last["machines"]) == ("1,000,000,000", f"{hours:,.0f}", "19")
    assert last["requests, $"] == "405.00"
    assert last["on demand, $"] == f"{hours * 0.05 + 405:,.2f}"
    assert last["Gbit/s per machine"] == f"{16 * 40 * 200_000 * 8 / 1e9:.1f}"
    assert (last["ledgers, GB"], last["listing by one process, hours"], last["unchanged night, core hours"]) == (
        *("300.0", "10.00"),
        "20.00",
    )


def test_a_report_that_counts_other_requests_ends_it() -> None:
    """Requests of the report are held against those that the server has counted."""
    cloud.check_report({"requests": {"get": 3, "list": 1}}, {"get": 3, "list": 1, "sent_bytes": 9})
    with pytest.raises(SystemExit, match="the server"):
        cloud.check_report({"requests": {"get": 2, "list": 1}}, {"get": 3, "list": 1})


def test_runs_take_turns_and_start_up_is_taken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local and bucket are timed in turn with one photo each, and the ratio is that of the time beyond."""
    write_photos(tmp_path / "all", 3)
    calls = []

    def time_source(source: str, model: str, cores: object, server: Any = None) -> Timing:
        one = source.endswith((".png", ".jpg", "one/"))
        calls.append(("bucket" if server else "local", "one" if one else "whole"))
        seconds = (3.0 if one else 7.0) if server else (1.0 if one else 3.0)
        return Timing(seconds, seconds, 0.3, {"get": 3, "list": 1, "sent_bytes": 600} if server else {})

    monkeypatch.setattr(cloud, "time_source", time_source)
    with serving(tmp_path) as server:
        (row,) = cloud.measure_model(tmp_path, server, 3, "catalog", [0], [0], 2)
    turn = [("local", "whole"), ("local", "one"), ("bucket", "whole"), ("bucket", "one")]
    assert calls == [("local", "one"), *turn, *turn]
    assert (row["local"], row["bucket"], row["ratio"], row["bytes_per_photo"]) == (1.0, 0.5, 0.5, 200)
    assert len(cloud.speed_cells(row)) == len(cloud.SPEED_TITLES)
    assert len(cloud.cost_cells(row, 1, 1)) == len(cloud.COST_TITLES)


def photo_bytes(**options: Any) -> bytes:
    """Return a JPEG of noise on a photo."""
    stream = io.BytesIO()
    draw_photo(0).resize((400, 300)).save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


def test_scans_are_found_and_the_needed_ones_counted() -> None:
    """A baseline JPEG has one scan and needs all of it; a progressive one needs less at 1/8, as only means count there."""
    baseline, progressive = photo_bytes(), photo_bytes(progressive=True)
    assert partial_jpeg.scan_ends(baseline) == [len(baseline) - 2]
    assert len(partial_jpeg.scan_ends(progressive)) > 5
    assert partial_jpeg.needed_share(baseline, 4).same == 1
    eighth = partial_jpeg.needed_share(partial_jpeg.to_progressive(baseline), 8)
    assert eighth.same < partial_jpeg.needed_share(progressive, 4).same <= 1
    with pytest.raises(ValueError, match="not a JPEG"):
        partial_jpeg.scan_ends(b"x" * 99)


def test_parts_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has a row per set and kind, and one per latency, with both ways of fetching."""
    sets = {"1600-jpg": PhotoSet(160, "jpg", 2), "4000-jpg": PhotoSet(400, "jpg", 2)}
    monkeypatch.setattr(photo_sets, "SETS", sets)
    monkeypatch.setattr(photo_sets, "choose_quality", lambda files: 85)
    photo_sets.make_sets(write_photos(tmp_path / "photos", 2), tmp_path / "sets")
    options = ["--sets", tmp_path / "sets", "--out", tmp_path, "--runs", "1", "--latencies", "0", "2"]
    monkeypatch.setattr(sys, "argv", ["partial_jpeg", *map(str, options)])
    partial_jpeg.main()
    found = json.loads((tmp_path / "speed_partial_jpeg.json").read_text())
    assert [(row["set"], row["kind"]) for row in found["shares"]][:2] == [("1600-jpg", "baseline"), ("1600-jpg", "progressive")]
    waiting = [row for row in found["fetches"] if row["latency_ms"] == 2]
    assert all(row["two_ms"] > row["whole_ms"] > 2 for row in waiting)
    assert np.isfinite([row["same"] for row in found["shares"]]).all()


@pytest.mark.slow
def test_a_listed_bucket_is_a_night_without_changes(tmp_path: Path) -> None:
    """A run over objects that are all in the ledger lists by pages, reads none of them, and its costs are reported."""
    command = [sys.executable, "-m", "benchmarks.speed.listing", "--keys", "1100", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (row,) = json.loads((tmp_path / "speed_listing.json").read_text())["rows"]
    assert (row["keys"], row["list_requests"]) == (1100, 2)
    assert row["memory_mb"] > 10
    assert row["seconds"] > row["list_seconds"] > 0


@pytest.mark.slow
def test_merged_shards_are_all_photos(tmp_path: Path) -> None:
    """The shards of a bucket are merged twice without reading a photo, and what that costs is reported."""
    command = [sys.executable, "-m", "benchmarks.speed.merge", "--photos", "600", "--shards", "3", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (row,) = json.loads((tmp_path / "speed_merge.json").read_text())["rows"]
    assert (row["photos"], row["shards"]) == (600, 3)
    assert min(row["seconds"], row["again_seconds"]) > 0
    assert row["memory_mb"] > 10
