"""Write files atomically: after a crash a file is the old one or the new one, never half of one."""

import csv
import errno
import io
import json
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tagger.errors import OutputError, reason_of
from tagger.file_names import escape_surrogates, shortened
from tagger.file_replacement import must_be_overwritten, overwrite, replace, temporary_mode
from tagger.streams import is_stream, open_stream


def write_file(path: Path, content: bytes) -> None:
    """Write a file, or replace it as a whole; raises `OutputError` where it cannot be written."""
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({reason_of(error)}).") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, or replace it as a whole; raises `OutputError` where it cannot be written."""
    write_file(path, as_json(content))


def as_json(content: Mapping[str, Any]) -> bytes:
    r"""Return indented JSON in UTF-8; bytes of file names that are not UTF-8 are escaped as `\udcff`."""
    return encode_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def as_csv(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows, the first one the column names, as CSV in UTF-8; file names are escaped as `escape_surrogates` does."""
    file = io.BytesIO()
    csv.writer(EncodedText(file), lineterminator="\r\n").writerows(rows)  # quotes a lone \r in a cell, too
    return file.getvalue()


def why_unwritable(folder: Path) -> str:
    """Return why no files can be written into `folder`, which need not exist yet; empty where they can.

    The nearest existing folder above it decides, so that a long job can be refused before its work.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not nearest.is_dir():
        return f"{nearest} is no folder, so nothing can be written into {folder}"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} may not be written, so nothing can be written into {folder}"
    return ""


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into `folder`, which is created if needed, in their order, each replaced as a whole.

    Other files in it stay. Raises `OutputError` where that cannot be done.
    """
    if why := why_unwritable(folder):
        raise OutputError(f"{why}; nothing was changed there.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be created ({reason_of(error)}).") from error
    for name, content in files.items():
        write_file(folder / name, content)


class EncodedText:
    r"""A text file for `csv.writer` on top of a binary one: UTF-8, with lone surrogates escaped and `\n` as line end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        r"""Write a line whose end csv.writer wrote as `\r\n`."""
        return self._file.write(encode_text(text.removesuffix("\r\n") + "\n"))


def encode_text(text: str) -> bytes:
    """Return text in UTF-8, with lone surrogates escaped."""
    return escape_surrogates(text).encode()


# None of these may open what another user has put there: a link would lead out of the folder, a pipe would never answer.
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = _OPEN | os.O_WRONLY | os.O_CREAT | os.O_EXCL

_LONGEST_PREFIX = 200
"""Bytes of a file's name that its temporary file repeats: a name has 255 at most."""

if sys.platform == "win32":

    def lock_handle(handle: int) -> bool:
        """Return True: no lock is needed."""
        return True  # Windows removes no open file, which is all that the lock is for

else:
    import fcntl

    def lock_handle(handle: int) -> bool:
        """Lock an open file; return False where another process holds it, and raise `OSError` where files have no locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def atomic_write(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing that replaces `path` when the block ends well, and is removed when it fails.

    File and folder are synced to the disk. A link stays a link; the old file's owner, permissions and attributes are kept. A
    file that cannot be replaced, such as a mounted one, is overwritten at the end. A descriptor such as `/dev/stdout`, a
    device, pipe or the like is written directly; `waiting` is called where the reader of a named pipe is waited for. Raises
    `OSError` where that cannot be done.
    """
    if is_stream(path):
        with open_stream(path, waiting) as stream:
            yield stream
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path = Path(os.path.realpath(path))
    if must_be_overwritten(path):
        with tempfile.TemporaryFile() as whole:
            yield whole
            whole.flush()
            whole.seek(0)
            overwrite(path, whole)
        return
    temporary, file = _create_temporary(path)
    try:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            replace(file, temporary, path)
        except BaseException:
            # On a full disk the last buffer cannot be written either: the first error is the one to report.
            with suppress(OSError):
                file.close()
            raise
        file.close()  # not before it has its name: until then its lock keeps other processes from removing it
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes have left; those of running ones are locked, and stay."""
    if is_stream(path):
        return
    path = Path(os.path.realpath(path))
    left = re.compile(re.escape(_prefix(path)) + r"[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for name in os.listdir(path.parent):
            if left.fullmatch(name):
                _remove_unlocked(path.parent / name)


def _remove_unlocked(file: Path) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            file.unlink()
            return
        handle = os.open(file, _OPEN | os.O_RDWR)  # for writing, too: network file systems lock exclusively only then
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode) and lock_handle(handle):
                file.unlink()
        finally:
            os.close(handle)


def _create_temporary(path: Path) -> tuple[Path, IO[bytes]]:
    """Create a locked file of an unpredictable name beside `path`; return its path and the open file."""
    mode = temporary_mode(path)
    while True:
        temporary = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}.tmp")
        handle = os.open(temporary, _CREATE, mode)
        try:
            if _is_kept(handle):
                return temporary, os.fdopen(handle, "wb")
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # taken for a leftover before it was locked, and so removed


def _is_kept(handle: int) -> bool:
    """Lock a new file and return whether it is still there."""
    try:
        locked = lock_handle(handle)
    except OSError:
        locked = True  # a file system without locks, on which leftovers are not removed either
    return locked and os.fstat(handle).st_nlink > 0


def _prefix(path: Path) -> str:
    return f".{shortened(path.name, _LONGEST_PREFIX)}.fmtag-"


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
