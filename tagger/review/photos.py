"""Find and read the photos of a ledger's items: the bytes that were tagged, and nothing else.

Items are named by their ids, never by a path that a request has brought. A link that leads out of the catalog shows nothing,
as whoever may put files into the catalog could show files of this machine by it; bytes other than those that were tagged show
nothing either, as a decision about them would count for the old ones.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagger.errors import StorageError, reason_of
from tagger.photos.decode import MAX_BYTES
from tagger.photos.reading import read_holder
from tagger.records import EmbeddedPhoto, Failed, RemotePhoto
from tagger.review.ledger_reader import LedgerReader
from tagger.run.ledger_values import Place, place_of, text_of
from tagger.storage.addresses import is_remote

CHANGED = "has changed since it was tagged; run fmtag again"

_ITEM = """
    SELECT items.key, contents.sha256, contents.truncated, items.size, places.place, runs.root, runs.source
    FROM items LEFT JOIN contents ON contents.id = items.content LEFT JOIN places ON places.item = items.id
    LEFT JOIN runs ON runs.id = (SELECT id FROM runs ORDER BY finished IS NULL, id DESC LIMIT 1)
    WHERE items.id = ?
"""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Refused:
    """A photo that is not shown."""

    sentence: str
    """Why, and what to do about it."""


@dataclass(frozen=True)
class FoundPhoto:
    """Where the photo of an item lies, and which bytes were tagged."""

    key: str
    place: Place
    """An absolute path, a row of a table, or an address."""
    sha256: bytes
    size: int | None
    """Bytes, where the ledger has them."""
    truncated: bool
    """Whether it was tagged as far as it goes, as its file ends early or is damaged inside."""


class Photos:
    """The photos of a ledger's items, for any number of threads.

    Args:
        reader: of the ledger.
        follow_links: whether links are followed that lead out of the catalog's folder.
    """

    def __init__(self, reader: LedgerReader, follow_links: bool = False) -> None:
        self._reader = reader
        self._follow_links = follow_links

    def find(self, item: int) -> FoundPhoto | Refused:
        """Return where the photo of an item lies; raises `LedgerError` where the ledger cannot be read."""
        rows = self._reader.rows(_ITEM, (item,))
        if not rows:
            return Refused("The ledger has no such photo.")
        return self._found(*rows[0])

    def read(self, found: FoundPhoto) -> bytes | Refused:
        """Return the bytes of a photo that was found, if they are those that were tagged."""
        content = _read_file(found) if isinstance(found.place, str) else _read_other(found.key, found.place)
        if isinstance(content, Refused) or hashlib.sha256(content).digest() == found.sha256:
            return content
        return Refused(f"{found.key} {CHANGED}.")

    def read_photo(self, item: int) -> bytes | Refused:
        """Return the bytes of an item's photo, or a sentence why they are not shown; it never waits for another program."""
        found = self.find(item)
        return found if isinstance(found, Refused) else self.read(found)

    def _found(
        self, key: Any, sha256: bytes | None, truncated: int | None, size: int | None, place: Any, root: Any, source: Any
    ) -> FoundPhoto | Refused:
        name = text_of(key)
        if sha256 is None:
            return Refused(f"{name} could not be read when fmtag ran; put the file right and run fmtag again.")
        folder = _root(root, source)
        stored = name if place is None else place_of(text_of(place))
        where = _absolute(stored, folder)
        if where is None:
            return Refused(f"{name} is a relative path, and the ledger is of an older fmtag; run fmtag again.")
        if isinstance(where, str) and not self._follow_links and _leads_out(where, folder):
            return Refused(f"{name} is a link that leads out of the catalog; start the review with --follow-links to show it.")
        return FoundPhoto(name, where, sha256, size, bool(truncated))


def _root(root: Any, source: Any) -> str | None:
    """Return the folder that relative paths start from; None where an older fmtag did not record it."""
    if root:
        return text_of(root)
    if source in (None, "-", b"-"):
        return None
    path = Path(text_of(source))
    return str(path if path.is_dir() else path.parent)


def _absolute(place: Place, root: str | None) -> Place | None:
    """Return a place whose path is absolute, or an address; None where that cannot be told."""
    if isinstance(place, RemotePhoto):
        return place
    if isinstance(place, EmbeddedPhoto):
        table = _absolute_path(place.table, root)
        return None if table is None else place._replace(table=table)
    if is_remote(place):
        return RemotePhoto(place)
    if root is not None and is_remote(root):
        return RemotePhoto(root + place)
    return _absolute_path(place, root)


def _absolute_path(path: str, root: str | None) -> str | None:
    """Return an absolute path of one from the root, or from a folder above it, where the run was started."""
    if Path(path).is_absolute():
        return path
    if root is None:
        return None
    for folder in (Path(root), *Path(root).parents):
        if os.path.lexists(folder / path):
            return os.path.join(folder, path)
    return os.path.join(root, path)


def _leads_out(place: str, root: str | None) -> bool:
    """Return whether a link leads out of the catalog.

    A photo of which a table says that it lies elsewhere may lie there, but no link may lead out of its own folder.
    """
    named = os.path.normpath(place)
    base = root if root is not None and _is_within(named, os.path.normpath(root)) else str(Path(named).parent)
    return not _is_within(os.path.realpath(place), os.path.realpath(base))


def _is_within(path: str, folder: str) -> bool:
    try:
        return os.path.commonpath([path, folder]) == folder
    except ValueError:  # on different drives of Windows
        return False


def _read_file(found: FoundPhoto) -> bytes | Refused:
    try:
        # A link has been followed by its real path, which is none: one that takes its place since then is refused.
        handle = os.open(os.path.realpath(str(found.place)), _FLAGS)
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                return Refused(f"{found.key} is not a file.")
            if state.st_size > MAX_BYTES:
                return Refused(f"{found.key} is longer than {MAX_BYTES:,} bytes.")
            if found.size is not None and state.st_size != found.size:
                return Refused(f"{found.key} {CHANGED}.")
            with os.fdopen(handle, "rb", closefd=False) as file:
                return file.read(state.st_size + 1)
        finally:
            os.close(handle)
    except FileNotFoundError:
        return Refused(f"{found.key} is no longer there; run fmtag again.")
    except (OSError, ValueError) as error:
        return Refused(f"{found.key} cannot be read ({reason_of(error)}).")


def _read_other(key: str, place: EmbeddedPhoto | RemotePhoto) -> bytes | Refused:
    """Return the bytes of a photo in a table or at an address."""
    try:
        outcome = read_holder(place)
    except StorageError as error:
        return Refused(str(error))
    if not isinstance(outcome, Failed):
        return outcome[0]
    if isinstance(place, RemotePhoto):
        return Refused(f"{outcome.detail}.")
    if outcome.reason == "missing":
        return Refused(f"{place.table} is no longer there; run fmtag again.")
    return Refused(f"{key} {CHANGED}.")
