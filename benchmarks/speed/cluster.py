"""Measure `fmtag run --engine ray`: beside a local run, by the number of nodes, and where the process of the run is the limit.

    python -m benchmarks.speed.cluster PHOTOS [--photos 20000] [--runs 3] [--parts local,nodes,driver,manifest]

- `local`: a run over so many photos of a folder (JPEG, repeated with a number in a comment where there are fewer), by this
  machine's processes and by Ray on this machine, in turn; seconds beyond start-up, which is that of a run over 16 photos.
- `nodes`: 1, 2 and 4 nodes of a cluster on this machine, with 4 actors each that sleep 20 ms per photo in place of work.
- `driver`: actors that return ready results at once: photos per second that the run can take, and with them in its ledger.
- `manifest`: time, bytes and memory of the manifest of so many photos.
"""

import hashlib
import io
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import pyarrow as pa
import ray

from benchmarks.reporting import RESULTS, table
from benchmarks.speed.measuring import FMTAG, alternate, beyond_start_up, ratio_cell, timed, write_report
from tagger.cluster import ray_tasks
from tagger.cluster.actor import ActorSettings
from tagger.cluster.engine import ray_engine
from tagger.cluster.manifest import read_items, write_manifest
from tagger.cluster.results import results_table
from tagger.models import card
from tagger.photos.loader import ScoredPhoto
from tagger.photos.settings import DEFAULT_DECODING
from tagger.records import Content, Item, ProductImage, Result
from tagger.run.engine import EngineWork
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings
from tagger.settings import DEFAULT_MODEL

PARTS = ("local", "nodes", "driver", "manifest")

FEW = 16
"""Photos of the runs that start-up is measured by."""

NODES, ACTORS, SLEEP = (1, 2, 4), 4, 0.02


class SleepingActor:
    """Returns a ready result for each photo after the seconds that FMTAG_SLEEP says; pickled by value, as this is a script."""

    def __init__(self, settings: ActorSettings, bundle: Any) -> None:
        self._sleep = float(settings.folder.rpartition("#")[2])
        self._labels = len(json.loads(ray.get(bundle)["card.json"])["labels"])

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return results of a size as real ones have."""
        numbers = [number for number, _ in read_items(rows)]
        time.sleep(self._sleep * len(numbers))
        return results_table(numbers, map(self._photo, numbers))

    def _photo(self, number: int) -> ScoredPhoto:
        sha256 = hashlib.sha256(str(number).encode()).digest()
        result = Result(None, np.full(self._labels, 1 / self._labels, np.float32), False, sha256 * 8)
        return ScoredPhoto(
            Item("", None), ProductImage(np.zeros((0, 0), np.uint8), True), Content(sha256, 1000, 1), result=result
        )


def many_photos(source: Path, folder: Path, count: int) -> Path:
    """Write so many different JPEGs, those of a folder in turn with a number in a comment, and return their folder."""
    folder.mkdir()
    photos = itertools.cycle([file.read_bytes() for file in sorted(source.rglob("*.jpg"))])
    for number, photo in zip(range(count), photos, strict=False):
        comment = b"\xff\xfe\x00\x06" + number.to_bytes(4, "big")
        (folder / f"{number:07d}.jpg").write_bytes(photo[:2] + comment + photo[2:])
    return folder


def time_engine(photos: Path, engine: str, model: str) -> float:
    """Return the wall seconds of a first run, as a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "tags.csv")
        return timed([*FMTAG, "run", str(photos), "--out", out, "--model", model, "--quiet", "--engine", engine])[0]


def measure_local(source: Path, photos: int, runs: int, model: str) -> tuple[list[str], dict[str, Any]]:
    """Measure runs by both engines, and return the lines and values of the report."""
    with tempfile.TemporaryDirectory() as name:
        many, few = many_photos(source, Path(name) / "many", photos), many_photos(source, Path(name) / "few", FEW)
        measures = {
            f"{engine} {label}": (lambda engine=engine, folder=folder: time_engine(folder, engine, model))
            for label, folder in (("few", few), ("many", many))
            for engine in ("local", "ray")
        }
        seconds = alternate(measures, runs)
    beyond = {engine: beyond_start_up(seconds[f"{engine} many"], seconds[f"{engine} few"]) for engine in ("local", "ray")}
    rows = [
        (
            engine,
            f"{median(seconds[f'{engine} few']):.1f}",
            f"{median(beyond[engine]):.1f}",
            f"{photos / median(beyond[engine]):.0f}",
            ratio_cell(beyond["local"], beyond[engine]),
        )
        for engine in ("local", "ray")
    ]
    titles = ("engine", "start-up, s", f"{photos:,} photos beyond it, s", "photos per second", "of local")
    return [f"**One machine, {model}**", "", *table(titles, rows)], {"local": seconds}


def work_of(count: int, sleep: float) -> EngineWork:
    """Return work on photos that are not there, for actors that do not read them."""
    items = (Item(str(number), f"/{number}") for number in range(count))
    return EngineWork(items, count, card.read(DEFAULT_MODEL), DEFAULT_DECODING, "cpu")


def rate(address: str | None, count: int, skipped: int) -> float:
    """Return the results per second of an engine, from the first `skipped` on."""
    with closing(ray_engine(address)(work_of(count, 0))) as results:
        for _ in itertools.islice(results, skipped):
            pass
        started = time.perf_counter()
        rest = sum(1 for _ in results)
    return rest / (time.perf_counter() - started)


