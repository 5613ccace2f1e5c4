"""Shared by the tests of the review's data: a table of photos tagged by the real command, and its rows read back."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from helpers import rows_of, run_cli, write_photos

from tagger.review.queue import Filters, QueueRow, ReviewQueue
from tagger.review.queue_values import UNREADABLE
from tagger.run.review_values import Recorded, Shown
from tagger.run.reviews import ReviewStore

MIN_CONFIDENCE = "0.3"
"""Flags some of the photos of `write_table`, and leaves others alone."""


OPEN = Filters()


class Catalog(NamedTuple):
    """A catalog that was tagged: its table, output, ledger and the rows of the output."""

    table: Path
    out: Path
    ledger: Path
    rows: list[dict[str, str]]


def write_table(folder: Path) -> Path:
    """Write a table of twelve photos in two folders, one of them a copy and one damaged, and return it."""
    folder.mkdir()
    write_photos(folder / "a", 7)
    write_photos(folder / "ab", 3, size=(200, 200))
    shutil.copy(folder / "a" / "0001.jpg", folder / "ab" / "copy.jpg")
    (folder / "a" / "cut.jpg").write_bytes((folder / "a" / "0000.jpg").read_bytes()[:1500])
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    table = folder / "products.csv"
    lines = [f'{path},SKU-{number},"Größe {number}, blau","100% ""new"""' for number, path in enumerate(paths)]
    table.write_text("\n".join(["image,sku,name,tag", *lines, ""]), encoding="utf-8")
    return table


def tag(source: Path, out: Path, bundle: Path, *options: str) -> list[dict[str, str]]:
    """Run the command over a source and return the rows of its output, or of a CSV beside it in another format."""
    done = run_cli("run", source, "--out", out, "--model", bundle, "--min-confidence", MIN_CONFIDENCE, *options)
    assert done.code in (0, 3), done.err
    return rows_of(out) if out.suffix == ".csv" else []


def flagged(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows that are to be reviewed."""
    return [row for row in rows if row["low_confidence"] == "true" and row["reason"] != "reviewed"]


def predicted(row: dict[str, str]) -> str:
    """Return what the queue groups a row of an output by: none of the labels where the bundle does not recognise it."""
    return "" if row["reason"] == "not_recognised" else row["tag"] or UNREADABLE


def doubt(row: dict[str, str]) -> str:
    """Return what the queue sorts a row by, within its group."""
    return row["confidence"] if row["reason"] != "not_recognised" else f"{1 - float(row['confidence'] or 0):.4f}"


def decide(ledger: Path, item: int, sha256: str, label: str, reviewer: str = "Ann") -> Recorded:
    """Record a decision as the page does."""
    store = ReviewStore(ledger)
    try:
        return store.record([Shown(item, bytes.fromhex(sha256))], label, reviewer)
    finally:
        store.close()


def pages(queue: ReviewQueue, filters: Filters, tag: str, count: int = 7) -> Iterator[tuple[QueueRow, ...]]:
    """Yield all pages of a tag."""
    after = None
    while True:
        page = queue.page(filters, tag, after, count)
        yield page.rows
        if (after := page.next_cursor) is None:
            return


def all_rows(queue: ReviewQueue, filters: Filters = OPEN, count: int = 60) -> list[QueueRow]:
    """Return the rows of all tags that filters select."""
    groups = queue.groups(filters)
    return [row for group in groups for rows in pages(queue, filters, group.tag, count) for row in rows]
