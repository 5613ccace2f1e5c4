"""Files that are the old one or the new one, never half of one."""

import csv
import io
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tagger.errors import OutputError
from tagger.file_names import escape_surrogates

if TYPE_CHECKING:
    pass


def write_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole; raises `OutputError` where it cannot be written."""
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}).") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file as a whole by JSON for people and programs; raises `OutputError` where it cannot be written."""
    write_file(path, as_json(content))


def as_json(content: Mapping[str, Any]) -> bytes:
    r"""Return JSON in UTF-8 that people can read too; file names that are not UTF-8 have their escapes, `\udcff`."""
    return encode_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def as_csv(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows, the first one with their titles, as a CSV, with file names as `names.escaped` writes them."""
    file = io.BytesIO()
    csv.writer(EncodedText(file), lineterminator="\r\n").writerows(rows)  # quotes a lone \r in a cell, too
    return file.getvalue()


def check_output_folder(folder: Path) -> None:
    """Raise `OutputError` where no files can be written into `folder`, which need not be there, before work is done for it."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is no folder, so nothing can be written into {folder}; nothing was changed there.")
    if not os.access(nearest, os.W_OK):
        raise OutputError(f"{nearest} may not be written, so nothing can be written into {folder}.")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files of `folder`, which is made where it is not there, in their order and each as a whole.

    Other files in it stay. Raises `OutputError` where that cannot be done.
    """
    check_output_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror or error}).") from error
    for name, content in files.items():
        write_file(folder / name, content)


class EncodedText:
    r"""What csv.writer needs of a file: file names that are no UTF-8 come out as `\udc..`, the rest stays valid."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(encode_text(text.removesuffix("\r\n") + "\n"))


def encode_text(text: str) -> bytes:
    return escape_surrogates(text).encode()


# None of these may open what somebody else has put there: a link would lead out of the folder, a pipe would never answer.
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = _OPEN | os.O_WRONLY | os.O_CREAT | os.O_EXCL

_LONGEST_PREFIX = 200
"""Bytes of a file's name that its temporary file repeats: a name has 255 at most."""

if sys.platform == "win32":

    def _lock(handle: int) -> bool:
        return True  # an open file cannot be removed there, which is all that the lock is for

else:
    import fcntl

    def _lock(handle: int) -> bool:
        """Lock an open file; return False where another process holds it, and raise `OSError` where files have no locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when the block ends well, and vanishes when it does not.

    File and folder are synced to the disk. A link stays a link, the old file's permissions stay, and what is no regular
    file, such as a device, is written as it is. Raises `OSError` where that cannot be done.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    path = Path(os.path.realpath(path))
    temporary, file = _create_temporary(path)
    try:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, _mode_of(path))  # noqa: PTH101 (a handle)
            if sys.platform == "win32":
                file.close()  # Windows renames no open file
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):  # on a full disk the last buffer has nowhere to go: the first error is the one to tell
                file.close()
            raise
        file.close()  # not before it has its name: until then its lock keeps other processes from removing it
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes have left; those of living ones are locked, and stay."""
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
            if stat.S_ISREG(os.fstat(handle).st_mode) and _lock(handle):
                file.unlink()
        finally:
            os.close(handle)


def _create_temporary(path: Path) -> tuple[Path, IO[bytes]]:
    """Return a new, locked file beside `path`, which nobody could have foreseen, and that file open for writing."""
    mode = _mode_of(path) & 0o777 if path.exists() else 0o666  # less the umask
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
    """Lock a new file and return whether it still has its name."""
    try:
        locked = _lock(handle)
    except OSError:
        locked = True  # a file system without locks, on which nobody removes leftovers either
    return locked and os.fstat(handle).st_nlink > 0


def _prefix(path: Path) -> str:
    name = path.name
    while len(os.fsencode(name)) > _LONGEST_PREFIX:
        name = name[:-1]
    return f".{name}.fmtag-"


def _mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
