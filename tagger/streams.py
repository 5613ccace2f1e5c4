"""Write to standard streams and to other descriptors that this process was started with, whatever state they are in.

Schedulers start programs with closed streams, shells with pipes whose readers end early or that do not wait, and paths such as
`/dev/stdout` and `/dev/fd/63` name descriptors rather than files.
"""

import errno
import io
import os
import re
import selectors
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tagger.errors import OutputError, reason_of

STDOUT, STDERR = 1, 2

MAX_LINKS = 40
"""Links that are followed from a path; the system, too, gives up after so many."""

OnError = Callable[[OSError], None]
"""Called with the error of a write; where it raises none, what was to be written is dropped."""


class DescriptorWriter(io.RawIOBase):
    """An unbuffered file over a descriptor, which stays open: writes all it is given, and waits where the system would not.

    After the first error everything is dropped, so that a buffer that is flushed later raises no second one.
    """

    def __init__(self, descriptor: int, on_error: OnError) -> None:
        self.name = {STDOUT: "<stdout>", STDERR: "<stderr>"}.get(descriptor, descriptor)
        self.mode = "wb"
        self._descriptor = descriptor
        self._on_error = on_error
        self._failed = False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True."""
        return True

    def drop(self) -> None:
        """Drop what is written from now on."""
        self._failed = True

    def write(self, data: Any) -> int:
        """Write all bytes of `data` and return their number."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and not self._failed:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                _wait_until_writable(self._descriptor)
            except OSError as error:
                self._failed = True
                self._on_error(error)
        return size


def _wait_until_writable(descriptor: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_WRITE)
        selector.select()


# Standard streams --------------------------------------------------------------------------------------------------


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make the standard streams safe to use during the block.

    - The null device takes the place of closed ones, so that no file of this process gets their descriptors, which libraries
      in C print to. `sys.stdin` stays None then; what is printed is dropped.
    - Characters that a stream's encoding lacks are written as Python escapes them.
    - An error of standard output is an `OutputError`, except for `BrokenPipeError`: its reader has seen enough.
    - Messages that standard error does not take are dropped: a full disk under a log must not cost the work.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    _fill_closed_descriptors()
    sys.stdout = _text_stream(sys.stdout, STDOUT, _raise_as_output_error)
    sys.stderr = _text_stream(sys.stderr, STDERR, lambda error: None)
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _fill_closed_descriptors() -> None:
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Always the lowest free one, which is this. Standard output is opened for reading, as a mark that it is closed.
            flags = os.O_WRONLY if descriptor == STDERR else os.O_RDONLY
            os.set_inheritable(os.open(os.devnull, flags), True)


def _text_stream(stream: Any, descriptor: int, on_error: OnError) -> Any:
    """Return the stream to use in place of one of `sys`, which is None where it was closed."""
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(_Dropped()), "utf-8", "backslashreplace", write_through=True)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter shows its number
    if os.name != "posix" or not _is_over(stream, descriptor):  # consoles of Windows are no descriptors
        return stream
    stream.flush()
    raw = io.BufferedWriter(DescriptorWriter(descriptor, on_error))
    return io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering)


class _Dropped(io.RawIOBase):
    """A file that drops what is written to it."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(memoryview(data).cast("B"))


def _is_over(stream: io.TextIOWrapper, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def _raise_as_output_error(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputError(f"Standard output cannot be written ({reason_of(error)}); give it a file or a pipe that can.") from error


# Paths that name descriptors -----------------------------------------------------------------------------------------


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
        file.detach()


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
