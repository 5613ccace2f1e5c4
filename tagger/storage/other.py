"""Make requests to Google Cloud Storage and Azure Blob Storage, as fsspec makes them to every store that it knows."""

import logging
from pathlib import Path
from typing import Any

import fsspec

from tagger.storage import settings
from tagger.storage.addresses import bucket_address
from tagger.storage.faults import Fault
from tagger.storage.states import state_of
from tagger.storage.stores import ListedObject, ObjectState, Page

_TAGS = ("generation", "etag", "md5Hash", "content_settings", "last_modified", "updated", "mtime")
"""What stores tell of an object that changes with it, the surest first."""


def open_store(scheme: str) -> "OtherStore":
    """Return the store of a scheme, with the credentials of the environment."""
    for name in ("gcsfs", "azure", "adlfs"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return OtherStore(fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False))


class OtherStore:
    """Requests through a file system of fsspec."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def page(self, folder: str, token: str | None) -> Page:
        """Return the objects of one folder and, as the next pages, those of the folders in it, in the order of their names.

        A token is the list of the folders that are still to be listed, one a line.
        """
        root = _path(folder)
        here, *later = token.split("\n") if token else [root]
        entries = sorted(self._files.ls(here, detail=True), key=lambda one: one["name"].encode())
        folders = [one["name"].rstrip("/") + "/" for one in entries if one["type"] == "directory"]
        objects = [
            ListedObject(one["name"][len(root) :], one["size"] or 0, _state(one).state)
            for one in entries
            if one["type"] == "file" and len(one["name"]) > len(root) and not one["name"].endswith("/")
        ]
        return objects, "\n".join([*folders, *later]) or None

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

    def part(self, address: str, first: int, tag: str) -> bytes:
        """Return a part of an object."""
        content: bytes = self._files.cat_file(_path(address), start=first, end=first + settings.PART_BYTES)
        return content

    def put(self, file: Path, address: str, tag: str | None) -> ObjectState:
        """Write an object, if it is as expected right before."""
        if tag is not None:
            try:
                before = self.state(address).tag
            except FileNotFoundError:
                before = ""
            if before != tag:
                raise Fault("changed", "it was written meanwhile")
        self._files.put_file(str(file), _path(address))
        return self.state(address)


def _path(address: str) -> str:
    _, bucket, key = bucket_address(address)
    return f"{bucket}/{key}"


def _state(entry: dict[str, Any]) -> ObjectState:
    tag = next((str(entry[name]) for name in _TAGS if entry.get(name)), "")
    return ObjectState(entry["size"], state_of(tag, entry["size"]) if tag else None, tag)
