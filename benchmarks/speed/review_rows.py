"""Measure the review's queue on a catalog of many photos: the first page, further pages, a search by SKU, a decision.

    python -m benchmarks.speed.review_rows [--rows 100000] [--rows 1000000] [--runs 5] [--keep FOLDER]

The catalog is a table with a SKU and a name for each photo, tagged in three nights. The ledger gets its results and rows by the
functions of a run, with probabilities drawn at random in place of a network's; photos are small JPEG files, all of other bytes,
written for the first `--photos` rows. Each time is that of a new `ReviewQueue`, and so with nothing cached but the pages of the
operating system, unless the name says otherwise.
"""

import argparse
import hashlib
import io
import platform
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.reporting import RESULTS, hardware, table, write
from benchmarks.speed.measuring import shown_options
from tagger.catalog import output
from tagger.catalog.rows import output_columns, output_row, tag_cells
from tagger.inference import decision
from tagger.models import card
from tagger.photos.product import VERSION
from tagger.records import Content, Item, Result
from tagger.review.columns import Columns
from tagger.review.photos import Photos
from tagger.review.queue import Filters, ReviewQueue
from tagger.review.thumbnails import Thumbnails
from tagger.run.ledger import ROWS_PER_CHUNK, Ledger, open_ledger
from tagger.run.ledger_values import Cells, ListedFile, RunKey
from tagger.run.review_values import Shown
from tagger.run.reviews import ReviewStore
from tagger.settings import DEFAULT_MODEL

NIGHTS = 3

MTIME_NS = 1_700_000_000 * 10**9

MIN_CONFIDENCE = 0.62
"""Flags four of ten photos, with `WEIGHTS`."""

WEIGHTS = (0.15, 0.13, 0.13, 0.1, 0.1, 0.05, 0.08, 0.05, 0.03, 0.01, 0.03)
"""Of the labels and of none of them in the Dirichlet distribution of the probabilities; the last labels are rare."""

A_FOLDER = 1_000


