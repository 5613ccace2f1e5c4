"""Write the photos that a run has to read as Parquet files, and read rows of them as items.

One row per photo: `id` (its number in the order, from 0), `path`, `place` as the ledger stores it, `problem`, and `size`,
`state` and `signature` of a photo at an address. Files are written as a stream: memory does not grow with the number of photos.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagger.records import EmbeddedPhoto, Failed, Item, RemotePhoto

ROWS_PER_FILE = 16_384
"""Some megabytes, and 610 files for ten million photos."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("path", pa.binary(), nullable=False),  # file names may be no valid Unicode
        pa.field("place", pa.string()),
        pa.field("problem", pa.binary()),
        pa.field("size", pa.int64()),
        pa.field("state", pa.int64()),
        pa.field("signature", pa.string()),
    ]
)


def write_manifest(items: Iterable[Item], folder: Path) -> list[Path]:
    """Write the items as files of at most `ROWS_PER_FILE` rows into a folder and return them in their order."""
    files: list[Path] = []
    rows = (_row(number, item) for number, item in enumerate(items))
    while some := list(islice(rows, ROWS_PER_FILE)):
        file = folder / f"photos-{len(files):08d}.parquet"
        columns = [pa.array(column, field.type) for column, field in zip(zip(*some, strict=True), SCHEMA, strict=True)]
        pq.write_table(pa.table(columns, schema=SCHEMA), file)
        files.append(file)
    return files


def read_items(rows: pa.Table) -> Iterator[tuple[int, Item]]:
    """Yield the number and the item of each row of a manifest."""
    for row in rows.to_pylist():
        yield row["id"], _item(row)


def _row(number: int, item: Item) -> tuple[Any, ...]:
    size, state, signature = item.place[1:] if isinstance(item.place, RemotePhoto) else (None, None, None)
    problem = None if item.problem is None else _encoded(json.dumps([item.problem.reason, item.problem.detail]))
    return number, _encoded(item.path), _place(item), problem, size, state, signature


def _item(row: dict[str, Any]) -> Item:
    problem = None if row["problem"] is None else Failed(*json.loads(row["problem"]))
    return Item(_decoded(row["path"]), _place_of(row), problem=problem)


def _place(item: Item) -> str | None:
    """Return a place as JSON: a path, a list of an address alone, or the list of an embedded photo's fields."""
    place = item.place
    if place is None:
        return None
    if isinstance(place, RemotePhoto):
        return json.dumps([place.address])
    return json.dumps(place if isinstance(place, EmbeddedPhoto) else str(place))


def _place_of(row: dict[str, Any]) -> str | EmbeddedPhoto | RemotePhoto | None:
    place = None if row["place"] is None else json.loads(row["place"])
    if place is None or isinstance(place, str):
        return place
    if len(place) == 1:
        return RemotePhoto(place[0], row["size"], row["state"], row["signature"])
    return EmbeddedPhoto(*place)._replace(keys=tuple(place[4]))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")
