"""Open a source of photos, given as a folder, an image, a table or a list of paths, as a stream of items.

No photo is opened whose name says that it is one: what lies in it, or that it is missing, is found out when it is decoded.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from tagger.catalog.folder import OnIgnored, OnWarning, walk_folder
from tagger.catalog.items import Source, settled, with_image
from tagger.catalog.path_list import listed_items
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import IMAGE_SUFFIXES, TABLE_SUFFIXES, begins_photo
from tagger.records import Item
from tagger.storage.addresses import has_user, is_remote, shown
from tagger.storage.traffic import Traffic


def open_source(
    source: str,
    reading: SourceSettings = DEFAULT_READING,
    stdin: IO[bytes] | None = None,
    on_ignored: OnIgnored = lambda path, why: None,
    on_warning: OnWarning = lambda sentence: None,
    traffic: Traffic | None = None,
) -> Source:
    """Open the folder, table, image, or, for `-`, the list of paths on `stdin`, that `source` names, here or in a bucket.

    An image is told by its suffix or its content, a table by its content. `on_warning` is called with a sentence about each
    thing that had to be guessed; `traffic` counts the requests to a bucket. Raises `SourceError` where `source` does not exist,
    is neither, or is a table without an image column, and where a setting does not apply to this kind of source. An error met
    later, while the items are read, is a `SourceError` too, or a `StorageError` of the bucket.
    """
    if source == "-":
        _refuse_patterns(reading, "the list on standard input")
        return _open_list(stdin, reading, on_warning)
    if reading.null_separated:
        raise SourceError(f"-0 (--null) is for paths on standard input, and the source is {source}; leave it out.")
    if is_remote(source):
        return _open_remote(source, reading, on_ignored, on_warning, Traffic() if traffic is None else traffic)
    path = Path(source)
    try:
        if path.is_dir():
            return Source(walk_folder(path, on_ignored, reading, on_warning), path)
        if not path.exists():
            raise SourceError(f"There is no {source}; give a folder, an image, a table or - for paths on standard input.")
        if not path.is_file():
            raise SourceError(f"{source} is not a regular file; pipe a list of paths into: fmtag run -")
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {reason_of(error)}.") from error
    _refuse_patterns(reading, f"the file {source}")
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or (suffix not in TABLE_SUFFIXES and begins_photo(path)):
        return Source(iter([Item(source, path)]), Path())
    return _open_table(path, reading, on_warning)


def _open_table(path: Path, reading: SourceSettings, on_warning: OnWarning) -> Source:
    # Imported here, as a folder, which most sources are, needs none of what tells the forms of tables.
    from tagger.catalog.tables import read_table

    opened = settled(read_table(path, reading), lambda: read_table(path, reading).items)
    for sentence in opened.notes:
        on_warning(sentence)
    return replace(opened, names_addresses=reading.fetch)


def _open_remote(
    source: str, reading: SourceSettings, on_ignored: OnIgnored, on_warning: OnWarning, traffic: Traffic
) -> Source:
    if not reading.fetch:
        raise SourceError(f"{shown(source)} is not on this machine, and only fmtag run reads such sources; download it first.")
    if has_user(source):
        raise SourceError(f"{shown(source)} holds a user name; leave it out, as credentials come from the environment.")
    from tagger.catalog.bucket import open_bucket  # and with it the clients of buckets

    return open_bucket(source, reading, lambda copy: _open_table(copy, reading, on_warning), on_ignored, traffic)


def nothing_to_read(source: str, ignored: Mapping[str, int], only_rows: bool = False) -> SourceError:
    """Return the error of a source without photos, with entries that are left out or rows without an image."""
    if only_rows:
        return SourceError(f"{shown(source)} holds no photos, only rows without an image; nothing was written.")
    if source == "-":
        return SourceError("Standard input holds no paths; nothing was written.")
    reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(ignored.items(), key=lambda one: -one[1]))
    return SourceError(f"{shown(source)} holds no photos ({reasons or 'no other entries either'}); nothing was written.")


def count_items(source: str, reading: SourceSettings = DEFAULT_READING) -> int:
    """Return the number of items of a source that have an image."""
    return sum(1 for _ in with_image(open_source(source, reading).items))


def _open_list(stdin: IO[bytes] | None, reading: SourceSettings, on_warning: OnWarning) -> Source:
    if stdin is None:
        raise SourceError(
            "The source is - (paths on standard input), but standard input is closed, or this is another command than "
            "fmtag run and fmtag doctor, which read it; give a folder or a table."
        )
    if stdin.isatty():
        on_warning("Paths are read from this terminal, one a line; Ctrl-D ends the list.")
    return Source(listed_items(stdin, reading.null_separated, reading.fetch), Path(), names_addresses=reading.fetch)


def _refuse_patterns(reading: SourceSettings, what: str) -> None:
    """Raise `SourceError` where patterns are given for a source that has a row for each of its items."""
    for option, patterns in (("--exclude", reading.exclude), ("--include", reading.include)):
        if patterns:
            raise SourceError(
                f"{option} selects files of a folder, and the source is {what}; leave the option out, or out of fmtag.toml."
            )
