"""Measure what putting shards together costs: `fmtag merge` of N photos in K shards, the first time and once more.

    python -m benchmarks.speed.merge [--photos 100000 --photos 1000000] [--shards 4] [--runs 1] [--out FOLDER]

The photos are the objects of `s3_server --synthetic`, on this machine; this script fills the ledger of each shard as a run that
scored its photos would, and `fmtag run --shard` lists the bucket and finishes it. The first merge writes a new ledger, the next
one finds nothing that has changed. Memory is the peak of a further merge, which is looked at every 20 ms.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.reporting import RESULTS, table
from benchmarks.speed.listing import in_process
from benchmarks.speed.measuring import FMTAG, peak_memory, timed, write_report
from benchmarks.speed.nightly import fill, night
from benchmarks.speed.s3_server import serving
from tagger.run.shards import Shard
from tagger.settings import DEFAULT_MODEL
from tagger.storage.objects import list_objects
from tagger.storage.traffic import Traffic

TITLES = (
    *("photos", "shards", "first merge, s", "a photo, µs", "once more, s", "memory, MB"),
    *("ledgers of the shards, MB", "merged ledger, MB"),
)


def fill_shards(places: Sequence[Path], url: str, model: str) -> None:
    """Write a ledger for each shard of a bucket, in which its objects have been scored."""
    listed = [*list_objects(url, Traffic())]
    for number, place in enumerate(places):
        shard = Shard(number, len(places))
        own = [found for found in listed if shard.holds(found.key)]
        fill(place, [found.key for found in own], len(own), model, 0, lambda at, own=own: (own[at].size, own[at].state))


def measure(photos: int, shards: int, runs: int, model: str) -> dict[str, Any]:
    """Return what merging `photos` objects in so many shards takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outs = [folder / f"tags-{number}.csv" for number in range(shards)]
        places = [out.with_suffix(".ledger") for out in outs]
        with serving(synthetic=photos) as server:
            os.environ.update(server.environment)
            in_process(fill_shards, places, f"{server.url}/", model)
            for number, (place, out) in enumerate(zip(places, outs, strict=True)):
                _, _, report = night(f"{server.url}/", place, out, model, "--shard", f"{number}/{shards}")
                if report["counts"]["looked_at"]:
                    raise SystemExit(f"shard {number} was not known: {report['counts']}")
        merged = folder / "tags.csv"
        command = [*FMTAG, "merge", *map(str, outs), "--out", str(merged), "--model", model, "--quiet"]
        first = []
        for _ in range(runs):
            merged.with_suffix(".ledger").unlink(missing_ok=True)
            first.append(timed(command)[0])
        again = [timed(command)[0] for _ in range(runs)]
        with merged.open("rb") as file:
            rows = sum(1 for _ in file) - 1
        if rows != photos:
            raise SystemExit(f"{rows:,} of {photos:,} photos were merged")
        return {
            "photos": photos,
            "shards": shards,
            "seconds": median(first),
            "again_seconds": median(again),
            "memory_mb": peak_memory(command).resident,
            "shard_bytes": sum(place.stat().st_size for place in places),
            "ledger_bytes": merged.with_suffix(".ledger").stat().st_size,
        }


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row of the table."""
    return [
        *(f"{row['photos']:,}", f"{row['shards']}", f"{row['seconds']:.1f}", f"{row['seconds'] / row['photos'] * 1e6:.0f}"),
        *(f"{row['again_seconds']:.1f}", f"{row['memory_mb']:,.0f}"),
        *(f"{row['shard_bytes'] / 1e6:,.0f}", f"{row['ledger_bytes'] / 1e6:,.0f}"),
    ]


@click.command()
@click.option("--photos", multiple=True, type=int, default=(100_000, 1_000_000), show_default=True, help="Photos in all.")
@click.option("--shards", default=4, show_default=True, help="Shards that they are divided among.")
@click.option("--runs", default=1, show_default=True, help="Runs of which the median is taken.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the report and its JSON.")
def main(photos: tuple[int, ...], shards: int, runs: int, model: str, out: Path) -> None:
    """Measure and write the report."""
    rows = [measure(count, shards, runs, model) for count in photos]
    write_report(out, "speed_merge", "Merging shards", runs, table(TITLES, map(cells, rows)), {"rows": rows})


if __name__ == "__main__":
    main()
