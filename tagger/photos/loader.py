"""Load photos as product images: read, decode and extract in threads, in order, reading a bounded number ahead."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.errors import FmtagError, reason_of
from tagger.ordered_map import map_in_order
from tagger.photos.decode import decode_bytes
from tagger.photos.product import extract_product
from tagger.photos.reading import ReadAhead, ReadItem, read_holder
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.processors import available_processors
from tagger.records import (
    Content,
    EmbeddedPhoto,
    Failed,
    Holder,
    Item,
    NetworkOutputs,
    Photo,
    ProductImage,
    RemotePhoto,
    Result,
)
from tagger.storage.addresses import shown
from tagger.storage.traffic import Traffic

Compute: TypeAlias = Callable[[ProductImage], NetworkOutputs | None]
"""Runs the networks of a bundle on one product image, in the calling thread."""

READ_AHEAD = 16
"""Photos per worker that are in progress or waiting to be taken: enough that no worker idles while a batch is recorded."""


@dataclass(frozen=True)
class LoadedPhoto:
    """An item of a catalog with its product image, or with the failure to load it."""

    item: Item
    outcome: ProductImage | Failed | None
    """None where the file's bytes are known already, so that it was not decoded."""
    content: Content | None = None
    """Hash, size and time of the file; None where it could not be read."""
    outputs: NetworkOutputs | None = None
    """What the networks made of the product image, which then lacks the colours; None where they have not run."""
    traffic: Traffic | None = None
    """Counts of the requests for a photo at an address."""


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
    compute: Compute = lambda image: None,
    colour: bool = True,
    decoded: Callable[[], None] = lambda: None,
) -> Generator[LoadedPhoto, None, None]:
    """Load items in threads and yield them in their order, reading a bounded number of photos and of bytes ahead.

    Args:
        items: taken one by one, as reading ahead requires.
        workers: photos that are processed at once; None for one per processor that this process may use.
        decoding: which truncated, damaged or large files are decoded.
        known: whether a result is stored for a file's sha256; such files are not decoded. It is called in the threads.
        compute: runs the networks on a product image that was found, in the threads; None where they are run elsewhere.
        colour: whether product images in colour are needed.
        decoded: called in the threads when a photo has been decoded; its product is looked for afterwards.

    A caller that stops early must close the generator, which waits for the threads, before it closes what `known` uses.
    """
    ahead = ReadAhead(known)

    def load(read: ReadItem) -> LoadedPhoto:
        try:
            return _load(read, decoding, compute, colour, decoded)
        finally:
            ahead.release(read.held)

    count = workers or available_processors()
    with one_opencv_thread(), ThreadPoolExecutor(count, "photos") as pool, closing(ahead.read(items)) as read_items:
        yield from map_in_order(pool, load, read_items, READ_AHEAD * count)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV compute in the calling thread alone while the block lasts, as the photos are divided among threads already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _load(read: ReadItem, decoding: DecodeSettings, compute: Compute, colour: bool, decoded: Callable[[], None]) -> LoadedPhoto:
    """Decode what was read of an item, extract its product image and run the networks on it."""
    item, traffic = read.item, read.traffic
    if isinstance(read.outcome, Failed):
        return LoadedPhoto(item, read.outcome, traffic=traffic)
    encoded, content = read.outcome
    if read.known:
        return LoadedPhoto(item, None, content, traffic=traffic)
    name = item.path if item.holder is None else name_of(item.holder)
    image, outputs = _compute_or_fail(encoded, name, decoding, compute, colour, decoded)
    if outputs is None or isinstance(image, Failed):
        return LoadedPhoto(item, image, content, traffic=traffic)
    # The networks have seen the colours, which take 150 kB.
    return LoadedPhoto(item, _without_colour(image), content, outputs, traffic)


def load_bytes(
    encoded: bytes,
    name: str,
    decoding: DecodeSettings = DEFAULT_DECODING,
    compute: Compute = lambda image: None,
    colour: bool = True,
) -> LoadedPhoto:
    """Load a photo from the bytes of its file, in the calling thread, as `load_photos` loads the file itself.

    `name` is the item's path and the photo's name in the detail of a failure; nothing is opened by it. The product image keeps
    its colours, so that they can be shown.
    """
    image, outputs = _compute_or_fail(encoded, name, decoding, compute, colour, lambda: None)
    content = Content(hashlib.sha256(encoded).digest(), len(encoded), None)
    return LoadedPhoto(Item(name, None), image, content, outputs)


def _compute_or_fail(
    encoded: bytes, name: str, decoding: DecodeSettings, compute: Compute, colour: bool, decoded: Callable[[], None]
) -> tuple[ProductImage | Failed, NetworkOutputs | None]:
    """Decode the bytes of a photo, extract its product image and run the networks on it, where it shows a product."""
    photo = decode_bytes(encoded, name, decoding)
    if isinstance(photo, Failed):
        return photo, None
    decoded()
    image = _extract_or_fail(photo, name, colour)
    return image, compute(image) if isinstance(image, ProductImage) and image.found else None


def _without_colour(image: ProductImage) -> ProductImage:
    return replace(image, colour=None, regions=tuple(replace(region, colour=None) for region in image.regions))


def decode_holder(holder: Holder) -> Photo | Failed:
    """Decode the photo of a file, of a row of a table or at an address, as `decode.decode` does."""
    found = read_holder(holder)
    return found if isinstance(found, Failed) else decode_bytes(found[0], name_of(holder))


def name_of(holder: Holder) -> str:
    """Return what the photo is called in the detail of a failure."""
    if isinstance(holder, RemotePhoto):
        return shown(holder.address)
    return holder.name if isinstance(holder, EmbeddedPhoto) else str(holder)


def _extract_or_fail(photo: Photo, name: str, colour: bool) -> ProductImage | Failed:
    """Extract the product image; an exception becomes the failure of this photo and does not end the run."""
    try:
        return extract_product(photo, colour=colour)
    except FmtagError:  # not this photo's failure but that of the installation
        raise
    except Exception as error:
        return Failed("unreadable", f"{name}: nothing could be cut out ({reason_of(error)})")


def with_product(batch: Iterable[LoadedPhoto]) -> list[LoadedPhoto]:
    """Return the photos of a batch in which a product was found."""
    return [photo for photo in batch if isinstance(photo.outcome, ProductImage) and photo.outcome.found]


def product_images(batch: Iterable[LoadedPhoto]) -> list[ProductImage]:
    """Return the product images of a batch in which a product was found: the input of the networks."""
    return [cast(ProductImage, photo.outcome) for photo in with_product(batch)]


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
        yield ScoredPhoto(photo.item, photo.outcome, photo.content, photo.outputs, photo.traffic, result)
