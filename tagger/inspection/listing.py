"""List a source as a run does: its files, the items that have none, what is left out, and what the table's columns hold."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tagger.catalog.items import Source
from tagger.catalog.source import open_source
from tagger.file_names import resolve_escaped
from tagger.inspection.settings import InspectionSettings
from tagger.inspection.table_columns import ColumnCounter, ColumnFacts
from tagger.records import Failed, Item

WITHOUT_IMAGE: tuple[str, ...] = ("no_image",)
"""Reasons of rows that have no image and are no failures."""

EXAMPLES = 3
"""Paths that are named of each kind."""


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


@dataclass
class Listing:
    """The items of a source: those with a file that may be opened, and those that the source itself knows to have none."""

    kind: str
    """`folder`, `table`, `list` or `image`."""
    root: Path
    columns: tuple[str, ...]
    items: int = 0
    """Rows that a run writes."""
    paths: list[str] = field(default_factory=list)
    """Of each file the path as the source gives it first."""
    places: list[str] = field(default_factory=list)
    """Of each file where it lies."""
    repeats: Counter[int] = field(default_factory=Counter)
    """Further items of a file, by its index in `paths` and `places`."""
    problems: list[tuple[str, Failed]] = field(default_factory=list)
    """Path and failure of each item without a file; those of rows without an image are `without_image`."""
    without_image: int = 0
    respelled: Noted = field(default_factory=Noted)
    """Items whose file has another name than the path says."""
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
    opened = open_source(settings.source, settings.reading, stdin, lambda path, why: ignored.append((path, why)))
    listing = Listing(kind_of_source(settings.source, opened), opened.root, opened.columns)
    columns = ColumnCounter(opened.columns)
    known: dict[str, int] = {}
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
    if Path(source).is_dir():
        return "folder"
    return "table" if opened.columns or opened.schema is not None else "image"


def _add(listing: Listing, item: Item, known: dict[str, int]) -> None:
    listing.items += 1
    if not item.path.isascii() and _is_not_utf8(item.path):
        listing.not_utf8.add(item.path)
    if item.place is None or item.problem is not None:
        problem = item.problem or Failed("bad_row", f"{item.path}: no file")
        if problem.reason in WITHOUT_IMAGE:
            listing.without_image += 1
        else:
            listing.problems.append((item.path, problem))
        return
    place = os.fspath(item.place)
    if place in known:
        listing.repeats[known[place]] += 1
        return
    known[place] = len(listing.places)
    listing.paths.append(item.path)
    listing.places.append(place)
    if listing.kind != "folder" and not _is_spelled_so(listing.root, item.path, place):
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
