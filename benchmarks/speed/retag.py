"""Measure how fast a known catalog is tagged by a bundle with another head: `fmtag run` from the embeddings in the ledger.

    python -m benchmarks.speed.retag [--photos 100000] [--runs 3] [--model catalog]

The files are small and never opened: this script fills the ledger as a run that read them would, with embeddings of random
evidence. Two copies of the bundle with other heads, so that nearly every row changes, tag them in turn. Prints seconds and
memory of the whole process, medians of the runs, the seconds beyond start-up also as processor time, which a busy machine
changes less, photos per second of it, and bytes of the ledger per photo after its first run, those without embeddings and
those of embeddings. Each run reports that it re-tagged every photo and read none. The bundle must have a backbone; it may be
adapted to a shop.
"""

import hashlib
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.nightly import LONG_AGO, make_files, night
from tagger.inference.fused import PLAIN
from tagger.models import bundle, card
from tagger.models.card import StoredCard
from tagger.models.fusion import Fusion
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.photos.product import VERSION
from tagger.run import ledger
from tagger.settings import DEFAULT_MODEL

DIFFERENT = 4_096
"""Different embeddings in the ledger, which its photos have in turn."""


def rolled(outputs: NDArray[Any], places: int) -> NDArray[Any]:
    """Return outputs (..., labels + 1) in which each label has those of another one; none of the labels keeps its own."""
    return np.concatenate([np.roll(outputs[..., :-1], places, -1), outputs[..., -1:]], -1)


def two_heads(model: str, folder: Path) -> tuple[list[StoredCard], Fusion]:
    """Write two copies of a bundle whose heads, and those of its adapter, give each label what another one should have.

    Return their cards and the fusion of one.
    """
    start = bundle.load(model)
    if start.fusion is None:
        raise click.BadParameter(f"the bundle {start.model} has no backbone, and so no embeddings")
    for number in (1, 2):
        fusion, adapter = start.fusion, start.adapter
        # The head alone decides: the small network and ImageNet's classes would keep the tags as they are.
        alone = np.array([0, 0, 1], np.float32)
        fusion = replace(fusion, weight=rolled(fusion.weight, number), bias=rolled(fusion.bias, number), exponents=alone)
        if adapter is not None:
            names = ("weight", "bias", "translation", "memory_probabilities")
            adapter = replace(adapter, **{name: rolled(getattr(adapter, name), number) for name in names})
        bundle.save(folder / f"head{number}", start.card, start.weights, adapter, start.backbone, fusion)
    return [card.read(folder / f"head{number}") for number in (1, 2)], start.fusion


def random_embeddings(fusion: Fusion, count: int) -> list[bytes]:
    """Return embeddings of random probabilities of the small network, features and logits of ImageNet's classes."""
    rng = np.random.default_rng(0)
    small = rng.dirichlet(np.full(fusion.outputs, 0.2), count).astype(np.float32)
    features = fusion.centre + fusion.spread * rng.standard_normal((count, len(fusion.centre)), np.float32)
    logits = 2 * rng.standard_normal((count, IMAGENET_CLASSES), np.float32)
    return [row.tobytes() for row in fusion.embed(small, features, logits, np.full(count, PLAIN, np.uint8))]


def fill(place: Path, paths: Sequence[str], stored: StoredCard, embeddings: Sequence[bytes]) -> None:
    """Write a ledger in which each path has been scored by an earlier head, with one of the embeddings."""
    labels = stored.card.labels
    key = ledger.RunKey("there", "tags.csv", "0", "earlier", "earlier", labels, 0.5, eyes=f"{stored.eyes}+g{VERSION}")
    with ledger.open_ledger(place) as memory:
        run = memory.begin(key)
    probabilities = np.random.default_rng(0).dirichlet(np.full(len(labels), 0.2), len(paths)).astype("<f4")

    def contents() -> Iterator[tuple[object, ...]]:
        for number, row in enumerate(probabilities):
            yield (number + 1, hashlib.sha256(b"%d" % number).digest(), 1, run, 0, row.tobytes())

    def items() -> Iterator[tuple[object, ...]]:
        for number, path in enumerate(paths):
            yield (number + 1, path, len(b"%d" % number), LONG_AGO * 10**9, number + 1, 0, run)

    with closing(sqlite3.connect(place)) as sql, sql:
        sql.executemany(
            "INSERT INTO contents (id, sha256, model, run, truncated, probabilities) VALUES (?, ?, ?, ?, ?, ?)", contents()
        )
        stored_embeddings = ((at + 1, embeddings[at % len(embeddings)]) for at in range(len(paths)))
        sql.executemany("INSERT INTO embeddings VALUES (?, 1, 1, ?)", stored_embeddings)
        sql.executemany(
            "INSERT INTO items (id, key, size, mtime_ns, content, tries, run) VALUES (?, ?, ?, ?, ?, ?, ?)", items()
        )


def run(source: Path, place: Path, head: StoredCard) -> tuple[float, float, dict[str, Any]]:
    """Return seconds, megabytes and the report of one run by a head."""
    return night(source, place, place.with_suffix(".csv"), head.folder, "--device", "cpu")


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
    print(
        "| photos | start-up, s | whole run, s | beyond, s | beyond, CPU s | photos per CPU s | rows changed | memory, MB "
        "| bytes a photo |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for count in photos:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            heads, fusion = two_heads(model, folder)
            embeddings = random_embeddings(fusion, DIFFERENT)
            catalogs = {folder / "one.ledger": folder / "one", folder / "tags.ledger": folder / "photos"}
            for (place, source), size in zip(catalogs.items(), (1, count), strict=True):
                fill(place, make_files(source, size), heads[0], embeddings)
                run(source, place, heads[0])
            without, with_embeddings = bytes_per_photo(folder / "tags.ledger", count)
            seconds: dict[Path, list[float]] = {place: [] for place in catalogs}
            processor: dict[Path, list[float]] = {place: [] for place in catalogs}
            memory, changed = [], []
            for number in range(runs):
                for place, source in catalogs.items():
                    taken, megabytes, report = run(source, place, heads[1 - number % 2])
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
                f"| {count / (whole_cpu - start_cpu):,.0f} "
                f"| {median(changed):,.0f} | {median(memory):.0f} | {without:.0f} + {with_embeddings - without:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
