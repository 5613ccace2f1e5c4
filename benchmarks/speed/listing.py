"""Measure what listing a bucket costs: an unchanged second night over N objects, compared with one over a single object.

    python -m benchmarks.speed.listing [--keys 100000 --keys 1000000] [--latency-ms 0] [--runs 1] [--out FOLDER]

The objects are those of `s3_server --synthetic`, on this machine; this script fills the ledger as a run that scored them all
would, so that a run lists the bucket into it, finds nothing to read and writes all rows. Memory is the peak of all processes of
a further run, which is looked at every 20 ms. Processor seconds of the server are not part of those of the run.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.reporting import RESULTS, table
from benchmarks.speed.measuring import FMTAG, Value, peak_memory, write_report
from benchmarks.speed.nightly import fill, night
from benchmarks.speed.s3_server import serving
from benchmarks.speed.service_process import processor_seconds
from tagger.settings import DEFAULT_MODEL
from tagger.storage.objects import list_objects
from tagger.storage.traffic import Traffic

TITLES = (
    *(
        "objects",
        "latency, ms",
        "LIST requests",
        "start-up, s",
        "whole run, s",
        "listing alone, s",
        "listing into the ledger, s",
        "rows, s",
        "a key, µs",
    ),
    *("CPU, s", "server CPU, s", "memory, MB", "ledger, MB"),
)


def fill_ledger(place: Path, url: str, model: str) -> float:
    """Write a ledger in which all objects of a bucket have been scored and published; return the seconds of listing alone."""
    started = time.perf_counter()
    listed = [*list_objects(url, Traffic())]
    seconds = time.perf_counter() - started
    paths = [found.key for found in listed]
    fill(place, paths, len(paths), model, 0, lambda number: (listed[number].size, listed[number].state))
    return seconds


def in_process(function: Callable[..., Value], *values: Any) -> Value:
    """Call a function in a process of its own: a process has one client of S3, which keeps the first server's address."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def measure(count: int, latency_ms: float, runs: int, model: str) -> dict[str, Any]:
    """Return what a night over `count` objects takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start, nights = [], []
        with serving(synthetic=count, latency_ms=latency_ms) as server:
            os.environ.update(server.environment)
            server.put("one/1.jpg", b"1")
            in_process(fill_ledger, folder / "one.ledger", f"{server.url}/one/", model)
            for _ in range(max(3, runs)):
                seconds, _, _ = night(f"{server.url}/one/", folder / "one.ledger", folder / "one.csv", model)
                start.append(seconds)
            server.delete("one/1.jpg")
            alone = in_process(fill_ledger, folder / "tags.ledger", f"{server.url}/", model)
            places = (folder / "tags.ledger", folder / "tags.csv")
            for _ in range(runs):
                server.reset()
                before = processor_seconds(server.process.pid)
                seconds, _, report = night(f"{server.url}/", *places, model)
                spent = processor_seconds(server.process.pid) - before
                if report["counts"]["looked_at"] or report["counts"]["changes"] or report["counts"]["photos"] != count:
                    raise SystemExit(f"the night was not without changes: {report['counts']}")
                nights.append((seconds, report, spent, server.requests()["list"]))
            command = [*FMTAG, "run", f"{server.url}/", "--out", str(places[1]), "--ledger", str(places[0])]
            memory = peak_memory([*command, "--model", model, "--quiet"])
        stages = nights[-1][1]["seconds_by_stage"]
        whole = median(night[0] for night in nights)
        return {
            "keys": count,
            "latency_ms": latency_ms,
            "list_requests": nights[-1][3],
            "start_up": median(start),
            "seconds": whole,
            "alone_seconds": alone,
            "list_seconds": stages["list"],
            "publish_seconds": stages["publish"],
            "microseconds_per_key": (whole - median(start)) / count * 1e6,
            "processor": median(night[1]["processor"] for night in nights),
            "server_processor": median(night[2] for night in nights),
            "memory_mb": memory.resident,
            "ledger_bytes": (folder / "tags.ledger").stat().st_size,
        }


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row of the table."""
    return [
        *(f"{row['keys']:,}", f"{row['latency_ms']:g}", f"{row['list_requests']:,}", f"{row['start_up']:.2f}"),
        *(
            f"{row['seconds']:.1f}",
            f"{row['alone_seconds']:.1f}",
            f"{row['list_seconds']:.1f}",
            f"{row['publish_seconds']:.1f}",
        ),
        *(f"{row['microseconds_per_key']:.0f}", f"{row['processor']:.1f}", f"{row['server_processor']:.1f}"),
        *(f"{row['memory_mb']:,.0f}", f"{row['ledger_bytes'] / 1e6:,.0f}"),
    ]


@click.command()
@click.option("--keys", multiple=True, type=int, default=(100_000, 1_000_000), show_default=True, help="Numbers of objects.")
@click.option("--latency-ms", multiple=True, type=float, default=(0.0,), show_default=True, help="Of each request.")
@click.option("--runs", default=1, show_default=True, help="Runs of which the median is taken.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the report and its JSON.")
def main(keys: tuple[int, ...], latency_ms: tuple[float, ...], runs: int, model: str, out: Path) -> None:
    """Measure and write the report."""
    rows = [measure(count, latency, runs, model) for count in keys for latency in latency_ms]
    write_report(out, "speed_listing", "Listing a bucket", runs, table(TITLES, map(cells, rows)), {"rows": rows})


if __name__ == "__main__":
    main()
