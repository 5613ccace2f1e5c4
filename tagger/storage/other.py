"""Make requests to Google Cloud Storage and Azure Blob Storage, as fsspec makes them to every store that it knows."""

import logging
import warnings
from pathlib import Path
from typing import Any

import fsspec

from tagger.storage.addresses import bucket_address
from tagger.storage.faults import Fault
from tagger.storage.retries import attempt
from tagger.storage.states import state_of
from tagger.storage.stores import ListedObject, ObjectState, Page
from tagger.storage.traffic import Traffic

_TAGS = ("generation", "etag", "md5Hash", "content_settings", "last_modified", "updated", "mtime")
"""What stores tell of an object that changes with it, the surest first."""


def open_store(scheme: str) -> "OtherStore":
    """Return the store of a scheme, with the credentials of the environment."""
    for name in ("gcsfs", "azure", "adlfs"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries, about Python 3.10, which is nothing for a log
        return OtherStore(fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False))


class OtherStore:
    """Requests through a file system of fsspec."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def page(self, folder: str, token: Any) -> Page:
        """Return the next objects in the order of their keys, up to another folder, which is listed for the next page.

        A token has what is left, the last first: entries that were listed, and folders, whose names end with `/`.
        """
        root = _path(folder)
        left: list[ListedObject | str] = [root] if token is None else token
        if isinstance(left[-1], str):  # requested before anything is taken, so that the page can be requested again
            entries = self._entries(left[-1], root)
            left.pop()
            left += reversed(entries)
        objects: list[ListedObject] = []
        while left and isinstance(entry := left[-1], ListedObject):
            objects.append(entry)
            left.pop()
        return objects, left or None

    def _entries(self, folder: str, root: str) -> list[ListedObject | str]:
        """Return the objects and folders in a folder, in the order of the keys; marks of folders are left out."""
        found: dict[str, ListedObject | str] = {}
        for one in self._files.ls(folder, detail=True):
            if one["type"] == "directory":
                name = one["name"].rstrip("/") + "/"
                found[name] = name
            elif len(one["name"]) > len(root) and not one["name"].endswith("/"):
                found[one["name"]] = ListedObject(one["name"][len(root) :], one["size"] or 0, _state(one).state)
        return [found[name] for name in sorted(found, key=str.encode) if name != folder]

    def state(self, address: str) -> ObjectState:
        """Return size and generation or entity tag of an object."""
        found = self._files.info(_path(address))
        if found["type"] != "file":
            raise Fault("missing", "no such object")
        return _state(found)

    def get(self, address: str, max_bytes: int) -> tuple[bytes, ObjectState | None]:
        """Return an object; its state is that of the listing, as the answer does not tell it."""
        content: bytes = self._files.cat_file(_path(address))
        if len(content) > max_bytes:
            raise Fault("too_large", f"longer than {max_bytes:,} bytes")
        return content, None

    def fetch(self, address: str, file: Path, traffic: Traffic) -> ObjectState:
        """Write an object into a file."""
        state = attempt("head", traffic, lambda: self.state(address))
        attempt("get", traffic, lambda: self._files.get_file(_path(address), str(file)))
        return state

    def close(self) -> None:
        """Leave the connections to the end of the process, with which fsspec's own thread ends."""

    def put(self, file: Path, address: str, tag: str | None, traffic: Traffic) -> ObjectState:
        """Write an object, if it is as expected right before."""
        if tag is not None and self._tag(address, traffic) != tag:
            raise Fault("changed", "it was written meanwhile")
        attempt("put", traffic, lambda: self._files.put_file(str(file), _path(address)))
        return attempt("head", traffic, lambda: self.state(address))

    def _tag(self, address: str, traffic: Traffic) -> str:
        try:
            return attempt("head", traffic, lambda: self.state(address)).tag
        except Fault as fault:
            if fault.kind == "missing":
                return ""
            raise


def _path(address: str) -> str:
    _, bucket, key = bucket_address(address)
    return f"{bucket}/{key}"


def _state(entry: dict[str, Any]) -> ObjectState:
    tag = next((str(entry[name]) for name in _TAGS if entry.get(name)), "")
    return ObjectState(entry["size"], state_of(tag, entry["size"]) if tag else None, tag)
