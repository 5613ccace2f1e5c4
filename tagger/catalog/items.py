"""The stream of items that every kind of source yields, and the checks of a single path."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.catalog.settings import SourceSettings
from tagger.file_names import resolve_escaped
from tagger.records import Failed, Item

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Source:
    """An opened source: a stream of items, read once and lazily."""

    items: Iterator[Item]
    root: Path
    """The folder that relative paths of the items start from."""
    columns: tuple[str, ...] = ()
    """Names of the table columns that every item carries; empty for folders, images and lists."""
    schema: "pyarrow.Schema | None" = None
    """Types of the columns; None unless the table is Parquet."""
    notes: tuple[str, ...] = ()
    """Sentences on how the source was understood that a user should know, as a guessed encoding."""


def row_items(
    images: Sequence[object],
    cells: Mapping[str, object],
    folder: Path,
    reading: SourceSettings,
    problem: Failed | None = None,
    separators: str = "",
) -> Iterator[Item]:
    """Yield the items of one row of a table.

    Args:
        images: values of the row's image columns, the one that counts first; text, or what JSON Lines and Parquet hold.
        cells: all cells of the row by column name.
        folder: where relative paths start, the table's own.
        reading: how the source is read.
        problem: set where the row itself is damaged; it becomes one item.
        separators: characters that may separate several images in a cell; empty where a cell holds one.
    """
    text = images[0] if images and isinstance(images[0], str) else ""
    yield make_item(text, folder / text, cells, problem)


def make_item(path: str, file: Path, columns: Mapping[str, object], problem: Failed | None = None) -> Item:
    """Return the item of one row or line; a path that cannot name a file makes it a `bad_row`.

    `path` is the text that the source gave, `file` the same relative to the source's folder, `columns` the row's cells.
    """
    if problem is None and not path.strip():
        problem = Failed("bad_row", "a row without a path")
    if problem is None and re.match(r"\s*[a-z][a-z0-9+.-]*://", path, re.IGNORECASE):
        problem = Failed("bad_row", f"{path}: an address, not a file; download the photos first")
    if problem is None and not _can_name_a_file(path):
        problem = Failed("bad_row", f"{path!r}: a path that no file can have")
    return Item(path, None if problem else resolve_escaped(file), columns, problem)


def _can_name_a_file(path: str) -> bool:
    try:
        return b"\0" not in (path.encode() if path.isascii() else os.fsencode(path))
    except UnicodeEncodeError:
        return False
