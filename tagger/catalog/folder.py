"""Walk a folder of photos recursively, in a stable order, without opening any photo."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tagger.errors import SourceError, reason_of
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.records import Failed, Item

OnIgnored = Callable[[str, str], None]
"""Is called with the path of each entry that is no item, and the reason."""


def walk_folder(root: Path, on_ignored: OnIgnored) -> Iterator[Item]:
    """Yield the images below `root`, folder by folder in the order of their names, each folder once.

    Links to folders outside are followed. A subfolder that cannot be listed is an item of reason `unreadable`. Raises
    `SourceError` where `root` itself cannot be listed.
    """
    real_root = root.resolve()
    linked: set[Path] = set()  # the folders outside that were walked through a link
    try:
        pending = [(iter(_entries(root)), "", False)]
    except OSError as error:
        raise SourceError(f"{root} cannot be listed: {reason_of(error)}.") from error
    while pending:  # a stack, as folders may be nested deeper than Python's calls
        entries, prefix, outside = pending[-1]
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith("."):
                on_ignored(path, "hidden")
            elif _is_folder(entry):
                real = Path(entry.path).resolve() if outside or entry.is_symlink() else None
                if real is not None and (real in linked or real.is_relative_to(real_root) or real_root.is_relative_to(real)):
                    on_ignored(path, "a link to a folder that is walked anyway")
                    continue
                if real is not None:
                    linked.add(real)
                try:
                    pending.append((iter(_entries(entry.path)), path + "/", real is not None))
                except OSError as error:
                    yield Item(path + "/", None, problem=Failed("unreadable", f"{path}/: {reason_of(error)}"))
                    continue
                break
            elif entry.name[entry.name.rfind(".") :].lower() in IMAGE_SUFFIXES:
                yield Item(path, entry.path)
            else:
                on_ignored(path, "not an image")
        else:
            pending.pop()


def _entries(folder: str | Path) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a folder; a link to itself or into a folder without permission is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
