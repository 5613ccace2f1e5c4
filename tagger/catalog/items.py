"""The stream of items that every kind of source yields: what a row's image cells mean, and the checks of a single path."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.catalog.addresses import find_by_name, is_address, is_foreign, is_image_data, settle_addresses
from tagger.catalog.cell_images import SEPARATORS, CellImage, cell_images, is_blank
from tagger.catalog.places import exact_place, find_photo, joined, shown
from tagger.catalog.remote_items import NOT_FETCHED, NOT_INSTALLED, can_fetch, remote_item
from tagger.catalog.settings import SourceSettings
from tagger.file_names import resolve_escaped
from tagger.records import NO_IMAGE, EmbeddedPhoto, Failed, Item, RemoteFolder

if TYPE_CHECKING:
    import pyarrow

WITHOUT_IMAGE = Failed(NO_IMAGE, "a row without an image")


@dataclass(frozen=True)
class Source:
    """An opened source: a stream of items, read once and lazily."""

    items: Iterator[Item]
    root: Path | RemoteFolder
    """The folder that relative paths of the items start from."""
    columns: tuple[str, ...] = ()
    """Names of the table columns that every item carries; empty for folders, images and lists."""
    schema: "pyarrow.Schema | None" = None
    """Types of the columns; None unless the table is Parquet."""
    notes: tuple[str, ...] = ()
    """Sentences on how the source was understood that a user should know, as a guessed encoding."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was found out about a table, name and text each: encoding, separator, header line, image columns."""
    names_addresses: bool = False
    """Whether items may be addresses, of whose photos neither size nor state is known before a request."""
    copy: object = None
    """Keeps the copy of a table that was downloaded, which is removed with the source."""


def with_image(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items but for the rows of a table that name no image."""
    return (item for item in items if item.problem is None or item.problem.reason != NO_IMAGE)


def settled(opened: Source, again: Callable[[], Iterable[Item]]) -> Source:
    """Return the source with none of two different addresses matched to one file; `again` reads its items once more."""
    return replace(opened, items=settle_addresses(opened.items, again))


def row_items(
    images: Sequence[object],
    cells: Mapping[str, object],
    folder: Path,
    reading: SourceSettings,
    problem: Failed | None = None,
    separators: str = SEPARATORS,
) -> Iterator[Item]:
    """Yield the items of one row of a table: its first image, or with `all_images` each; one without a photo where it has none.

    Args:
        images: values of the row's image columns, the one that counts first; text, or what JSON Lines and Parquet hold.
        cells: all cells of the row by column name.
        folder: where relative paths start, the table's own.
        reading: how the source is read.
        problem: set where the row itself is damaged; it becomes one item.
        separators: characters that may separate several images in a cell; empty where a cell holds one.
    """
    first = images[0] if images else None
    text = first if isinstance(first, str) else ""
    if problem is not None:
        yield Item(text, None, cells, problem)
        return
    if not reading.all_images and text and not text.isspace() and (place := exact_place(text, folder)):
        yield Item(text, place, cells)  # nearly every row; what follows takes ten times as long
        return
    found: dict[CellImage, None] = {}
    for value in images:
        found |= dict.fromkeys(_cell_images(value, folder, separators))
        if found and not reading.all_images:
            break
    for image in found if reading.all_images else [*found][:1]:
        yield _image_item(image, cells, folder, 1 if reading.all_images else len(found), reading.fetch)
    if not found:
        yield Item(text, None, cells, WITHOUT_IMAGE)


def _cell_images(value: object, folder: Path, separators: str) -> Iterator[CellImage]:
    several = isinstance(value, str) and any(mark in value for mark in separators) and not is_foreign(value)
    if several and find_photo(str(value), folder).place is not None:  # a name with a comma in it, written in another way
        return iter([str(value)])
    return cell_images(value, separators, partial(_is_there, folder))


def _is_there(folder: Path, text: str) -> bool:
    return bool(text) and not text.isspace() and exact_place(text, folder) is not None


def _image_item(image: CellImage, cells: Mapping[str, object], folder: Path, only_of: int, fetch: bool) -> Item:
    """Return the item of an image of a row; `only_of` is the number of images of which it is the only one to be read."""
    if isinstance(image, Failed):
        return Item("", None, cells, image)
    if isinstance(image, EmbeddedPhoto):
        return Item(image.name, image, cells)
    item = _found_item(image, cells, folder, fetch)
    if only_of > 1 and isinstance(item.place, str) and (item.problem is not None or not os.path.lexists(item.place)):
        why = item.problem.detail if item.problem is not None else f"{item.place}: no such file"
        why += f"; it is the first of {only_of} images of its row, and the first one counts"
        return item._replace(problem=Failed("missing", why))
    return item


def _found_item(text: str, cells: Mapping[str, object], folder: Path, fetch: bool) -> Item:
    if place := exact_place(text, folder):
        return Item(text, place, cells)
    if is_image_data(text):
        why = f"{shown(text)}: the bytes of an image in place of its path; save it as a file"
        return Item(text, None, cells, Failed("bad_row", why))
    if is_address(text):
        found = find_by_name(text, folder)
        if found.place is None and not found.why:
            return _address_item(text, cells, fetch)
        return Item(text, found.place, cells, None if found.place else Failed("bad_row", found.why))
    found = find_photo(text, folder)
    if found.place is None and is_foreign(text):
        found = find_by_name(text, folder)
    if found.place is not None:
        return Item(text, found.place, cells)
    if not _can_name_a_file(text):
        return Item(text, None, cells, Failed("bad_row", f"{text!r}: a path that no file can have"))
    # The place of a missing file is told, so that a photo of an earlier run counts as missing, not as another row's.
    return Item(text, joined(folder, text), cells, Failed("missing", found.why) if found.why else None)


def _address_item(text: str, cells: Mapping[str, object], fetch: bool) -> Item:
    """Return the item of an address: with its photo, if photos are fetched and can be, else without one."""
    if fetch and (item := remote_item(text, cells)) is not None:
        if can_fetch():
            return item
        return item._replace(place=None, problem=Failed("bad_row", f"{item.path}: {NOT_INSTALLED}"))
    return Item(text, None, cells, Failed("bad_row", f"{text}: {NOT_FETCHED}"))


def make_item(path: str, file: Path, columns: Mapping[str, object], problem: Failed | None = None, fetch: bool = False) -> Item:
    """Return the item of one line of a list, whose path is taken as it is written.

    `path` is the text that the source gave, `file` the same relative to the source's folder, `columns` the row's cells; `fetch`
    tells whether photos at addresses are fetched.
    """
    if problem is None and is_blank(path):
        problem = WITHOUT_IMAGE
    if problem is None and is_address(path):
        return _address_item(path, columns, fetch)
    if problem is None and not _can_name_a_file(path):
        problem = Failed("bad_row", f"{path!r}: a path that no file can have")
    return Item(path, None if problem else resolve_escaped(file), columns, problem)


def _can_name_a_file(path: str) -> bool:
    try:
        return b"\0" not in (path.encode() if path.isascii() else os.fsencode(path))
    except UnicodeEncodeError:
        return False
