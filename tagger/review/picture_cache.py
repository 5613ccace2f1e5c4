"""Keep made pictures on disk, bounded in bytes, for several servers at once.

A file is written under another name and renamed, and has a checksum: what a crash, a full disk or another program has left of
it is not served, but made again. Nothing is synced for the same reason.
"""

import os
import secrets
import time
import zlib
from contextlib import suppress
from pathlib import Path
from threading import Lock

LIMIT_BYTES = 512_000_000
"""Bytes of all files, by their sizes, that are kept after a check."""

CHECK_EVERY = 200
"""Pictures that are written between two checks; the first one is checked, too."""

KEPT_SHARE = 0.8
"""Share of the limit that a check leaves, so that not every one has to remove files."""

TOUCH_SECONDS = 3600.0
"""A file that is read has its time set anew after this long: file systems record times of reading too rarely or never."""

ORPHAN_SECONDS = 3600.0
"""Age of a file under a temporary name that a killed server has left."""

_MAGIC = b"fmtag-1\n"
_SUFFIX, _TEMPORARY = ".picture", ".tmp"


class PictureCache:
    """Pictures by their names; where the folder cannot be written nothing is kept.

    Args:
        folder: created where it is missing; only this user may read what is in it.
        limit: bytes that are kept.
    """

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._written = 0
        self._checking = Lock()

    def read(self, name: str) -> bytes | None:
        """Return the picture of this name; None where there is none, or a damaged one."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                stored = file.read()
                age = time.time() - os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        content = stored[len(_MAGIC) + 4 :]
        if stored[: len(_MAGIC) + 4] != _head(content):
            return None
        if abs(age) > TOUCH_SECONDS:
            with suppress(OSError):
                os.utime(path)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Keep a picture under a name of letters, digits and hyphens; one that is there is replaced as a whole."""
        path = self._path(name)
        temporary = path.with_name(f"{secrets.token_hex(8)}{_TEMPORARY}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_head(content) + content)
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
        except OSError:  # a full disk, or a folder that may not be written: pictures are made again each time
            return
        self._written += 1
        if self._written % CHECK_EVERY == 1:
            self.check()

    def check(self) -> None:
        """Remove the files that were read or written longest ago, where all together exceed the limit."""
        if not self._checking.acquire(blocking=False):  # another thread is at it
            return
        try:
            found = sorted(self._files())
            total = sum(size for _, size, _ in found)
            kept = KEPT_SHARE * self._limit if total > self._limit else total
            for _, size, path in found:
                if total <= kept:
                    break
                with suppress(OSError):  # removed by another server
                    path.unlink()
                total -= size
        finally:
            self._checking.release()

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return time, size and path of each picture, and remove what killed servers have left."""
        found = []
        for folder in self._listed(self._folder):
            for entry in self._listed(Path(folder.path)) if folder.is_dir(follow_symlinks=False) else ():
                with suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_SUFFIX):
                        found.append((state.st_mtime, state.st_size, Path(entry.path)))
                    elif entry.name.endswith(_TEMPORARY) and time.time() - state.st_mtime > ORPHAN_SECONDS:
                        Path(entry.path).unlink()
        return found

    def _listed(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return [*entries]
        except OSError:
            return []

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}{_SUFFIX}"


def _head(content: bytes) -> bytes:
    return _MAGIC + zlib.crc32(content).to_bytes(4, "big")
