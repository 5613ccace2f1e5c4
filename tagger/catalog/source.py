"""Open a source of photos, given as a folder, an image, a table or a list of paths, as a stream of items.

No photo is opened: what lies in a file, or that it is missing, is found out when it is decoded.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from tagger.catalog.folder import OnIgnored, walk_folder
from tagger.catalog.items import Source, make_item, settled, with_image
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.catalog.tables import read_table
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import IMAGE_SUFFIXES, TABLE_SUFFIXES, begins_photo
from tagger.records import Item


def open_source(
    source: str,
    reading: SourceSettings = DEFAULT_READING,
    stdin: IO[bytes] | None = None,
    on_ignored: OnIgnored = lambda path, why: None,
    on_warning: Callable[[str], None] = lambda sentence: None,
) -> Source:
    """Open the folder, table, image, or, for `-`, the list of paths on `stdin`, that `source` names.

    An image is told by its suffix or its content, a table by its content. `on_warning` is called with a sentence about each
    thing that had to be guessed. Raises `SourceError` where `source` does not exist, is neither, or is a table without an image
    column. An error met later, while the items are read, is a `SourceError` too.
    """
    if source == "-":
        if stdin is None:
            raise SourceError("The source is - (paths on standard input), but standard input is closed.")
        return Source(_listed_items(stdin), Path())
    path = Path(source)
    try:
        if path.is_dir():
            return Source(walk_folder(path, on_ignored), path)
        if not path.exists():
            raise SourceError(f"There is no {source}; give a folder, an image, a table or - for paths on standard input.")
        if not path.is_file():
            raise SourceError(f"{source} is not a regular file; pipe a list of paths into: fmtag run -")
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {reason_of(error)}.") from error
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or (suffix not in TABLE_SUFFIXES and begins_photo(path)):
        return Source(iter([Item(source, path)]), Path())
    opened = read_table(path, reading)
    for sentence in opened.notes:
        on_warning(sentence)
    return settled(opened, lambda: read_table(path, reading).items)


def count_items(source: str, reading: SourceSettings = DEFAULT_READING) -> int:
    """Return the number of items of a source that have an image."""
    return sum(1 for _ in with_image(open_source(source, reading).items))


def _listed_items(stdin: IO[bytes]) -> Iterator[Item]:
    """Yield the path of each line; an empty line is an item too, so that output rows and lines correspond."""
    for line in stdin:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        yield make_item(path, Path(path), {})
