"""One run at a time: a lock of the operating system on a file, which the kernel frees when its holder dies, however it dies."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from tagger.errors import LedgerError, LockedError

SECONDS_BETWEEN_TRIES = 0.1

SECONDS_TO_SAY_WHO = 1.0
"""The holder writes who it is right after it got the lock; so long it may take on a busy machine."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_FIRST = b'{"pid": '
"""What the content of a lock begins with, as far as it had been written when its holder was killed."""

if sys.platform == "win32":
    import msvcrt

    BEYOND_CONTENT = 1 << 30
    """Windows forbids reading what is locked, so a byte is locked that is not there."""

    def _taken(file: IO[bytes]) -> bool:
        file.seek(BEYOND_CONTENT)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _taken(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def file_lock(path: Path, wait: float = 0.0, option: str = "--ledger") -> Iterator[None]:
    """Hold the lock, a file, while the block lasts; nobody else can, and it vanishes at the end.

    Raises `LockedError` where another still holds it after `wait` seconds, and names it as far as it can; `LedgerError`
    where the file cannot be made or locked, or is something else, with `option` as what places it elsewhere.
    """
    end = time.monotonic() + wait
    while (file := _opened(path, option)) is None:
        if time.monotonic() >= end:
            raise LockedError(f"Another run is going on ({_holder(path)}); wait for it with --wait SECONDS, or stop it.")
        time.sleep(SECONDS_BETWEEN_TRIES)
    with file:
        file.seek(0)
        file.truncate()
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file; it stays there empty-handed
                path.unlink()


def _opened(path: Path, option: str) -> IO[bytes] | None:
    """Return the file, locked, or None where another holds it."""
    try:
        if path.is_symlink():
            raise LedgerError(f"{path} is a symbolic link, which no lock may be; remove it, or give {option} another file.")
        file = os.fdopen(os.open(path, _FLAGS, 0o666), "r+b")
        try:
            if _taken(file) and _is_at(file, path):
                _refuse_others(file, path, option)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be made or locked ({error.strerror or error}); give {option} a file in a folder where it can."
        ) from error
    return None


def _refuse_others(file: IO[bytes], path: Path, option: str) -> None:
    """Raise `LedgerError` for a file that no lock has left there: it would lose its content, and then its name."""
    file.seek(0)
    first = file.read(len(_FIRST))
    if os.fstat(file.fileno()).st_nlink > 1 or not _FIRST.startswith(first):
        raise LedgerError(f"{path} is no lock, but another file; move it away, or give {option} another file.")


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the locked file still lies there: its last holder may have removed it after it was opened here."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    end = time.monotonic() + SECONDS_TO_SAY_WHO
    while time.monotonic() < end:
        with suppress(OSError, ValueError, KeyError, TypeError):
            holder = json.loads(path.read_bytes())
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        time.sleep(SECONDS_BETWEEN_TRIES / 10)
    return f"which holds {path}"
