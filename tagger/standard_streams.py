"""Make standard input, output and error safe to use, whatever state this process was started with.

Schedulers start programs with closed streams, shells with pipes whose readers end early, other programs with pipes that do not
wait.
"""

import io
import os
import selectors
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tagger.errors import OutputError, reason_of

STDIN, STDOUT, STDERR = 0, 1, 2

OnError = Callable[[OSError], None]
"""Called with the error of a write; where it raises none, what was to be written is dropped."""


class _DescriptorFile(io.RawIOBase):
    """An unbuffered file over a descriptor, which stays open."""

    def __init__(self, descriptor: int) -> None:
        self.name = {STDIN: "<stdin>", STDOUT: "<stdout>", STDERR: "<stderr>"}.get(descriptor, descriptor)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)


class DescriptorWriter(_DescriptorFile):
    """An unbuffered file over a descriptor, which stays open: writes all it is given, and waits where the system would not.

    After the first error everything is dropped, so that a buffer that is flushed later raises no second one.
    """

    def __init__(self, descriptor: int, on_error: OnError) -> None:
        super().__init__(descriptor)
        self.mode = "wb"
        self._on_error = on_error
        self._failed = False

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
                _wait_for(self._descriptor, selectors.EVENT_WRITE)
            except OSError as error:
                self._failed = True
                self._on_error(error)
        return size


class DescriptorReader(_DescriptorFile):
    """An unbuffered file over a descriptor, which stays open: waits where the system would not, rather than end there."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.mode = "rb"

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read at most as many bytes as `buffer` has, and return their number; 0 at the end."""
        view = memoryview(buffer).cast("B")
        while True:
            try:
                read = os.read(self._descriptor, len(view))
            except BlockingIOError:
                _wait_for(self._descriptor, selectors.EVENT_READ)
            else:
                view[: len(read)] = read
                return len(read)


def _wait_for(descriptor: int, event: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        selector.select()


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make the standard streams safe to use during the block.

    - The null device takes the place of closed ones, so that no file of this process gets their descriptors, which libraries
      in C print to. `sys.stdin` stays None then; what is printed is dropped.
    - Standard input and output that do not wait, as other programs may leave them, are waited for.
    - Characters that a stream's encoding lacks are written as Python escapes them.
    - An error of standard output is an `OutputError`, except for `BrokenPipeError`: its reader has seen enough.
    - Messages that standard error does not take are dropped: a full disk under a log must not cost the work.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    _fill_closed_descriptors()
    sys.stdin = _input_stream(sys.stdin)
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


def _input_stream(stream: Any) -> Any:
    if os.name != "posix" or not isinstance(stream, io.TextIOWrapper) or not _is_over(stream, STDIN):
        return stream
    return io.TextIOWrapper(io.BufferedReader(DescriptorReader(STDIN)), stream.encoding, stream.errors)


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
