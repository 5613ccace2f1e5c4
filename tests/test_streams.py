"""Streams are told from files by their paths, and written to their end or not at all."""

import errno
import io
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.streams import (
    descriptor_of,
    is_standard_output,
    is_stream,
    open_stream,
    why_closed,
    why_stream_unwritable,
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe that other programs would find open, as those of a shell, and yield its two ends."""
    ends = os.pipe()
    for end in ends:
        os.set_inheritable(end, True)
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_a_full_pipe_is_waited_for(pipe: tuple[int, int]) -> None:
    """A pipe that does not wait by itself gets all that is written, however slowly it is read."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    content = os.urandom(300_000)
    got = io.BytesIO()

    def read() -> None:
        time.sleep(0.05)
        while chunk := os.read(reading, 10_000):
            got.write(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    with open_stream(f"/dev/fd/{writing}") as file:
        file.write(content)
    os.close(writing)
    reader.join()
    assert got.getvalue() == content


def test_a_block_that_fails_writes_no_more(pipe: tuple[int, int]) -> None:
    """What is still in a buffer then is a part of an output that never becomes whole; the descriptor stays open."""
    reading, writing = pipe

    def fail() -> None:
        with open_stream(f"/dev/fd/{writing}") as file:
            file.write(b"a part")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    os.write(writing, b"the end")
    assert os.read(reading, 100) == b"the end"


def test_paths_of_descriptors(tmp_path: Path, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of a descriptor is one, links to it too; files, and paths that no file can have, are none."""
    monkeypatch.chdir(tmp_path)
    Path("out.csv").symlink_to("between")
    Path("between").symlink_to("/dev/stdout")
    Path("loop").symlink_to("loop")
    Path("1").touch()
    named = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2, "/dev/fd/63": 63, "/proc/self/fd/1": 1, "out.csv": 1}
    named[f"/proc/{os.getpid()}/fd/7"] = 7
    assert {name: descriptor_of(name) for name in named} == named
    for other in ("1", "loop", "", ".", "/dev/null", "/dev/fd", "/dev/fd/x", "n" * 300, f"/proc/{os.getppid()}/fd/1"):
        assert descriptor_of(other) is None, other
    assert is_standard_output(Path("out.csv"))
    assert not is_standard_output("1")
    assert not is_standard_output(None)


def test_streams_keep_nothing(tmp_path: Path) -> None:
    """Descriptors, devices, pipes and links to them are streams; files, folders and what does not exist are none."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").touch()
    assert all(map(is_stream, ("-", os.devnull, "/dev/fd/9", tmp_path / "pipe", tmp_path / "link")))
    assert not any(map(is_stream, (tmp_path, tmp_path / "file", tmp_path / "none", tmp_path / ("n" * 300))))


def test_what_cannot_be_written_is_told(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """A descriptor that is not open, or another program's to write, and a socket or disk that rows would destroy."""
    reading, writing = pipe
    assert why_closed(writing) == why_stream_unwritable(f"/dev/fd/{writing}") == ""
    assert why_closed(reading) == "it is open for reading only"
    assert why_closed(999) == why_closed(10**30) == "it is not open"
    with (tmp_path / "own").open("wb") as own:
        assert why_closed(own.fileno()) == "it is not open"
    assert why_stream_unwritable(os.devnull) == ""
    assert why_stream_unwritable("/dev/full") == ""


@pytest.mark.parametrize(("kind", "why"), [(stat.S_IFSOCK, "it is a socket"), (stat.S_IFBLK, "it is a disk")])
def test_sockets_and_disks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, why: str) -> None:
    """Rows would not arrive there, or destroy what is on it."""
    monkeypatch.setattr(Path, "stat", lambda self: os.stat_result((kind | 0o666, *range(9))))
    assert why_stream_unwritable(tmp_path / "x") == why


def test_a_device_that_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /dev/tty where there is no terminal, or a device without permission."""

    def none(*_: object) -> int:
        raise OSError(errno.ENXIO, "No such device or address")

    monkeypatch.setattr(os, "open", none)
    assert why_stream_unwritable(os.devnull) == "No such device or address"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert why_stream_unwritable(os.devnull) == "you have no permission"


def test_the_reader_of_a_pipe_may_come_late(tmp_path: Path) -> None:
    """That it is waited for is told once; a reader that is there already is not waited for, and each writer has its own end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(path.read_bytes() for _ in range(2)))
    with open_stream(path, reader.start) as file:
        file.write(b"rows")
    deadline = time.monotonic() + 10
    while not got and time.monotonic() < deadline:
        time.sleep(0.01)
    with open_stream(path) as file:
        file.write(b"changes")
    reader.join()
    assert got == [b"rows", b"changes"]
