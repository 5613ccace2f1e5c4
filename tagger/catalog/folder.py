"""Walk a folder of photos recursively, in a stable order; only files whose names do not tell what they are are opened."""

import os
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

from tagger.catalog.content import LookAlikes, why_no_photo
from tagger.catalog.selection import Selection
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.records import Failed, Item

OnIgnored = Callable[[str, str], None]
"""Is called with the path of each entry that is no item, and the reason."""

OnWarning = Callable[[str], None]
"""Is called with a sentence about something that a user should know, and that does not end the work."""


def walk_folder(
    root: Path,
    on_ignored: OnIgnored,
    reading: SourceSettings = DEFAULT_READING,
    on_warning: OnWarning = lambda sentence: None,
) -> Iterator[Item]:
    """Yield the images below `root`, folder by folder in the order of their names, each folder once.

    An image is told by its suffix, otherwise by its first bytes. Links to folders outside are followed. A subfolder that cannot
    be listed is an item of reason `unreadable`. `on_warning` is called after the last item, with the number of files that look
    like photos but were left out. Raises `SourceError` where `root` itself cannot be listed, or where a pattern is none.
    """
    selection, look_alikes = Selection(reading), LookAlikes()
    real_root = root.resolve()
    linked: set[Path] = set()  # the folders outside that were walked through a link
    found = False

    try:
        pending = [(iter(_entries(root)), "", False)]
    except OSError as error:
        raise SourceError(f"{root} cannot be listed: {reason_of(error)}.") from error
    for sentence in selection.misplaced(root):
        on_warning(sentence)
    while pending:  # a stack, as folders may be nested deeper than Python's calls
        entries, prefix, outside = pending[-1]
        for entry in entries:
            name = entry.name
            path = prefix + name
            is_folder = _is_folder(entry)
            if why := selection.why_left_out(path, name, is_folder):
                on_ignored(path, why)
            elif is_folder:
                real = Path(entry.path).resolve() if outside or entry.is_symlink() else None
                if real is not None and (real in linked or real.is_relative_to(real_root) or real_root.is_relative_to(real)):
                    on_ignored(path, "a link to a folder that is walked anyway")
                    continue
                if real is not None:
                    linked.add(real)
                try:
                    pending.append((iter(_entries(entry.path)), path + "/", real is not None))
                except OSError as error:
                    found = True
                    yield Item(path + "/", None, problem=Failed("unreadable", f"{path}/: {reason_of(error)}"))
                    continue
                break
            elif _is_named_as_photo(entry, name) or not (why := why_no_photo(entry.path, name)):
                found = True
                yield Item(path, entry.path)
            else:
                look_alikes.add(path, why)
                on_ignored(path, why)
        else:
            pending.pop()
    if found and (sentence := look_alikes.warning()):  # where nothing was found, the caller's error names the reasons
        on_warning(sentence)


def _entries(folder: str | Path) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return sorted(entries, key=attrgetter("name"))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a folder; a link to itself or into a folder without permission is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_named_as_photo(entry: "os.DirEntry[str]", name: str) -> bool:
    """Return whether a file, or a link, ends as a photo does: a broken link was meant to be one, a pipe is none."""
    if name[name.rfind(".") :].lower() not in IMAGE_SUFFIXES:
        return False
    try:
        return entry.is_file(follow_symlinks=False) or entry.is_symlink()
    except OSError:  # what it is cannot be told: the row of an unreadable photo says so
        return True
