"""Files that are the old one or the new one, never half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when the block ends well, and vanishes when it does not.

    File and folder are synced to the disk. A link stays a link, the old file's permissions stay, and what is no regular
    file, such as a device, is written as it is. Raises `OSError` where that cannot be done.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        file = temporary.open("wb")
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):  # on a full disk the last buffer has nowhere to go: the first error is the one to tell
                file.close()
            raise
        file.close()
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what runs that were killed outright left of `path`; only for who knows that nobody else is writing it."""
    path = path.resolve()
    for left in path.parent.glob(f".{escape(path.name[:200])}.*.tmp"):
        with suppress(OSError):
            left.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
