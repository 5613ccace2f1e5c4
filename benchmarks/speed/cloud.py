"""Measure what photos in a bucket cost compared with local files, by latency and by cores, and the dollars of a million.

    python -m benchmarks.speed.cloud --sets SETS [--runs 3] [--latencies 0 5 50] [--cores 1 2] [--models catalog catalog-small]

`fmtag run` over a folder of photos of 1600 pixels and over the same photos in a bucket take turns, as whole processes confined
to the first cores, each with one on one photo, whose time is taken off as start-up; ratios are taken pair by pair. The bucket
is `s3_server` on this machine, which takes processor time that a bucket does not: *server* is its milliseconds per photo, and
is part of the ratios. Requests and bytes per photo are those that the server has counted; a run whose `--report` counts other
requests ends the benchmark. Dollars are those of `PRICES` and of an hour of a core.
"""

import argparse
import ctypes
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.reporting import table
from benchmarks.speed.measuring import (
    FMTAG,
    ROOT,
    alternate,
    arguments,
    beyond_start_up,
    median_ratio,
    ratio_cell,
    write_report,
)
from benchmarks.speed.photo_sets import first_photo, opened_set
from benchmarks.speed.s3_server import Server, serving
from benchmarks.speed.service_process import processor_seconds

PRICES = {
    # Amazon S3 Standard, us-east-1, price list as of 2025: LIST, PUT and POST 0.005, GET and HEAD 0.0004 dollars per 1,000.
    "list": 0.005 / 1000,
    "put": 0.005 / 1000,
    "get": 0.0004 / 1000,
    "head": 0.0004 / 1000,
    # Between S3 and machines of the same region no byte is charged (FAQ on Amazon S3).
    "byte": 0.0,
}
"""Dollars per request, and per byte that is fetched within the region."""

ON_DEMAND, SPOT = 0.0425, 0.0213
"""Dollars per hour of a virtual processor: 0.34 on demand and 0.17 as a spot machine for the eight of a c5.2xlarge in
us-east-1, of the example in the documentation of EC2 Auto Scaling on weights; spot prices change all the time."""

KEYS_PER_LIST = 1000

PR_SET_CHILD_SUBREAPER = 36
"""Of Linux's `prctl`."""


class Timing(NamedTuple):
    """A whole run."""

    seconds: float
    processor: float
    """Seconds of all its processes."""
    server: float
    """Processor seconds of the server meanwhile."""
    requests: Mapping[str, int]
    """That the server has counted, with `sent_bytes`."""


def time_source(source: str, model: str, cores: Sequence[int], server: Server | None = None) -> Timing:
    """Run `fmtag run` once over a folder or a bucket, without results of earlier runs."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as messages:
        report = Path(folder) / "report.json"
        command = [*FMTAG, "run", source, "--out", str(Path(folder) / "tags.csv"), "--model", model]
        command += ["--report", str(report), "--quiet"]
        before, others = _of_server(server), _children()
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            cwd=ROOT,
            env=os.environ | (server.environment if server else {}),
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        spent = used.ru_utime + used.ru_stime + _of_orphans(others)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise SystemExit(f"the run over {source} ended with {process.returncode}:\n{messages.read().decode()}")
        requests = server.requests() if server else {}
        if server:
            check_report(json.loads(report.read_text(encoding="utf-8")), requests)
        return Timing(seconds, spent, _of_server(server) - before, requests)


def adopt_orphans() -> None:
    """Make processes that outlive their parent children of this one, so that the time of all that a run starts is known.

    The process that workers are forked from, where a run has threads, is not waited for by the run.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def _of_orphans(others: set[int]) -> float:
    """Wait for what a run has left behind, besides other children of this process, and return its processor seconds."""
    spent = 0.0
    while left := _children() - others:
        for pid in left:
            _, _, used = os.wait4(pid, 0)
            spent += used.ru_utime + used.ru_stime
    return spent


