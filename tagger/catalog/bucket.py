"""Read a source that lies in a bucket: its photos as a stream, or one photo, or a table, which is downloaded to be read."""

import os
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from tagger.catalog.content import NOT_A_PHOTO
from tagger.catalog.items import Source
from tagger.catalog.selection import Selection
from tagger.catalog.settings import SourceSettings
from tagger.catalog.spellings import clean
from tagger.errors import SourceError
from tagger.file_kinds import IMAGE_SUFFIXES, TABLE_SUFFIXES
from tagger.records import Failed, Item, RemoteFolder, RemotePhoto
from tagger.storage.addresses import is_bucket, join, name, parent, shown, split_signature
from tagger.storage.objects import ListedObject, download, list_objects, object_state
from tagger.storage.traffic import Traffic

ReadTable: TypeAlias = Callable[[Path], Source]
"""Opens a table that was downloaded."""

OnIgnored: TypeAlias = Callable[[str, str], None]


def open_bucket(source: str, reading: SourceSettings, read_table: ReadTable, on_ignored: OnIgnored, traffic: Traffic) -> Source:
    """Open the photos below an address, or the photo or the table at it.

    What ends as a photo or a table does, and is there, is one; all else is a folder, whose name need not end with `/`. Raises
    `SourceError` where nothing is there, and `StorageError` where that cannot be found out.
    """
    address, signature = split_signature(source)
    suffix = _suffix(address)
    found = suffix and not address.endswith("/") and object_state(address, traffic, signature)
    if found and suffix in TABLE_SUFFIXES:
        return _downloaded_table(address, signature, read_table, traffic)
    if found or not is_bucket(address):
        if reading.exclude or reading.include:
            raise SourceError(f"--exclude and --include select files of a folder, and {shown(address)} is one file; omit them.")
        if not found and suffix not in IMAGE_SUFFIXES:
            raise SourceError(f"{shown(address)} cannot be listed; give a table of addresses, or a folder of a bucket.")
        size, state = (found.size, found.state) if found else (None, None)
        return Source(iter([Item(address, RemotePhoto(address, size, state, signature))]), Path())
    folder = address if address.endswith("/") else f"{address}/"
    objects = list_objects(folder, traffic)
    first = next(objects, None)
    if first is None:
        raise SourceError(f"There is nothing at {shown(address)}; give a folder, a photo or a table that is in the bucket.")
    return Source(_photos(folder, chain([first], objects), reading, on_ignored), RemoteFolder(folder))


def _photos(folder: str, objects: Iterator[ListedObject], reading: SourceSettings, on_ignored: OnIgnored) -> Iterator[Item]:
    """Yield the photos of a listing, told by their names: to open each other object would be a request."""
    selection = _ListingSelection(reading)
    for key, size, state in objects:
        if why := selection.why_left_out(key):
            on_ignored(key, why)
        elif _suffix(key) not in IMAGE_SUFFIXES:
            on_ignored(key, NOT_A_PHOTO)
        else:
            yield Item(key, RemotePhoto(folder + key, size, state))


def _suffix(key: str) -> str:
    return os.path.splitext(name(key))[1].lower()


class _ListingSelection:
    """What `Selection` says of the objects of a listing: also of the folders in their keys, which a listing does not name."""

    def __init__(self, reading: SourceSettings) -> None:
        self._selection = Selection(reading)
        self._folder = self._why = ""

    def why_left_out(self, key: str) -> str:
        folder, _, last = key.rpartition("/")
        if folder != self._folder:
            self._folder, self._why = folder, self._why_folder_left_out(folder)
        return self._why or self._selection.why_left_out(key, last, False)

    def _why_folder_left_out(self, folder: str) -> str:
        parts = folder.split("/") if folder else []
        paths = ("/".join(parts[: number + 1]) for number in range(len(parts)))
        reasons = (self._selection.why_left_out(path, part, True) for path, part in zip(paths, parts, strict=True) if part)
        return next(filter(None, reasons), "")


# Tables ------------------------------------------------------------------------------------------------------------


class _Copy:
    """A folder for the copy of a table, which is removed with this."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fmtag-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def _downloaded_table(address: str, signature: str, read_table: ReadTable, traffic: Traffic) -> Source:
    """Open a copy of a table, which lasts as long as the source; relative paths start from the folder of the table itself."""
    copy, folder = _Copy(), parent(address)
    file = copy.folder / name(address)
    download(address, file, traffic, signature)
    opened = read_table(file)
    items = (_in_bucket(item, copy.folder, folder) for item in opened.items)
    return replace(opened, items=items, root=RemoteFolder(folder), copy=copy)


def _in_bucket(item: Item, copied: Path, folder: str) -> Item:
    """Return an item of a copied table with the photo in the bucket in place of the file that is not beside the copy."""
    missing = item.problem is None or item.problem.reason == "missing"
    if not (missing and isinstance(item.place, str) and item.place.startswith(f"{copied}{os.sep}")):
        return item
    path = posixpath.normpath(clean(item.path).replace("\\", "/").lstrip("/"))
    if path.startswith(".."):
        detail = f"{item.path}: a path that leads out of the table's folder, as none does in a bucket"
        return item._replace(place=None, problem=Failed("bad_row", detail))
    return item._replace(place=RemotePhoto(join(folder, path)), problem=None)
