"""List the items of a source with the current size and time of their files, by which the ledger tells what is new.

Of a photo at an address its state, which stands for its entity tag and version, takes the place of a time.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice

from tagger.catalog.addresses import is_by_name
from tagger.catalog.items import Source
from tagger.catalog.places import prefix
from tagger.records import EmbeddedPhoto, Failed, Item, RemoteFolder, RemotePhoto
from tagger.run.ledger_values import EARLIEST_NS, LATEST_NS, ListedFile
from tagger.run.summary import RunSummary
from tagger.storage.addresses import is_remote
from tagger.storage.running import stop_requests
from tagger.storage.traffic import Traffic

REQUESTS_AT_ONCE = 32
"""Addresses whose state is requested at once."""

ITEMS_AT_ONCE = 1_024
"""Items whose states are waited for together."""


def listed_files(catalog: Source, settle: float, summary: RunSummary) -> Iterator[ListedFile]:
    """Yield the items of a source with the size and time of their files, in their order; no file is opened.

    Args:
        catalog: its items are taken one by one.
        settle: files that were written within so many seconds are left out; not photos at addresses, which appear whole.
        summary: gets the number of addresses that were matched to a file by its name, and of requests.

    Raises:
        StorageError: a bucket as a whole cannot be used.
    """
    settle_ns = settle * 1e9
    root = catalog.root
    before_path = root.address if isinstance(root, RemoteFolder) else os.path.join(prefix(root), "")
    for path, place, columns, problem in (
        _with_states(catalog.items, summary.traffic) if catalog.names_addresses else catalog.items
    ):
        if place is None:
            failure = problem or Failed("bad_row", f"{path}: no file")
            yield ListedFile(path, failure=failure.reason, detail=failure.detail, columns=columns or None)
            continue
        if isinstance(place, EmbeddedPhoto):  # its bytes tell whether it is another one, more surely than a time
            yield ListedFile(path, place.size, place.digest, columns=columns or None, place=place)
            continue
        if isinstance(place, RemotePhoto):
            yield _listed_photo(path, place, before_path, columns)
            continue
        name = os.fspath(place)
        listed_place = None if name == before_path + path else name
        if listed_place is not None and is_by_name(path, listed_place):
            summary.matched_addresses += 1
        try:
            # On Linux `DirEntry.stat` takes as long; on Windows it tells what the folder says, which may be out of date.
            found = os.stat(name)  # noqa: PTH116 (on plain names half the time)
        except (OSError, ValueError):
            yield ListedFile(path, detail=problem.detail if problem else None, columns=columns or None, place=listed_place)
            continue
        mtime_ns = found.st_mtime_ns
        if not EARLIEST_NS <= mtime_ns <= LATEST_NS:
            mtime_ns = EARLIEST_NS if mtime_ns < EARLIEST_NS else LATEST_NS
        # A file from the future, as after a clock was set back, counts as settled.
        settling = settle_ns > 0 and abs(time.time_ns() - mtime_ns) < settle_ns
        if settling or columns or listed_place is not None:
            yield ListedFile(path, found.st_size, mtime_ns, settling, None, None, columns or None, listed_place)
        else:
            yield ListedFile(path, found.st_size, mtime_ns)


def _listed_photo(path: str, place: RemotePhoto, before_path: str, columns: Mapping[str, object]) -> ListedFile:
    """Return a photo at an address as it is listed; without a state its size alone would pass for one."""
    listed_place = None if place.address == (path if is_remote(path) else before_path + path) else place
    size = None if place.state is None else place.size
    return ListedFile(path, size, place.state, columns=columns or None, place=listed_place, signature=place.signature)


def _with_states(items: Iterable[Item], traffic: Traffic) -> Iterator[Item]:
    """Yield items with size and state of those at addresses, as far as their servers tell them."""
    remaining = iter(items)
    with ExitStack() as stack:
        pool: ThreadPoolExecutor | None = None
        while chunk := list(islice(remaining, ITEMS_AT_ONCE)):
            if any(isinstance(item.place, RemotePhoto) for item in chunk):
                if pool is None:
                    pool = stack.enter_context(ThreadPoolExecutor(REQUESTS_AT_ONCE, "states"))
                    stack.callback(stop_requests)  # before the pool waits for its threads, if one of them failed
                yield from pool.map(partial(_with_state, traffic), chunk)
            else:
                yield from chunk


def _with_state(traffic: Traffic, item: Item) -> Item:
    place = item.place
    if not isinstance(place, RemotePhoto) or item.problem is not None:
        return item
    from tagger.storage.objects import object_state

    found = object_state(place.address, traffic, place.signature)
    return item if found is None else item._replace(place=place._replace(size=found.size, state=found.state))
