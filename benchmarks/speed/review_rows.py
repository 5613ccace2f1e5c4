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
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.reporting import RESULTS, hardware, table, write
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
from tagger.run.reviews import ReviewStore, Shown
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
