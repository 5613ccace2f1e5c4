"""Read a source that lies in a bucket: its photos as a stream, or one photo, or a table, which is downloaded to be read."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urljoin

from tagger.catalog.content import NOT_A_PHOTO
from tagger.catalog.items import Source
from tagger.catalog.selection import Selection
from tagger.catalog.settings import SourceSettings
from tagger.catalog.spellings import clean
from tagger.errors import SourceError
from tagger.file_kinds import IMAGE_SUFFIXES, TABLE_SUFFIXES, begins_photo
from tagger.records import Failed, Item, RemoteFolder, RemotePhoto
from tagger.storage.addresses import bucket_address, is_bucket, join, name, parent, shown, split_signature
from tagger.storage.objects import ListedObject, ObjectState, download, list_objects, object_state
from tagger.storage.traffic import Traffic

ReadTable: TypeAlias = Callable[[Path], Source]
"""Opens a table that was downloaded."""

OnIgnored: TypeAlias = Callable[[str, str], None]

SLASHES_BEFORE_PATH = 3
"""In the address of a web server's file: `https://host/file`."""

LONGEST_NAME = 200
"""Bytes of a name that every file system takes; a key may have 1,024."""


def open_bucket(source: str, reading: SourceSettings, read_table: ReadTable, on_ignored: OnIgnored, traffic: Traffic) -> Source:
    """Open the photos below an address, or the photo or the table at it.

    What ends as a photo or a table does, and is there, is one; all else is a folder, whose name need not end with `/`, or where
    there is none, an object of another name, which its content tells. Raises `SourceError` where nothing is there, and
    `StorageError` where that cannot be found out.
    """
    address, signature = split_signature(source)
    if not is_bucket(address):
        return _open_web(address, signature, reading, read_table, traffic)
    suffix = _suffix(address) if bucket_address(address).key else ""
    found = object_state(address, traffic) if suffix in {*IMAGE_SUFFIXES, *TABLE_SUFFIXES} else None
    if found is not None and suffix in TABLE_SUFFIXES:
        return _downloaded_table(address, "", reading, read_table, traffic)
    if found is None:
        folder = address if address.endswith("/") else f"{address}/"
        objects = list_objects(folder, traffic)
        first = next(objects, None)
        if first is not None:
            return Source(_photos(folder, chain([first], objects), reading, on_ignored), RemoteFolder(folder))
        if address.endswith("/") or not bucket_address(address).key or object_state(address, traffic) is None:
            raise SourceError(f"There is nothing at {shown(address)}; give a folder, a photo or a table that is in the bucket.")
        return _downloaded_table(address, "", reading, read_table, traffic)
    return _photo(address, "", found, reading)


def _open_web(address: str, signature: str, reading: SourceSettings, read_table: ReadTable, traffic: Traffic) -> Source:
    if not name(address) or address.count("/") < SLASHES_BEFORE_PATH:
        raise SourceError(f"{shown(address)} cannot be listed; give a table of addresses, or a folder of a bucket.")
    if _suffix(address) not in IMAGE_SUFFIXES:
        return _downloaded_table(address, signature, reading, read_table, traffic)
    return _photo(address, signature, object_state(address, traffic, signature), reading)


def _photo(address: str, signature: str, found: ObjectState | None, reading: SourceSettings) -> Source:
    """Return the source that is one photo; what is `missing` is found out where it is read."""
    _refuse_patterns(address, reading)
    size, state = (None, None) if found is None else (found.size, found.state)
    return Source(iter([Item(address, RemotePhoto(address, size, state, signature))]), Path())


def _refuse_patterns(address: str, reading: SourceSettings) -> None:
    if reading.exclude or reading.include:
        raise SourceError(f"--exclude and --include select files of a folder, and {shown(address)} is one file; omit them.")


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


def _downloaded_table(address: str, signature: str, reading: SourceSettings, read_table: ReadTable, traffic: Traffic) -> Source:
    """Open a copy of a table, which lasts as long as the source; relative paths start from the folder of the table itself.

    An object that is a photo, though its name does not say so, is the source that is one photo.
    """
    _refuse_patterns(address, reading)
    copy, folder = _Copy(), parent(address)
    file = copy.folder / _copy_name(address)
    state = download(address, file, traffic, signature)
    if _suffix(address) not in TABLE_SUFFIXES and begins_photo(file):
        return _photo(address, signature, state, reading)
    with _told_of(address, file):
        opened = read_table(file)
    return replace(opened, items=_placed(opened.items, file, address), root=RemoteFolder(folder), copy=copy)


def _copy_name(address: str) -> str:
    """Return the name of a table's copy: its own, unless no file here can have it."""
    own = name(address)
    return own if len(own.encode()) <= LONGEST_NAME and own.isprintable() else f"table{_suffix(address)}"


@contextmanager
def _told_of(address: str, file: Path) -> Iterator[None]:
    """Let errors name the table rather than its copy."""
    try:
        yield
    except SourceError as error:
        raise SourceError(str(error).replace(str(file), shown(address))) from error


def _placed(items: Iterator[Item], file: Path, address: str) -> Iterator[Item]:
    copied, folder = f"{file.parent}{os.sep}", parent(address)
    with _told_of(address, file):
        for item in items:
            yield _in_bucket(item, copied, folder)


def _in_bucket(item: Item, copied: str, folder: str) -> Item:
    """Return an item of a copied table with the photo at an address in place of a file that is not on this machine."""
    place = item.place
    missing = item.problem is None or item.problem.reason == "missing"
    if not (missing and isinstance(place, str) and (place.startswith(copied) or not os.path.lexists(place))):
        return item
    path = clean(item.path).replace("\\", "/")
    address = _below(folder, path.lstrip("/")) if is_bucket(folder) else urljoin(folder, path)
    if address is None:
        detail = f"{item.path}: a path that leads out of the bucket"
        return item._replace(place=None, problem=Failed("bad_row", detail))
    return item._replace(place=RemotePhoto(address), problem=None)


def _below(folder: str, path: str) -> str | None:
    """Return the address of a path that starts from a folder of a bucket; None for one that leads out of the bucket.

    A path without `.` and `..` is a key as it is, in which `//` means what it does.
    """
    parts = path.split("/")
    if not {".", ".."} & {*parts}:
        return join(folder, path)
    scheme, bucket, before = bucket_address(folder)
    kept = before.split("/")[:-1]
    for part in parts:
        if part == ".." and not kept:
            return None
        if part == "..":
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return f"{scheme}://{bucket}/{'/'.join(kept)}"
