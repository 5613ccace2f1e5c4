"""Open the store that an address belongs to: what makes its requests, once per process, with the environment's credentials."""

import atexit
import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol, TypeAlias

from tagger.errors import StorageError
from tagger.storage.addresses import is_bucket
from tagger.storage.faults import Fault
from tagger.storage.traffic import Traffic

_MODULES = {"s3": ("s3", "s3fs"), "gs": ("other", "gcsfs"), "az": ("other", "adlfs"), "http": ("web", "aiohttp")}
"""By scheme the module that makes the requests, and the library that it needs; https is http."""


class ObjectState(NamedTuple):
    """What tells one version of an object from another."""

    size: int | None
    """Bytes; None where its server does not tell them."""
    state: int | None
    """A signed number of 64 bits; None where its server tells nothing that changes with the object."""
    tag: str = ""
    """The store's own word for it (entity tag), which conditions of a write are about."""


class ListedObject(NamedTuple):
    """An object of a listing."""

    key: str
    """Relative to the folder that is listed."""
    size: int
    state: int | None


Page: TypeAlias = tuple[list[ListedObject], Any]
"""Objects of a listing, and what the next page is requested by; None after the last one."""


class Store(Protocol):
    """Makes requests, each of which may raise what `faults.fault_of` understands; may be used by several threads.

    `page`, `state` and `get` are single requests, which their caller repeats; `fetch` and `put` repeat theirs.
    """

    def page(self, folder: str, token: Any) -> Page:
        """Return a page of the objects below a folder, in the order of their keys."""
        ...

    def state(self, address: str) -> ObjectState:
        """Return the state of an object."""
        ...

    def get(self, address: str, max_bytes: int) -> tuple[bytes, ObjectState | None]:
        """Return the whole of an object, with its state if the answer tells it."""
        ...

    def fetch(self, address: str, file: Path, traffic: Traffic) -> ObjectState:
        """Write the whole of an object into a file, and return its state."""
        ...

    def put(self, file: Path, address: str, tag: str | None, traffic: Traffic) -> ObjectState:
        """Write an object, as a whole or not at all; `tag`: only over one with this tag, "" for none, None over any."""
        ...

    def close(self) -> None:
        """End all connections; no request may be in progress."""
        ...


def store_of(address: str) -> Store:
    """Return the store of an address, the same one within a process.

    Raises `StorageError` where the libraries for it are not installed.
    """
    scheme = address.partition("://")[0].lower()
    with _opening:
        return _opened("http" if scheme == "https" else scheme, os.getpid())  # a forked process cannot use those of another


def close_stores() -> None:
    """Close the stores that this process has opened, and end their threads; what is requested later opens them anew."""
    with _opening:
        _opened.cache_clear()
        while _stores:
            _stores.pop().close()


_opening = Lock()

_stores: list[Store] = []
"""All that are open."""


def _begin_anew() -> None:
    """Begin with a lock that is free and without stores: the threads of both are not in a forked process."""
    global _opening
    _opening = Lock()
    _stores.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@lru_cache(maxsize=8)
def _opened(scheme: str, process: int) -> Store:
    module, library = _MODULES[scheme]
    if any(find_spec(name) is None for name in ("fsspec", "tenacity", library)):
        what = "reads and writes buckets" if is_bucket(f"{scheme}://") else "fetches photos from web servers"
        raise StorageError(f"What {what} is not installed; install it: pip install 'fmtag[cloud]'")
    try:
        store: Store = import_module(f"tagger.storage.{module}").open_store(scheme)
    except ValueError as error:  # of adlfs, where the environment does not name the account
        raise Fault("credentials", "the environment has none, or not all that is needed") from error
    if not _stores:
        atexit.register(close_stores)
    _stores.append(store)
    return store
