"""Read photos ahead of those who decode them, so that a slow disk or a network share is busy while the processors are."""

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition

from tagger.embedded_photos import read_embedded
from tagger.ordered_map import map_in_order
from tagger.photos.decode import MAX_BYTES, read
from tagger.records import Content, EmbeddedPhoto, Failed, Holder, Item, RemotePhoto
from tagger.storage.running import Stopped, stop_requests
from tagger.storage.traffic import Traffic

READERS = 8
"""Threads that wait for files: where each takes 10 ms to come, as on a network share, some 800 per second come all the same."""

BYTES_AHEAD = 32_000_000
"""Bytes of files in memory, read and not yet decoded; a larger file is in memory alone."""

EXPECTED_BYTES = 500_000
"""Bytes that a photo at an address is expected to have whose server does not tell them beforehand."""


@dataclass(frozen=True)
class ReadItem:
    """An item of a catalog with the bytes of its photo, or with the failure to read them."""

    item: Item
    outcome: tuple[bytes, Content] | Failed
    known: bool
    """Whether a result is stored for these bytes."""
    held: int
    """Bytes of the budget that are free again once `ReadAhead.release` is called with this."""
    traffic: Traffic | None = None
    """Counts of the requests for a photo at an address."""


class ReadAhead:
    """Reads items in threads, once, some ahead of the one that is taken.

    Args:
        known: whether a result is stored for a file's sha256; it is called in the threads.
        readers: threads that read.
        at_most: bytes that are held at once.
    """

    def __init__(self, known: Callable[[bytes], bool], readers: int = READERS, at_most: int = BYTES_AHEAD) -> None:
        self._known = known
        self._readers = readers
        self._at_most = at_most
        self._held = 0
        self._turn = 0
        self._stopped = False
        self._changed = Condition()

    def read(self, items: Iterable[Item]) -> Generator[ReadItem, None, None]:
        """Yield the items in their order, read; each must be released once its bytes are no longer needed.

        As many as there are threads are begun together, once all before them are taken: a request takes less time while the
        processor's caches still hold what the one before it needed. A caller that stops early must close the generator.
        """
        with ThreadPoolExecutor(self._readers, "read") as pool:
            try:
                yield from map_in_order(pool, self._read, enumerate(items), self._readers, at_once=self._readers)
            finally:
                self._stop()

    def release(self, held: int) -> None:
        """Give bytes of the budget back."""
        with self._changed:
            self._held -= held
            self._changed.notify_all()

    def _stop(self) -> None:
        """Wake the threads that wait for their turn, for bytes or for an answer: none are needed from here on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        stop_requests()

    def _read(self, numbered: tuple[int, Item]) -> ReadItem:
        number, item = numbered
        held = self._reserve(number, _expected_size(item))
        if self._stopped:
            raise Stopped
        traffic = Traffic() if isinstance(item.place, RemotePhoto) else None
        outcome = _outcome(item, traffic)
        if traffic is not None and not isinstance(outcome, Failed):
            held = self._correct(held, len(outcome[0]))
        known = not isinstance(outcome, Failed) and self._known(outcome[1].sha256)
        return ReadItem(item, outcome, known, held, traffic)

    def _reserve(self, number: int, size: int) -> int:
        """Wait until so many bytes may be held, and return what is held now.

        In the order of the items: a later one could take what an earlier one needs, whose place everybody waits for.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or (self._turn == number and self._fits(size)))
            self._turn += 1
            self._held += size
            self._changed.notify_all()
        return size

    def _correct(self, held: int, size: int) -> int:
        """Hold as many bytes as have come in place of those that were expected, and return them."""
        with self._changed:
            self._held += size - held
            self._changed.notify_all()
        return size

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= self._at_most


def read_holder(holder: Holder, traffic: Traffic | None = None) -> tuple[bytes, Content] | Failed:
    """Read a file, the bytes in a row of a table, or those at an address, as `decode.read` does.

    `traffic` counts the requests for an address. Raises `StorageError` where a bucket as a whole cannot be used.
    """
    if isinstance(holder, RemotePhoto):
        from tagger.storage.objects import read_object  # and with it the clients of buckets

        return read_object(holder, MAX_BYTES, Traffic() if traffic is None else traffic)
    return read_embedded(holder) if isinstance(holder, EmbeddedPhoto) else read(holder)


def _outcome(item: Item, traffic: Traffic | None) -> tuple[bytes, Content] | Failed:
    holder = item.holder
    if item.problem is not None or holder is None:
        return item.problem or Failed("bad_row", "an item without a file")
    return read_holder(holder, traffic)


def _expected_size(item: Item) -> int:
    """Return the bytes that reading an item's photo will take; 0 where it will fail, or has changed its size meanwhile."""
    holder = None if item.problem else item.holder
    if isinstance(holder, EmbeddedPhoto):
        return holder.size
    if isinstance(holder, RemotePhoto):
        return EXPECTED_BYTES if holder.size is None else min(holder.size, MAX_BYTES)
    try:
        return os.stat(holder).st_size if holder is not None else 0  # noqa: PTH116 - on plain names half the time
    except (OSError, ValueError):
        return 0
