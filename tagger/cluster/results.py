"""Turn scored photos into rows of an Arrow table and back, and check that each photo came back once, in its place."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tagger.errors import WorkerError
from tagger.photos.loader import ScoredPhoto
from tagger.records import Content, Failed, Item, ProductImage, Result
from tagger.storage.traffic import Traffic

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("sha256", pa.binary()),
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.binary()),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("probabilities", pa.binary()),
        pa.field("embedding", pa.binary()),
        pa.field("traffic", pa.string()),
    ]
)

NO_ITEM = Item("", None)

NO_PIXELS = np.zeros((0, 0), np.uint8)
"""Stands for the pixels of a product image, which are not needed once it is scored."""


def results_table(ids: Iterable[int], photos: Iterable[ScoredPhoto]) -> pa.Table:
    """Return the results of photos, by their numbers, as a table."""
    rows = [_row(number, photo) for number, photo in zip(ids, photos, strict=True)]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def in_order(tables: Iterable[pa.Table], total: int) -> Iterator[ScoredPhoto]:
    """Yield the photos of tables of results.

    Raises `WorkerError` where one comes back twice, out of its order or not at all, so that no photo can get the result of
    another.
    """
    expected = 0
    for table in tables:
        for row in table.to_pylist():
            if row["id"] != expected or expected >= total:
                raise WorkerError(
                    f"The cluster returned the result of photo {row['id']:,} in place of photo {expected:,}; what was done"
                    " before is kept. Run the command again."
                )
            expected += 1
            yield _photo(row)
    if expected != total:
        raise WorkerError(
            f"The cluster returned the results of {expected:,} photos of {total:,}; they are kept. Run the command again."
        )


def _row(number: int, photo: ScoredPhoto) -> tuple[Any, ...]:
    if photo.result is None:
        raise ValueError("a photo without a result")
    content, result = photo.content, photo.result
    of_content = (None, None, None) if content is None else (content.sha256, content.size, content.mtime_ns)
    failed = result.failed
    of_failure = (None, None) if failed is None else (failed.reason, failed.detail.encode("utf-8", "surrogatepass"))
    packed = None if result.probabilities is None else result.probabilities.astype("<f4").tobytes()
    traffic = None if photo.traffic is None else json.dumps(photo.traffic.__getstate__())
    return (number, *of_content, *of_failure, result.truncated, packed, result.embedding, traffic)


def _photo(row: dict[str, Any]) -> ScoredPhoto:
    content = None if row["sha256"] is None else Content(row["sha256"], row["size"], row["mtime_ns"])
    traffic = None if row["traffic"] is None else _traffic(*json.loads(row["traffic"]))
    if row["reason"] is not None:
        failed = Failed(row["reason"], row["detail"].decode("utf-8", "surrogatepass"))
        return ScoredPhoto(NO_ITEM, failed, content, traffic=traffic, result=Result(failed))
    packed = row["probabilities"]
    probabilities = None if packed is None else np.frombuffer(packed, "<f4")
    image = ProductImage(NO_PIXELS, probabilities is not None, row["truncated"])
    result = Result(None, probabilities, row["truncated"], row["embedding"])
    return ScoredPhoto(NO_ITEM, image, content, traffic=traffic, result=result)


def _traffic(requests: dict[Any, int], retries: int, received: int, sent: int) -> Traffic:
    return Traffic(Counter(requests), retries, received, sent)
