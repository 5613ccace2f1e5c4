"""Measure the cost of a run without changes: `fmtag run` over N files that the ledger knows, compared with one such file.

    python -m benchmarks.speed.nightly [--files 10000 --files 100000] [--rows 1000000] [--runs 3] [--embedding 300]

The files are real, in folders of a thousand; this script fills the ledger as a run that scored them would, up to `--rows`
items, those beyond the files being ones that were removed long ago, each with an embedding of `--embedding` bytes. Prints a
table of seconds and memory of the whole process, medians of the runs, and the seconds beyond start-up also as processor time,
which a busy machine changes less; each run reports that it looked at no file and changed nothing.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from tagger.catalog.rows import tag_cells
from tagger.inference import decision
from tagger.models import card
from tagger.photos.product import VERSION
from tagger.run import ledger
from tagger.settings import DEFAULT_MODEL

LONG_AGO = 1_700_000_000
A_FOLDER = 1_000


def make_files(folder: Path, count: int) -> list[str]:
    """Write `count` small files, each with different bytes, and return their paths within the folder."""
    paths = []
    for number in range(count):
        path = f"{number // A_FOLDER:04d}/{number:07d}.jpg"
        if number % A_FOLDER == 0:
            (folder / path).parent.mkdir(parents=True)
        with open(folder / path, "wb") as file:  # noqa: PTH123 (twice as fast, a million times)
            file.write(b"%d" % number)
        os.utime(folder / path, (LONG_AGO, LONG_AGO))
        paths.append(path)
    return paths


def local_file(number: int) -> tuple[int, int]:
    """Return size and modification time in nanoseconds of a file of `make_files`."""
    return len(b"%d" % number), LONG_AGO * 10**9


def fill(
    place: Path,
    paths: Sequence[str],
    rows: int,
    model: str,
    embedding: int = 0,
    file_of: Callable[[int], tuple[int, int]] = local_file,
) -> None:
    """Write a ledger in which each path has been scored and published, and further ones have been removed since.

    Each has bytes of its own. `file_of` returns size and time, or state, of the file or object of each number.
    """
    signed = card.read(model)
    labels = signed.card.labels
    key = ledger.RunKey(
        source="there",
        out="tags.csv",
        version="0",
        model=signed.model,
        fingerprint=f"{signed.fingerprint}+g{VERSION}",
        labels=labels,
        min_confidence=signed.card.min_confidence,
        eyes=f"{signed.eyes}+g{VERSION}" if signed.eyes else "",
    )
    with ledger.open_ledger(place) as memory:
        run = memory.begin(key)
        with memory.publishing(lambda results: []):
            pass
    probabilities = np.random.default_rng(0).dirichlet(np.full(len(labels), 0.2), rows).astype("<f4")

    def path_of(number: int) -> str:
        return paths[number] if number < len(paths) else f"gone/{number:07d}.jpg"

    def contents() -> Iterator[tuple[object, ...]]:
        for number in range(rows):
            content = hashlib.sha256(path_of(number).encode()).digest()
            yield (number + 1, content, 1, run, 0, probabilities[number].tobytes())

    def items() -> Iterator[tuple[object, ...]]:
        for number in range(rows):
            row: tuple[object, ...] = (None,) * 8
            if number < len(paths):
                tag = decision.decide_tags(probabilities[number], labels, signed.card.groups, signed.card.min_confidence)
                row = (1, run, *tag_cells(tag))
            yield (number + 1, path_of(number), *file_of(number), number + 1, 0, run, *row)

    with closing(sqlite3.connect(place)) as sql, sql:
        sql.executemany(
            "INSERT INTO contents (id, sha256, model, run, truncated, probabilities) VALUES (?, ?, ?, ?, ?, ?)", contents()
        )
        if embedding:
            embeddings = ((number + 1, 1, run, bytes(embedding)) for number in range(rows))
            sql.executemany("INSERT INTO embeddings VALUES (?, ?, ?, ?)", embeddings)
        sql.executemany(
            "INSERT INTO items (id, key, size, mtime_ns, content, tries, run, decision, published,"
            " tag, confidence, low_confidence, reason, group_, group_confidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            items(),
        )


def night(source: str | Path, place: Path, out: Path, model: str | Path, *options: str) -> tuple[float, float, dict[str, Any]]:
    """Return seconds, megabytes and the report of one run in a process of its own, with its `processor` seconds."""
    command = [sys.executable, "-m", "tagger", "run", source, "--out", out, "--ledger", place, "--model", model]
    command += ["--report", out.with_suffix(".json"), "--quiet", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the run over {source} ended with {os.waitstatus_to_exitcode(status)}")
    kilobytes = used.ru_maxrss if sys.platform == "linux" else used.ru_maxrss / 1024
    report = {**json.loads(out.with_suffix(".json").read_bytes()), "processor": used.ru_utime + used.ru_stime}
    return seconds, kilobytes / 1024, report


@click.command()
@click.option("--files", multiple=True, type=int, default=(10_000, 100_000), show_default=True, help="Real files.")
@click.option("--rows", type=int, default=1_000_000, show_default=True, help="Items in the ledger, at least as many as files.")
@click.option("--runs", type=int, default=3, show_default=True, help="Runs of which the median is taken.")
@click.option("--embedding", default=0, show_default=True, help="Bytes of the embedding of each item.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
def main(files: tuple[int, ...], rows: int, runs: int, embedding: int, model: str) -> None:
    """Print the table."""
    print("| files | rows in the ledger | start-up, s | whole run, s | beyond, s | beyond, CPU s | a file, µs | memory, MB |")
    print("|---|---|---|---|---|---|---|---|")
    for count in files:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = make_files(folder / "photos", count)
            one = folder / "one"
            make_files(one, 1)
            fill(folder / "one.ledger", ["0000/0000000.jpg"], 1, model)
            fill(folder / "tags.ledger", paths, max(rows, count), model, embedding)
            starts, nights, beyond_cpu, memory = [], [], [], []
            for _ in range(runs):
                start, _, started = night(one, folder / "one.ledger", folder / "one.csv", model)
                places = (folder / "photos", folder / "tags.ledger", folder / "tags.csv")
                seconds, megabytes, report = night(*places, model, "--allow-vanished")
                assert report["counts"]["looked_at"] == 0, report["counts"]
                assert report["counts"]["changes"] == {}, report["counts"]
                starts.append(start)
                nights.append(seconds)
                beyond_cpu.append(report["processor"] - started["processor"])
                memory.append(megabytes)
                print(report["seconds_by_stage"], report["seconds"], file=sys.stderr)
            beyond = median(nights) - median(starts)
            print(
                f"| {count:,} | {max(rows, count):,} | {median(starts):.2f} | {median(nights):.2f} | {beyond:.2f} "
                f"| {median(beyond_cpu):.2f} | {beyond / count * 1e6:.0f} | {median(memory):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
