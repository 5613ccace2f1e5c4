"""List a source as a run does: its files, the items that have none, what is left out, and what the table's columns hold."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from tagger.catalog.addresses import is_by_name
from tagger.catalog.items import Source
from tagger.catalog.source import open_source
from tagger.file_kinds import IMAGE_SUFFIXES, begins_photo
from tagger.file_names import resolve_escaped
from tagger.inspection.settings import InspectionSettings
from tagger.inspection.table_columns import ColumnCounter, ColumnFacts
from tagger.records import NO_IMAGE, EmbeddedPhoto, Failed, Item, RemoteFolder, RemotePhoto
from tagger.storage.addresses import is_remote

Place: TypeAlias = str | EmbeddedPhoto
"""What holds a photo: a file, or a row of a table."""

EXAMPLES = 3
"""Paths that are named of each kind."""

MAX_SHOWN = 120
"""Characters of a path that the text of a report names as a whole."""


@dataclass
class Noted:
    """How often something was met, and the first few paths."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, path: str, count: int = 1) -> None:
        """Count a path, and keep it where it is one of the first."""
        self.count += count
        if len(self.examples) < EXAMPLES:
            self.examples.append(path)


def shortened(path: str) -> str:
    """Return a path as the text of a report names it: its middle is left out where it is long, as that of `data:` addresses."""
    return path if len(path) <= MAX_SHOWN else f"{path[: MAX_SHOWN // 2]}...{path[-MAX_SHOWN // 3 :]}"


@dataclass
class Listing:
    """The items of a source: those with a file that may be opened, and those that the source itself knows to have none."""

    kind: str
    """`folder`, `table`, `list` or `image`."""
    root: Path | RemoteFolder
    columns: tuple[str, ...]
    items: int = 0
    """Rows that a run writes."""
    paths: list[str] = field(default_factory=list)
    """Of each file the path as the source gives it first."""
    places: list[Place] = field(default_factory=list)
    """Of each file where it lies."""
    repeats: Counter[int] = field(default_factory=Counter)
    """Further items of a file, by its index in `paths` and `places`."""
    problems: list[tuple[str, Failed]] = field(default_factory=list)
    """Path and failure of each item without a file; those of rows without an image are `without_image`."""
    without_image: int = 0
    respelled: Noted = field(default_factory=Noted)
    """Items whose file has another name than the path says."""
    matched_addresses: int = 0
    """Addresses, and paths of another computer, that were taken for a file beside the table by its name."""
    warnings: list[str] = field(default_factory=list)
    """Sentences that a run prints about the source."""
    remote: Noted = field(default_factory=Noted)
    """Items that a run fetches from a bucket or a web server; they are not looked at."""
    not_utf8: Noted = field(default_factory=Noted)
    """Files whose name is not UTF-8."""
    ignored: dict[str, Noted] = field(default_factory=dict)
    """Entries of a folder that are no items, by the reason."""
    ignored_paths: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of each of them."""
    facts: tuple[tuple[str, str], ...] = ()
    """What the reader of a table found out about it: name and text."""
    column_facts: ColumnFacts = field(default_factory=ColumnFacts)


def list_source(settings: InspectionSettings, stdin: IO[bytes] | None) -> Listing:
    """List the whole source; raises `SourceError` as a run does where it cannot be read."""
    ignored: list[tuple[str, str]] = []
    warnings: list[str] = []

    def on_ignored(path: str, why: str) -> None:
        ignored.append((path, why))

    opened = open_source(settings.source, settings.reading, stdin, on_ignored, warnings.append)
    kind = kind_of_source(settings.source, opened)
    listing = Listing(kind, opened.root, opened.columns, warnings=warnings, facts=opened.facts)
    columns = ColumnCounter(opened.columns)
    known: dict[Place, int] = {}
    for item in opened.items:
        columns.add(item.columns)
        _add(listing, item, known)
    listing.column_facts = columns.facts()
    listing.ignored_paths = ignored
    for path, why in ignored:
        listing.ignored.setdefault(why, Noted()).add(path)
    return listing


def kind_of_source(source: str, opened: Source) -> str:
    """Return `list`, `folder`, `table` or `image`."""
    if source == "-":
        return "list"
    if opened.columns or opened.schema is not None:
        return "table"
    if isinstance(opened.root, RemoteFolder) or Path(source).is_dir():
        return "folder"
    if is_remote(source):
        return "image"
    return "image" if Path(source).suffix.lower() in IMAGE_SUFFIXES or begins_photo(Path(source)) else "list"


def _add(listing: Listing, item: Item, known: dict[Place, int]) -> None:
    listing.items += 1
    if not item.path.isascii() and _is_not_utf8(item.path):
        listing.not_utf8.add(item.path)
    if item.place is None or item.problem is not None:
        problem = item.problem or Failed("bad_row", f"{item.path}: no file")
        if problem.reason == NO_IMAGE:
            listing.without_image += 1
        else:
            listing.problems.append((item.path, problem))
        return
    if isinstance(item.place, RemotePhoto):
        listing.remote.add(item.path)
        return
    place = item.place if isinstance(item.place, EmbeddedPhoto) else os.fspath(item.place)
    if place in known:
        listing.repeats[known[place]] += 1
        return
    known[place] = len(listing.places)
    listing.paths.append(item.path)
    listing.places.append(place)
    if listing.kind in ("folder", "image") or isinstance(place, EmbeddedPhoto):
        return
    if is_by_name(item.path, place):
        listing.matched_addresses += 1
    elif isinstance(listing.root, Path) and not _is_spelled_so(listing.root, item.path, place):
        listing.respelled.add(item.path)


def _is_spelled_so(root: Path, path: str, place: str) -> bool:
    """Return whether a file lies where the path says, a path of a table with escaped bytes included."""
    return place in (path, os.path.join(root, path)) or place == os.fspath(resolve_escaped(root / path))


def _is_not_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return True
    return False
