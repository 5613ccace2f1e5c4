"""Tell the paths of streams, such as `/dev/stdout`, `/dev/fd/63` or a named pipe, from those of files, and write to them."""

import errno
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tagger.errors import reason_of
from tagger.standard_streams import STDERR, STDOUT, DescriptorWriter

MAX_LINKS = 40
"""Links that are followed from a path; the system, too, gives up after so many."""


def descriptor_of(path: str | Path) -> int | None:
    """Return the descriptor that a path names, itself or as a link: `/dev/stdout`, `/dev/fd/63`; None for any other path.

    `-` is standard output. The descriptor may be closed.
    """
    if str(path) == "-":
        return STDOUT
    place = Path(path)
    for _ in range(MAX_LINKS):
        try:
            folder = os.path.realpath(place.parent)
            if re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd", folder) and place.name.isdecimal():
                return int(place.name)
            place = Path(folder, Path(folder, place.name).readlink())
        except (OSError, ValueError):
            return None
    return None


def is_stream(path: str | Path) -> bool:
    """Return whether what is written to a path is passed on rather than kept there: a descriptor, a pipe, a device."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def is_standard_output(path: str | Path | None) -> bool:
    """Return whether a path is standard output: `-`, `/dev/stdout`, a link to it."""
    return path is not None and descriptor_of(path) == STDOUT


def why_closed(descriptor: int) -> str:
    """Return why a descriptor cannot be written, as the end of a sentence; empty where it can."""
    try:
        os.fstat(descriptor)
        # Python hands none of its own files on to other programs: what they find open is what it was started with.
        if descriptor > STDERR and not os.get_inheritable(descriptor):
            return "it is not open"
    except (OSError, OverflowError):
        return "it is not open"
    if sys.platform != "win32":
        import fcntl

        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            return "it is closed" if descriptor <= STDERR else "it is open for reading only"
    return ""


def why_stream_unwritable(path: str | Path) -> str:
    """Return why a pipe, device or descriptor cannot be written, as the end of a sentence; empty where it can.

    A pipe is not opened: its reader would take that for the output.
    """
    if (descriptor := descriptor_of(path)) is not None:
        return why_closed(descriptor)
    mode = Path(path).stat().st_mode
    if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        return "it is a socket" if stat.S_ISSOCK(mode) else "it is a disk"
    if not os.access(path, os.W_OK):
        return "you have no permission"
    if stat.S_ISCHR(mode):
        try:
            os.close(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0)))
        except OSError as error:
            return reason_of(error)
    return ""


def waiting_for_reader(path: str | Path) -> str:
    """Return a sentence for the time until a named pipe has a reader."""
    return f"{path} is a pipe that nothing reads yet; waiting for its reader."


@contextmanager
def open_stream(path: str | Path, waiting: Callable[[], None] = lambda: None) -> Iterator[IO[bytes]]:
    """Open a pipe, device or descriptor for writing; `waiting` is called before it waits for the reader of a named pipe.

    Raises `OSError` where it cannot be written.
    """
    descriptor = descriptor_of(path)
    if descriptor is not None:
        if sys.stdout is not None and descriptor == STDOUT:
            sys.stdout.flush()
        with _buffered(descriptor) as file:
            yield file
        return
    handle = _open_for_writing(path, waiting)
    try:
        with _buffered(handle) as file:
            yield file
    finally:
        os.close(handle)


@contextmanager
def _buffered(descriptor: int) -> Iterator[IO[bytes]]:
    writer = DescriptorWriter(descriptor, _raise)
    file = io.BufferedWriter(writer)
    try:
        yield file
        file.flush()
    except BaseException:
        writer.drop()  # the rest of an output that is not whole is of no use
        raise
    finally:
        file.close()  # the writer, not its descriptor


def _open_for_writing(path: str | Path, waiting: Callable[[], None]) -> int:
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno != errno.ENXIO or not stat.S_ISFIFO(Path(path).stat().st_mode):
            raise
        waiting()
        return os.open(path, flags)
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    return handle


def _raise(error: OSError) -> None:
    raise error