def measure_nodes(photos: int) -> tuple[list[str], dict[str, Any]]:
    """Measure clusters of several nodes with actors that sleep."""
    values = {nodes: float(_child("nodes", str(nodes), str(photos * nodes))) for nodes in NODES}
    ideal = ACTORS / SLEEP
    rows = [(f"{nodes}", f"{found:.0f}", f"{found / (nodes * ideal):.2f}") for nodes, found in values.items()]
    titles = ("nodes", "photos per second", f"of {ideal:.0f} per node")
    lines = [f"**Nodes, {ACTORS} actors each that sleep {SLEEP * 1000:.0f} ms per photo**", "", *table(titles, rows)]
    return lines, {"nodes": values}


def measure_driver(photos: int) -> tuple[list[str], dict[str, Any]]:
    """Measure how many ready results the run takes per second, without its ledger and with it."""
    values = {kind: float(_child(kind, str(photos))) for kind in ("driver", "ledger")}
    rows = [("results of actors", f"{values['driver']:.0f}"), ("and recorded in the ledger", f"{values['ledger']:.0f}")]
    return ["**The process of the run**", "", *table(("ready results", "photos per second"), rows)], {"driver": values}


def measure_manifest(rows: int) -> tuple[list[str], dict[str, Any]]:
    """Measure the manifest of so many photos."""
    found = json.loads(_child("manifest", str(rows)))
    cells = (f"{rows:,}", f"{found['seconds']:.0f}", f"{found['bytes'] / 1e6:.0f}", f"{found['memory'] / 1e6:.0f}")
    lines = ["**The manifest**", "", *table(("photos", "seconds", "MB on disk", "MB of memory over that of 1,000"), [cells])]
    return lines, {"manifest": found}


def _child(*words: str) -> str:
    """Return what a process of its own prints for a measurement."""
    line = [sys.executable, "-m", "benchmarks.speed.cluster", "--child", *words]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[-1]


def child(kind: str, *numbers: str) -> Any:
    """Do one measurement and return its value."""
    first, *more = map(int, numbers)
    if kind == "manifest":
        return json.dumps(_manifest(first))
    os.chdir("/")
    ray_tasks.RayActor = SleepingActor  # type: ignore[misc, assignment]
    if kind == "driver":
        _sleep(0)
        return rate(None, first, first // 10)
    if kind == "ledger":
        _sleep(0)
        return _ledger_rate(first)
    from ray.cluster_utils import Cluster

    _sleep(SLEEP)
    head = {"num_cpus": 0, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(first):
        cluster.add_node(num_cpus=ACTORS, object_store_memory=100_000_000)
    try:
        return rate(cluster.address, more[0], more[0] // 4)
    finally:
        cluster.shutdown()


def _sleep(seconds: float) -> None:
    """Tell the actors how long to sleep per photo, by the one text of their settings that has no meaning to them."""
    from tagger.cluster import engine

    engine.ActorSettings = lambda version, folder, *more: ActorSettings(version, f"#{seconds}", *more)  # type: ignore[assignment, misc]


def _ledger_rate(count: int) -> float:
    """Return the photos per second of the whole run over paths that are not there, from its first batch on."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        from tagger.run.pipeline import RunCallbacks

        paths = io.BytesIO(b"".join(b"/none/%d.jpg\n" % number for number in range(count)))
        settings = RunSettings("-", str(Path(folder) / "tags.csv"), allow_vanished=True)
        run(
            settings, paths, RunCallbacks(scored=lambda done, total: times.append(time.perf_counter())), engine=ray_engine(None)
        )
    return (len(times) - 1) * settings.batch_size / (times[-1] - times[0])


def _manifest(rows: int) -> dict[str, float]:
    def items(count: int) -> Iterator[Item]:
        return (Item(f"shop/{number % 1000:03d}/{number:09d}.jpg", f"/mnt/photos/{number:09d}.jpg") for number in range(count))

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    with tempfile.TemporaryDirectory() as folder:
        write_manifest(items(1000), Path(folder))
        before, started = peak(), time.perf_counter()
        size = sum(file.stat().st_size for file in write_manifest(items(rows), Path(folder)))
    return {"seconds": time.perf_counter() - started, "bytes": size, "memory": peak() - before}


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--photos", default=20_000, show_default=True, help="Photos of the runs.")
@click.option("--runs", default=3, show_default=True, help="Runs of each engine.")
@click.option("--rows", default=10_000_000, show_default=True, help="Photos of the manifest.")
@click.option("--ready", default=100_000, show_default=True, help="Ready results.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
@click.option("--parts", default=",".join(PARTS), show_default=True, help="What to measure.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the report and its JSON.")
def main(source: Path | None, photos: int, runs: int, rows: int, ready: int, model: str, parts: str, out: Path) -> None:
    """Measure the parts and write the report."""
    lines: list[str] = []
    values: dict[str, Any] = {}
    for part in parts.split(","):
        if part == "local":
            if source is None:
                raise click.UsageError("the part `local` needs a folder of photos")
            found = measure_local(source, photos, runs, model)
        elif part == "nodes":
            found = measure_nodes(8_000)
        else:
            found = measure_driver(ready) if part == "driver" else measure_manifest(rows)
        lines += found[0]
        values |= found[1]
    write_report(out, "speed_cluster", "Runs on a Ray cluster", runs, lines, values)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(child(*sys.argv[2:]))
    else:
        main()