def make_catalog(folder: Path, rows: int, photos: int | None = None) -> Path:
    """Make a catalog of `rows` photos that was tagged in `NIGHTS` runs, and return the output; the ledger lies beside it.

    Args:
        folder: new or empty; gets `catalog/` with the table and the photos, `tags.csv` and `tags.ledger`.
        rows: of the table.
        photos: files that are written, for the first rows; None writes all, some 1.5 KB each.
    """
    catalog = folder / "catalog"
    catalog.mkdir(parents=True)
    names = [f"{number // A_FOLDER:04d}/{number:07d}.jpg" for number in range(rows)]
    pictures = [_picture(seed) for seed in range(64)]
    for number in range(rows if photos is None else min(rows, photos)):
        if number % A_FOLDER == 0:
            (catalog / names[number]).parent.mkdir()
        (catalog / names[number]).write_bytes(_photo(pictures, number))
    (catalog / "products.csv").write_text(
        "image,sku,name\n" + "".join(f"{name},{_sku(number)},Product {number}\n" for number, name in enumerate(names)),
        encoding="utf-8",
    )
    stored = card.read(DEFAULT_MODEL)
    key = RunKey(
        source=str((catalog / "products.csv").resolve()),
        out=str(folder / "tags.csv"),
        root=str(catalog.resolve()),
        version="0",
        model=stored.model,
        fingerprint=f"{stored.fingerprint}+g{VERSION}",
        labels=stored.card.labels,
        min_confidence=MIN_CONFIDENCE,
    )

    def cells_of(results: Sequence[Result]) -> list[Cells]:
        tags = decision.decide_results(results, stored.card.labels, stored.card.groups, MIN_CONFIDENCE)
        return [Cells(*tag_cells(tag)) for tag in tags]

    for night in range(1, NIGHTS + 1):
        with open_ledger(folder / "tags.ledger") as ledger:
            ledger.begin(key)
            ledger.list_files(_listed(names[: rows * night // NIGHTS]))
            _record(ledger, pictures)
            with ExitStack() as end, ledger.publishing(cells_of):
                if night == NIGHTS:
                    _write(ledger, folder / "tags.csv", stored, end)
    return folder / "tags.csv"


def _listed(names: Sequence[str]) -> Iterator[ListedFile]:
    for number, name in enumerate(names):
        columns = {"image": name, "sku": _sku(number), "name": f"Product {number}"}
        yield ListedFile(name, 1_500, MTIME_NS, columns=columns)


def _record(ledger: Ledger, pictures: Sequence[bytes]) -> None:
    rng = np.random.default_rng(0)
    for batch in ledger.unscored_batches(ROWS_PER_CHUNK):
        probabilities = rng.dirichlet(WEIGHTS, len(batch)).astype(np.float32)[:, :-1]
        results = []
        for photo, row in zip(batch, probabilities, strict=True):
            content = _photo(pictures, int(Path(photo.path).stem))
            results.append((photo, Content(hashlib.sha256(content).digest(), len(content), MTIME_NS), Result(None, row)))
        ledger.record(results)


def _write(ledger: Ledger, out: Path, stored: card.StoredCard, end: ExitStack) -> None:
    columns = output_columns(("image", "sku", "name"), 1)
    writer = end.enter_context(output.open_output(str(out), "csv", columns, stored.model))
    for row in ledger.rows():
        tag = decision.decide_tag(row.result, stored.card.labels, stored.card.groups, MIN_CONFIDENCE)
        writer.write(output_row(Item(row.path, None, row.columns), tag, stored.model, columns, row.duplicate_of))


def _sku(number: int) -> str:
    return f"SKU-{number * 7919 % 10_000_019:08d}"


def _picture(seed: int) -> bytes:
    """Return a small JPEG of a coloured shape on white."""
    rng = np.random.default_rng(seed)
    pixels = np.full((160, 120, 3), 255, np.uint8)
    top, left = rng.integers(10, 40, 2)
    pixels[top : top + 90, left : left + 60] = rng.integers(0, 200, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def _photo(pictures: Sequence[bytes], number: int) -> bytes:
    """Return a JPEG whose bytes no other number has: one of the pictures with a comment."""
    comment = f"{number:012d}".encode()
    picture = pictures[number % len(pictures)]
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]


def measure(out: Path, cache: Path, runs: int) -> list[tuple[str, list[float]]]:
    """Return what was measured on a catalog of `make_catalog`: a title, and the milliseconds of each run."""
    times: dict[str, list[float]] = {}

    def timed(title: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        value = call()
        times.setdefault(title, []).append(1e3 * (time.perf_counter() - started))
        return value

    for run in range(runs):
        _measure_once(out, cache / str(run), timed)
    return list(times.items())


def _measure_once(out: Path, cache: Path, timed: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Measure one review from its start to a decision."""
    ledger = out.with_suffix(".ledger")
    with Columns(out) as columns:
        timed("columns of the output indexed, in the background", columns.wait)
        with ReviewQueue(ledger, columns) as queue, closing(ReviewStore(ledger)) as store:
            filters = Filters()

            first = "first page: tags with what is left, 60 rows of the first"
            page = timed(first, lambda: queue.page(filters, queue.groups(filters)[0].tag))
            thumbnails = Thumbnails(Photos(queue.reader), cache)
            items = [row.item for row in page.rows]
            timed("60 thumbnails, made", lambda: [thumbnails.picture(item, "grid") for item in items])
            timed("60 thumbnails, from the cache", lambda: [thumbnails.picture(item, "grid") for item in items])
            tag = page.rows[0].tag
            timed("next page", lambda: queue.page(filters, tag, page.next_cursor))
            timed("filters with their counts", lambda: queue.facets(filters))
            sku = Filters(column="sku", text=queue.details(page.rows[30].item).columns[0]["sku"].lower())
            timed("search by a SKU: tags and rows", lambda: [queue.page(sku, one.tag) for one in queue.groups(sku)])
            timed("all that is known of a photo", lambda: queue.details(page.rows[0].item))
            row = page.rows[0]
            shown = [Shown(row.item, bytes.fromhex(row.sha256))]
            recorded = timed("a decision, on disk", lambda: store.record(shown, row.tag, "benchmark"))
            timed("what is left after it", lambda: queue.groups(filters))
            store.undo([recorded.reviews[0].id], "benchmark")


def main() -> None:
    """Print the table and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="rows of the catalog, several times; 100,000 by default")
    parser.add_argument("--photos", type=int, default=10_000, help="photo files that are written")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median is taken")
    parser.add_argument("--keep", type=Path, help="new folder in which one catalog is made, and nothing measured")
    parser.add_argument("--out", type=Path, default=RESULTS / "review_rows.md", help="the report")
    options = parser.parse_args()
    sizes = options.rows or [100_000]
    if options.keep is not None:
        print(make_catalog(options.keep, sizes[0], options.photos))
        return
    measured: dict[str, list[str]] = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            out = make_catalog(Path(name) / "shop", rows, options.photos)
            before = _megabytes()
            for title, times in measure(out, Path(name) / "cache", options.runs):
                measured.setdefault(title, []).append(f"{median(times):.1f} ({min(times):.1f}-{max(times):.1f})")
            measured.setdefault("memory, MB more than before the first page", []).append(f"{_megabytes() - before:.0f}")
    lines = table(
        ["ms, median (range)", *(f"{rows:,} rows" for rows in sizes)], [[title, *cells] for title, cells in measured.items()]
    )
    command = f"python -m benchmarks.speed.review_rows {shown_options(sys.argv[1:])}".rstrip()
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    head = ["# The review's queue", "", f"`{command}`", "", f"{hardware()}; {versions}; {options.runs} runs.", ""]
    write(options.out, [*head, *lines])


def _megabytes() -> float:
    """Return the memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
