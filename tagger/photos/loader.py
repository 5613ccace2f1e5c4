"""Files to garments: decode -> garment, in threads, in order, and only as far ahead as memory stays flat."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.photos.decode import decode_bytes, read
from tagger.photos.product import extract_product
from tagger.records import Content, Failed, Item, Photo, ProductImage, Result

READ_AHEAD = 4
"""Photos in the making for every worker, so that none waits and memory stays flat."""


@dataclass(frozen=True)
class LoadedPhoto:
    """A photo on its way to the network: its garment, why there is none, or None where its bytes are known already."""

    item: Item
    outcome: ProductImage | Failed | None
    content: Content | None = None
    """What was read; None where nothing could be."""


@dataclass(frozen=True)
class ScoredPhoto(LoadedPhoto):
    """A photo with what became of it; `result` is None where its bytes were known already."""

    result: Result | None = None


def load_photos(
    items: Iterable[Item],
    workers: int | None = None,
    allow_truncated: bool = False,
    known: Callable[[bytes], bool] = lambda sha256: False,
) -> Generator[LoadedPhoto, None, None]:
    """Yield each item with its garment, or why there is none, in their order; `workers` None takes one a processor.

    What `known`, which is asked in the workers' threads, says of the sha256 of a file's bytes spares decoding them. Who stops
    early closes the generator, which waits for the threads, before what `known` asks.
    """

    def work(item: Item) -> LoadedPhoto:
        if item.problem is not None or item.file is None:
            return LoadedPhoto(item, item.problem or Failed("bad_row", "an item without a file"))
        got = read(item.file)
        if isinstance(got, Failed):
            return LoadedPhoto(item, got)
        encoded, content = got
        if known(content.sha256):
            return LoadedPhoto(item, None, content)
        photo = decode_bytes(encoded, str(item.file), allow_truncated)
        return LoadedPhoto(item, photo if isinstance(photo, Failed) else _cut(photo, str(item.file)), content)

    count = workers or _processors()
    with ThreadPoolExecutor(count, "photos") as pool:
        yield from _in_order(pool, work, items, READ_AHEAD * count)


def _cut(photo: Photo, name: str) -> ProductImage | Failed:
    """Return the garment of a photo; what goes wrong is that photo's failure, and not that of all the others."""
    try:
        return extract_product(photo)
    except Exception as error:
        return Failed("unreadable", f"{name}: nothing could be cut out ({error or type(error).__name__})")


def _processors() -> int:
    """Return how many processors this process may use, which is less than the machine has in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], LoadedPhoto], items: Iterable[Item], ahead: int
) -> Iterator[LoadedPhoto]:
    """Yield `work` of each item in their order, with at most `ahead` of them begun and not yet taken."""
    begun: deque[Future[LoadedPhoto]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) >= ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


def product_images(batch: Iterable[LoadedPhoto]) -> list[ProductImage]:
    """Return what the network has to see of a batch: the garments in which something was found."""
    return [one.outcome for one in batch if isinstance(one.outcome, ProductImage) and one.outcome.found]


def attach_results(batch: Iterable[LoadedPhoto], probabilities: Iterable[NDArray[np.float32]]) -> Iterator[ScoredPhoto]:
    """Yield what became of each photo of a batch; `probabilities` are those of `product_images` it.

    Each of these pictures takes the next row, so that no failed photo borrows its neighbour's tag.
    """
    rows = iter(probabilities)
    for one in batch:
        result: Result | None = None
        if isinstance(one.outcome, ProductImage):
            result = Result(None, next(rows) if one.outcome.found else None, one.outcome.truncated)
        elif one.outcome is not None:
            result = Result(one.outcome)
        yield ScoredPhoto(one.item, one.outcome, one.content, result)
