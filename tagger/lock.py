"""Lock a file, so that one run at a time uses a ledger; the system frees the lock when its process ends or is killed."""

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

from tagger.errors import LedgerError, LockedError, reason_of

RETRY_SECONDS = 0.1
"""Pause between two attempts to take the lock."""

HOLDER_SECONDS = 1.0
"""Time limit for reading who holds the lock: the holder writes it right after taking the lock, which may take a while."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_CONTENT_START = b'{"pid": '
"""How the content of a lock file begins, if its holder was not killed before it had written so much."""

if sys.platform == "win32":
    import msvcrt

    BEYOND_CONTENT = 1 << 30
    """Offset of the locked byte: Windows forbids reading a locked byte, so one beyond the content is locked."""

    def _taken(file: IO[bytes]) -> bool:
        file.seek(BEYOND_CONTENT)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    from tagger.files import lock_handle

    def _taken(file: IO[bytes]) -> bool:
        return lock_handle(file.fileno())


@contextmanager
def file_lock(path: Path, wait: float = 0.0, option: str = "--ledger") -> Iterator[None]:
    """Hold an exclusive lock on `path` for the block; the file is created for it and removed at the end.

    Raises `LockedError`, which names the holder if possible, where another process still holds the lock after `wait` seconds;
    `LedgerError` where the file cannot be created or locked, or is not a lock, with `option` as the option that moves it.
    """
    deadline = time.monotonic() + wait
    while (file := _try_lock(path, option)) is None:
        if time.monotonic() >= deadline:
            raise LockedError(f"Another run is going on ({_holder(path)}); wait for it with --wait SECONDS, or stop it.")
        time.sleep(RETRY_SECONDS)
    with file:
        file.seek(0)
        file.truncate()
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file; it stays, unlocked
                path.unlink()


def _try_lock(path: Path, option: str) -> IO[bytes] | None:
    """Return the open, locked file, or None where another process holds the lock."""
    try:
        if path.is_symlink():
            raise LedgerError(f"{path} is a symbolic link, which a lock may not be; remove it, or give {option} another file.")
        file = os.fdopen(os.open(path, _FLAGS, 0o666), "r+b")
        try:
            if _taken(file) and _is_at(file, path):
                _check_is_lock(file, path, option)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be created or locked ({reason_of(error)}); give {option} a file in a folder where it can."
        ) from error
    return None


def _check_is_lock(file: IO[bytes], path: Path, option: str) -> None:
    """Raise `LedgerError` for a file that no lock has left there: it would be overwritten and then removed."""
    file.seek(0)
    start = file.read(len(_CONTENT_START))
    if os.fstat(file.fileno()).st_nlink > 1 or not _CONTENT_START.startswith(start):
        raise LedgerError(f"{path} is not a lock, but another file; move it away, or give {option} another file.")


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether the locked file still has its name: its last holder may have removed it after it was opened here."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    """Return who holds the lock, as part of a sentence; only the path where the holder cannot be read."""
    deadline = time.monotonic() + HOLDER_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError, KeyError, TypeError):
            holder = json.loads(path.read_bytes())
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        time.sleep(RETRY_SECONDS / 10)
    return f"which holds {path}"