def _of_server(server: Server | None) -> float:
    """Return the processor seconds of a server so far."""
    return processor_seconds(server.process.pid) if server else 0.0


def check_report(report: Mapping[str, Any], requests: Mapping[str, int]) -> None:
    """Raise `SystemExit` where a report of a run counts other requests than the server."""
    counted = report["requests"]
    differing = {kind for kind in ("list", "head", "get") if counted.get(kind, 0) != requests.get(kind, 0)}
    if differing:
        raise SystemExit(f"the report counts {counted}, the server {dict(requests)}")


def measure_model(
    folder: Path, server: Server, count: int, model: str, cores: Sequence[int], latencies: Sequence[float], runs: int
) -> list[dict[str, Any]]:
    """Return a row per latency: runs over a folder of `count` photos and over the bucket with the same ones, in turn."""
    one = str(first_photo(folder))

    def remote(latency: float, prefix: str) -> Timing:
        server.latency(latency)
        server.reset()
        return time_source(f"{server.url}/{prefix}/", model, cores, server)

    measures = {
        ("local", "whole"): lambda: time_source(str(folder), model, cores),
        ("local", "one"): lambda: time_source(one, model, cores),
    }
    for latency in latencies:
        measures[latency, "whole"] = lambda milliseconds=latency: remote(milliseconds, "all")
        measures[latency, "one"] = lambda milliseconds=latency: remote(milliseconds, "one")
    measures["local", "one"]()  # fills the file cache
    timings = alternate(measures, runs)
    local = _beyond(timings["local", "whole"], timings["local", "one"])
    rows = []
    for latency in latencies:
        whole, start = timings[latency, "whole"], timings[latency, "one"]
        work = _beyond(whole, start)
        requests = whole[-1].requests
        rows.append(
            {
                "model": model,
                "cores": len(cores),
                "latency_ms": latency,
                "n": count,
                "local": (count - 1) / median(local),
                "bucket": (count - 1) / median(work),
                "ratio": median_ratio(local, work),
                "ratio_cell": ratio_cell(local, work),
                "start_up_local": median(timing.seconds for timing in timings["local", "one"]),
                "start_up": median(timing.seconds for timing in start),
                "processor_ms_local": _processor(timings["local", "whole"], timings["local", "one"], count),
                "processor_ms": _processor(whole, start, count),
                "server_ms": median(timing.server for timing in whole) * 1000 / count,
                "requests": {kind: requests.get(kind, 0) for kind in ("list", "head", "get", "put")},
                "bytes_per_photo": requests.get("sent_bytes", 0) / count,
                "seconds": {
                    "local": [timing.seconds for timing in timings["local", "whole"]],
                    "local_one": [timing.seconds for timing in timings["local", "one"]],
                    "bucket": [timing.seconds for timing in whole],
                    "bucket_one": [timing.seconds for timing in start],
                },
            }
        )
    return rows


def _beyond(whole: Sequence[Timing], one: Sequence[Timing]) -> list[float]:
    return beyond_start_up([run.seconds for run in whole], [run.seconds for run in one])


def _processor(whole: Sequence[Timing], one: Sequence[Timing], count: int) -> float:
    """Return the processor milliseconds per photo without start-up."""
    spent = [run.processor - start.processor for run, start in zip(whole, one, strict=True)]
    return median(spent) * 1000 / (count - 1)


class Cost(NamedTuple):
    """Dollars of photos in a bucket."""

    core_hours: float
    requests: float
    on_demand: float
    """In all, on machines on demand."""
    spot: float


def cost(row: Mapping[str, Any], photos: float, on_demand: float = ON_DEMAND, spot: float = SPOT) -> Cost:
    """Return what a first run over so many photos costs at the speed of a row.

    core hours = photos / (photos per second / cores) / 3,600; requests = photos * (GET + HEAD per photo) + photos / 1,000
    * LIST, each at its price.
    """
    core_hours = photos * row["cores"] / row["bucket"] / 3600
    per_photo = {kind: row["requests"].get(kind, 0) / row["n"] for kind in ("get", "head")}
    requests = sum(photos * share * PRICES[kind] for kind, share in per_photo.items())
    requests += math.ceil(photos / KEYS_PER_LIST) * PRICES["list"] + photos * row["bytes_per_photo"] * PRICES["byte"]
    return Cost(core_hours, requests, core_hours * on_demand + requests, core_hours * spot + requests)


