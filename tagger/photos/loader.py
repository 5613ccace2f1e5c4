"""Load photos as product images: read, decode and extract in threads, in order, reading a bounded number ahead."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagger.embedded_photos import read_embedded
from tagger.errors import FmtagError, reason_of
from tagger.photos.decode import decode_bytes, read
from tagger.photos.product import extract_product
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import Content, EmbeddedPhoto, Failed, Item, Photo, ProductImage, Result

Argument = TypeVar("Argument")

Value = TypeVar("Value")

READ_AHEAD = 4
"""Photos per worker that are in progress or waiting to be taken: enough that no worker idles, few enough to bound memory."""


@dataclass(frozen=True)
class LoadedPhoto:
    """An item of a catalog with its product image, or with the failure to load it."""

    item: Item
    outcome: ProductImage | Failed | None
    """None where the file's bytes are known already, so that it was not decoded."""
    content: Content | None = None
    """Hash, size and time of the file; None where it could not be read."""


@dataclass(frozen=True)
class ScoredPhoto(LoadedPhoto):
    """A loaded photo with its class probabilities or failure."""

    result: Result | None = None
    """None where the file's bytes are known already, so that a stored result applies."""


def load_photos(
    items: Iterable[Item],
    workers: int | None = None,
    decoding: DecodeSettings = DEFAULT_DECODING,
    known: Callable[[bytes], bool] = lambda sha256: False,
) -> Generator[LoadedPhoto, None, None]:
    """Load items in threads and yield them in their order, reading `READ_AHEAD` photos per worker ahead.

    Args:
        items: taken one by one, as reading ahead requires.
        workers: number of threads; None for one per processor that this process may use.
        decoding: which truncated, damaged or large files are decoded.
        known: whether a result is stored for a file's sha256; such files are not decoded. It is called in the threads.

    A caller that stops early must close the generator, which waits for the threads, before it closes what `known` uses.
    """

    def load(item: Item) -> LoadedPhoto:
        holder = item.holder
        if item.problem is not None or holder is None:
            return LoadedPhoto(item, item.problem or Failed("bad_row", "an item without a file"))
        name = _name_of(holder)
        file_read = _read(holder)
        if isinstance(file_read, Failed):
            return LoadedPhoto(item, file_read)
        encoded, content = file_read
        if known(content.sha256):
            return LoadedPhoto(item, None, content)
        photo = decode_bytes(encoded, name, decoding)
        return LoadedPhoto(item, photo if isinstance(photo, Failed) else _extract_or_fail(photo, name), content)

    count = workers or available_processors()
    with ThreadPoolExecutor(count, "photos") as pool:
        yield from map_in_order(pool, load, items, READ_AHEAD * count)


def decode_holder(holder: Path | EmbeddedPhoto) -> Photo | Failed:
    """Decode the photo of a file or of a row of a table, as `decode.decode` does."""
    found = _read(holder)
    return found if isinstance(found, Failed) else decode_bytes(found[0], _name_of(holder))


def _read(holder: Path | EmbeddedPhoto) -> tuple[bytes, Content] | Failed:
    return read_embedded(holder) if isinstance(holder, EmbeddedPhoto) else read(holder)


def _name_of(holder: Path | EmbeddedPhoto) -> str:
    return holder.name if isinstance(holder, EmbeddedPhoto) else str(holder)


def _extract_or_fail(photo: Photo, name: str) -> ProductImage | Failed:
    """Extract the product image; an exception becomes the failure of this photo and does not end the run."""
    try:
        return extract_product(photo)
    except FmtagError:  # not this photo's failure but that of the installation
        raise
    except Exception as error:
        return Failed("unreadable", f"{name}: nothing could be cut out ({reason_of(error)})")


def available_processors() -> int:
    """Return the number of processors that this process may use, which in a container may be less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[Argument], Value], arguments: Iterable[Argument], read_ahead: int
) -> Generator[Value, None, None]:
    """Yield `function` of each argument in their order, with at most `read_ahead` of them submitted and not yet yielded.

    `Executor.map` would submit all arguments at once, and keep all results that are not yet taken.
    """
    pending: deque[Future[Value]] = deque()
    try:
        for argument in arguments:
            pending.append(pool.submit(function, argument))
            if len(pending) >= read_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def product_images(batch: Iterable[LoadedPhoto]) -> list[ProductImage]:
    """Return the product images of a batch in which a product was found: the input of the network."""
    return [photo.outcome for photo in batch if isinstance(photo.outcome, ProductImage) and photo.outcome.found]


def attach_results(
    batch: Iterable[LoadedPhoto],
    probabilities: Iterable[NDArray[np.float32]],
    embeddings: Iterable[NDArray[np.uint8]] | None = None,
) -> Iterator[ScoredPhoto]:
    """Yield the photos of a batch with their results.

    Args:
        batch: loaded photos.
        probabilities: a row of class probabilities, (labels,), for each of `product_images(batch)`, in their order; photos
            that failed or show no product have no row.
        embeddings: likewise a row for each; None without a backbone.
    """
    rows = zip(probabilities, repeat(None) if embeddings is None else map(bytes, embeddings), strict=False)
    for photo in batch:
        result: Result | None = None
        if isinstance(photo.outcome, ProductImage):
            row, embedding = next(rows) if photo.outcome.found else (None, None)
            result = Result(None, row, photo.outcome.truncated, embedding)
        elif photo.outcome is not None:
            result = Result(photo.outcome)
        yield ScoredPhoto(photo.item, photo.outcome, photo.content, result)
