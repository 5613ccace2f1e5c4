"""Put a finished file in the place of an older one: owner, permissions and attributes are kept, mounted files overwritten."""

import errno
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

KEPT_ATTRIBUTES = ("user.", "system.posix_acl_access", "security.selinux", "security.SMACK64")
"""Extended attributes, by the start of their names, that belong to a file rather than to its content."""

_CANNOT_BE_REPLACED = {errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES}
"""Errors of a file that can only be overwritten, where that was not known beforehand."""


def must_be_overwritten(path: Path) -> bool:
    """Return whether a file can only be overwritten where it is: no other file can be made beside it, or take its name."""
    if not path.is_file():
        return False
    return is_mount_point(path) or not os.access(path.parent, os.W_OK | os.X_OK) or _is_kept_by_sticky_folder(path)


def why_not_overwritable(path: Path) -> str:
    """Return why such a file cannot be overwritten, as the end of a sentence; empty where it can."""
    if not os.access(path, os.W_OK):
        kind = "mounted" if is_mount_point(path) else f"in the folder {path.parent}, where it may not be replaced"
        return f"it is {kind}, and it may not be overwritten either"
    try:
        tempfile.gettempdir()
    except OSError:
        return "it can only be overwritten, and there is no folder for a temporary file; set TMPDIR"
    return ""


def _is_kept_by_sticky_folder(path: Path) -> bool:
    """Return whether a file is another user's in a folder such as /tmp, where each replaces only files of their own."""
    if sys.platform == "win32":
        return False
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (0, folder.st_uid, path.stat().st_uid)


def is_mount_point(path: Path) -> bool:
    """Return whether a file is mounted, alone or with its folder being on another file system."""
    try:
        if path.stat().st_dev != path.parent.stat().st_dev:
            return True
        # A bind mount may be of the same file system. Blanks in names are written as in \040.
        name = os.fsencode(os.path.realpath(path))
        for letter in b"\\ \t\n":
            name = name.replace(bytes([letter]), b"\\%03o" % letter)
        return any(line.split(b" ")[4] == name for line in Path("/proc/self/mountinfo").read_bytes().splitlines())
    except (OSError, IndexError):
        return False


def temporary_mode(path: Path) -> int:
    """Return the permissions of a file that is to replace `path`, for the time until it has its owner; less the umask."""
    return stat.S_IMODE(path.stat().st_mode) & 0o600 if path.exists() else 0o666


def replace(file: IO[bytes], temporary: Path, path: Path) -> None:
    """Give a temporary file, open and complete, the name `path`; an older file there is replaced, or else overwritten.

    Raises `OSError` where neither can be done.
    """
    if path.exists():
        copy_attributes(path, file.fileno(), temporary)
    if sys.platform == "win32":
        file.close()  # Windows renames no open file
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _CANNOT_BE_REPLACED or not path.is_file() or file.closed:
            raise
        with temporary.open("rb") as finished:
            try:
                overwrite(path, finished)
            except PermissionError:
                raise error from None
        temporary.unlink()


def copy_attributes(path: Path, handle: int, temporary: Path) -> None:
    """Give an open file owner, group, permissions and extended attributes of `path`, each as far as the system permits."""
    old = path.stat()
    if sys.platform != "win32":
        for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
            with suppress(OSError):
                os.fchown(handle, owner, group)
    os.chmod(handle if os.chmod in os.supports_fd else temporary, stat.S_IMODE(old.st_mode))  # noqa: PTH101 (a handle)
    if sys.platform == "linux":
        with suppress(OSError):
            for name in os.listxattr(path):
                if name.startswith(KEPT_ATTRIBUTES):
                    with suppress(OSError):
                        os.setxattr(handle, name, os.getxattr(path, name))


def overwrite(path: Path, content: IO[bytes]) -> None:
    """Overwrite an existing file with the content of another, open at its start, and sync it to the disk.

    The space is reserved first, so that a full disk leaves the old content. Raises `OSError` where it cannot be done.
    """
    size = os.fstat(content.fileno()).st_size
    with path.open("r+b") as file:
        before = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate") and size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                os.ftruncate(file.fileno(), before)
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        file.truncate(size)
        os.fsync(file.fileno())