def speed_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a row in the table of speed."""
    return [
        *(row["model"], str(row["cores"]), f"{row['latency_ms']:g}", f"{row['n']:,}"),
        *(f"{row['local']:,.0f}", f"{row['bucket']:,.0f}", row["ratio_cell"]),
        *(f"{row['start_up_local']:.2f}", f"{row['start_up']:.2f}"),
        *(f"{row['processor_ms_local']:.1f}", f"{row['processor_ms']:.1f}", f"{row['server_ms']:.2f}"),
    ]


def cost_cells(row: Mapping[str, Any], on_demand: float, spot: float) -> list[str]:
    """Return the cells of a row in the table of costs per million photos."""
    of = cost(row, 1_000_000, on_demand, spot)
    requests = row["requests"]
    return [
        *(row["model"], str(row["cores"]), f"{row['latency_ms']:g}"),
        *(f"{requests['get'] / row['n']:.3f}", f"{requests['head'] / row['n']:.3f}", f"{requests['list']:,}"),
        *(f"{row['bytes_per_photo'] / 1000:,.0f}", f"{of.core_hours:.1f}", f"{of.requests:.2f}"),
        *(f"{of.on_demand:.2f}", f"{of.spot:.2f}"),
    ]


SPEED_TITLES = (
    *("bundle", "cores", "latency, ms", "n", "local, photos/s", "bucket, photos/s", "bucket over local (range)"),
    *("start-up local, s", "start-up bucket, s", "CPU local, ms/photo", "CPU bucket, ms/photo", "server, ms/photo"),
)

COST_TITLES = (
    *("bundle", "cores", "latency, ms", "GET per photo", "HEAD per photo", "LIST in all", "kB per photo"),
    *("core hours per million", "requests, $ per million", "on demand, $ per million", "spot, $ per million"),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    found = arguments(__doc__)
    available = len(os.sched_getaffinity(0))
    found.add_argument("--latencies", type=float, nargs="+", default=[0, 5, 50], help="of a request, in milliseconds")
    found.add_argument("--cores", type=int, nargs="+", default=sorted({1, min(2, available)}), help="numbers of cores")
    found.add_argument("--models", nargs="+", default=["catalog", "catalog-small"], help="bundles")
    found.add_argument("--on-demand", type=float, default=ON_DEMAND, help="dollars per hour of a core on demand")
    found.add_argument("--spot", type=float, default=SPOT, help="dollars per hour of a core of a spot machine")
    return found


def main() -> None:
    """Measure all and write the report."""
    options = parser().parse_args()
    available = sorted(os.sched_getaffinity(0))
    if max(options.cores) > len(available):
        raise SystemExit(f"this process may use {len(available)} cores")
    adopt_orphans()
    rows = []
    with opened_set(options.sets, "1600-jpg", options.limit) as (folder, count), serving(folder) as server:
        server.put("one/00000.jpg", first_photo(folder).read_bytes())
        for model in options.models:
            for cores in options.cores:
                rows += measure_model(folder, server, count, model, available[:cores], options.latencies, options.runs)
    prices = (options.on_demand, options.spot)
    lines = table(SPEED_TITLES, map(speed_cells, rows))
    lines += table(COST_TITLES, [cost_cells(row, *prices) for row in rows])
    values = {"rows": rows, "prices": PRICES, "on_demand": prices[0], "spot": prices[1]}
    write_report(options.out, "speed_cloud", "Photos in a bucket", options.runs, lines, values)


if __name__ == "__main__":
    main()
