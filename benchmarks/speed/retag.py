"""Measure how fast a known catalog is tagged by a bundle with another head: `fmtag run` from the embeddings in the ledger.

    python -m benchmarks.speed.retag [--photos 100000] [--runs 3] [--model catalog]

The files are small and never opened: this script fills the ledger as a run that read them would, with random embeddings. Two
copies of the bundle that differ in their temperature alone tag them in turn. Prints seconds and memory of the whole process,
medians of the runs, the seconds beyond start-up also as processor time, which a busy machine changes less, and bytes of the
ledger per photo after its first run, those without embeddings and those of embeddings. Each run reports that it re-tagged every
photo and read none. For a bundle without a backbone, a linear head of random weights on 300 bytes takes the place of its own.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.nightly import LONG_AGO, make_files
from tagger.models import card
from tagger.models.card import StoredCard
from tagger.photos.product import VERSION
from tagger.run import ledger
from tagger.settings import DEFAULT_MODEL

LENGTH = 300
"""Bytes of an embedding of a bundle without a backbone."""

STUBBED_COMMAND = "import sys; from benchmarks.speed.retag import stub; stub(); from tagger.cli.main import main; main()"


class StubTagger:
    """Takes the place of `Tagger` for a bundle without a backbone."""

    embedding_size = LENGTH

    def __init__(self, model: Path, **_: Any) -> None:
        stored = card.read(model)
        self.bundle = SimpleNamespace(fingerprint=stored.fingerprint)
        rng = np.random.default_rng(round(stored.card.temperature * 1000))
        self._head = rng.normal(0, 1 / LENGTH**0.5, (LENGTH, len(stored.card.labels) + 1)).astype(np.float32)

    def probabilities_of(self, embeddings: Sequence[bytes]) -> NDArray[np.float32]:
        """Return probabilities, float32 (n, labels), computed in padded blocks of 64 rows as a real head does."""
        values = np.zeros((-(-len(embeddings) // 64) * 64, LENGTH), np.float32)
        values[: len(embeddings)] = np.frombuffer(b"".join(embeddings), np.uint8).reshape(-1, LENGTH)
        logits = np.concatenate([block @ self._head for block in values.reshape(-1, 64, LENGTH)]) / 32
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return (powers / powers.sum(1, keepdims=True))[: len(embeddings), :-1]


def stub() -> None:
    """Let every bundle of this process have a backbone, and runs use `StubTagger`, without importing torch."""
    module = ModuleType("tagger.inference.tagger")
    vars(module)["Tagger"] = StubTagger
    sys.modules[module.__name__] = module
    StoredCard.eyes = "stub"  # type: ignore[assignment, method-assign]


def two_heads(model: str, folder: Path) -> list[Path]:
    """Write two copies of a bundle whose cards have other temperatures."""
    stored = card.read(model)
    bundles = []
    for number in (1, 2):
        bundle = folder / f"head{number}"
        bundle.mkdir()
        for file in stored.folder.iterdir():
            if file.is_file():
                (bundle / file.name).write_bytes(file.read_bytes())
        values = json.loads((bundle / "card.json").read_text())
        values["temperature"] *= 1 + 0.01 * number
        (bundle / "card.json").write_text(json.dumps(values))
        bundles.append(bundle)
    return bundles


def fill(place: Path, paths: Sequence[str], stored: StoredCard, length: int) -> None:
    """Write a ledger in which each path has been scored by an earlier head, with a random embedding of `length` bytes."""
    labels = stored.card.labels
    key = ledger.RunKey("there", "tags.csv", "0", "earlier", "earlier", labels, 0.5, eyes=f"{stored.eyes}+g{VERSION}")
    with ledger.open_ledger(place) as memory:
        run = memory.begin(key)
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(len(labels), 0.2), len(paths)).astype("<f4")

    def contents() -> Iterator[tuple[object, ...]]:
        for number, row in enumerate(probabilities):
            yield (number + 1, hashlib.sha256(b"%d" % number).digest(), 1, run, 0, row.tobytes())

    def items() -> Iterator[tuple[object, ...]]:
        for number, path in enumerate(paths):
            yield (number + 1, path, len(b"%d" % number), LONG_AGO * 10**9, number + 1, 0, run)

    with closing(sqlite3.connect(place)) as sql, sql:
        sql.executemany("INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?)", contents())
        sql.executemany("INSERT INTO embeddings VALUES (?, 1, 1, ?)", ((at + 1, rng.bytes(length)) for at in range(len(paths))))
        sql.executemany(
            "INSERT INTO items (id, key, size, mtime_ns, content, tries, run) VALUES (?, ?, ?, ?, ?, ?, ?)", items()
        )


def night(source: Path, place: Path, model: Path, stubbed: bool) -> tuple[float, float, dict[str, Any]]:
    """Return seconds, megabytes and the report of one run in a process of its own, with its `processor` seconds."""
    start = ["-c", STUBBED_COMMAND] if stubbed else ["-m", "tagger"]
    report = place.with_suffix(".json")
    options = ["--out", place.with_suffix(".csv"), "--ledger", place, "--model", model, "--report", report, "--quiet"]
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *start, "run", source, *options])
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the run over {source} ended with {os.waitstatus_to_exitcode(status)}")
    kilobytes = used.ru_maxrss if sys.platform == "linux" else used.ru_maxrss / 1024
    return seconds, kilobytes / 1024, {**json.loads(report.read_bytes()), "processor": used.ru_utime + used.ru_stime}


def bytes_per_photo(place: Path, photos: int) -> tuple[float, float]:
    """Return the size of a ledger per photo, without and with its embeddings, after its free pages are gone."""
    copy = place.with_suffix(".copy")
    shutil.copy(place, copy)
    sizes = []
    with closing(sqlite3.connect(copy, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        for statement in ("SELECT 1", "DELETE FROM embeddings"):
            sql.execute(statement)
            sql.execute("VACUUM")
            sizes.append(copy.stat().st_size / photos)
    return sizes[1], sizes[0]


@click.command()
@click.option("--photos", multiple=True, type=int, default=(100_000,), show_default=True, help="Photos of the catalog.")
@click.option("--runs", type=int, default=3, show_default=True, help="Runs of which the median is taken.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
def main(photos: tuple[int, ...], runs: int, model: str) -> None:
    """Print the table."""
    print("| photos | start-up, s | whole run, s | beyond, s | beyond, CPU s | rows changed | memory, MB | bytes a photo |")
    print("|---|---|---|---|---|---|---|---|")
    stubbed, length = not card.read(model).eyes, LENGTH
    if stubbed:
        StoredCard.eyes = "stub"  # type: ignore[assignment, method-assign]
    else:
        from tagger.inference.tagger import Tagger

        length = Tagger(model, device="cpu").embedding_size
    for count in photos:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            heads = two_heads(model, folder)
            catalogs = {folder / "one.ledger": folder / "one", folder / "tags.ledger": folder / "photos"}
            for (place, source), size in zip(catalogs.items(), (1, count), strict=True):
                fill(place, make_files(source, size), card.read(heads[0]), length)
                night(source, place, heads[0], stubbed)
            without, with_embeddings = bytes_per_photo(folder / "tags.ledger", count)
            seconds: dict[Path, list[float]] = {place: [] for place in catalogs}
            processor: dict[Path, list[float]] = {place: [] for place in catalogs}
            memory, changed = [], []
            for number in range(runs):
                for place, source in catalogs.items():
                    taken, megabytes, report = night(source, place, heads[1 - number % 2], stubbed)
                    seconds[place].append(taken)
                    processor[place].append(report["processor"])
                    counts = report["counts"]
                    assert (counts["looked_at"], counts["retagged"]) == (0, counts["photos"]), counts
                memory.append(megabytes)
                changed.append(sum(counts["changes"].values()))
                print(report["seconds_by_stage"], report["seconds"], file=sys.stderr)
            start, whole = (median(some) for some in seconds.values())
            start_cpu, whole_cpu = (median(some) for some in processor.values())
            print(
                f"| {count:,} | {start:.2f} | {whole:.2f} | {whole - start:.2f} | {whole_cpu - start_cpu:.2f} "
                f"| {median(changed):,.0f} | {median(memory):.0f} | {without:.0f} + {with_embeddings - without:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
