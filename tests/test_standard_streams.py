"""Standard streams that are closed, full, gone or do not wait cost no work, or are a sentence."""

import errno
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tagger import standard_streams as module
from tagger.errors import OutputError
from tagger.standard_streams import DescriptorReader, DescriptorWriter, standard_streams


def test_after_an_error_the_rest_is_dropped() -> None:
    """The first error is told, and none follows where a buffer is flushed at the end."""
    reading, writing = os.pipe()
    os.close(reading)
    errors: list[OSError] = []
    file = io.BufferedWriter(DescriptorWriter(writing, errors.append))
    for _ in range(3):
        file.write(b"x" * 20_000)
    file.close()
    assert [error.errno for error in errors] == [errno.EPIPE]
    os.close(writing)  # which it is still there for


def test_input_that_does_not_wait_is_waited_for() -> None:
    """A pause of the writer is not the end of a list."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.extend(io.BufferedReader(DescriptorReader(reading))))
    reader.start()
    for line in (b"first\n", b"second\n"):
        os.write(writing, line)
        reader.join(0.02)
        assert reader.is_alive()
    os.close(writing)
    reader.join()
    os.close(reading)
    assert lines == [b"first\n", b"second\n"]


CLOSED = """
import os, sys
from tagger.standard_streams import standard_streams
from tagger.streams import why_closed
with standard_streams():
    first = open(sys.argv[1], "w")
    print("dropped")
    sys.stderr.write("dropped")
    os.write(2, b"dropped, of a library in C")
    first.write(f"{first.fileno()} {sys.stdin} {why_closed(1)}")
"""


def test_closed_streams_are_filled(tmp_path: Path) -> None:
    """No file of the process gets a standard descriptor, to which libraries print; what is printed is dropped."""
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", CLOSED, tmp_path / "first"]
    assert subprocess.run(command, check=False).returncode == 0
    descriptor, *others = (tmp_path / "first").read_text().split(" ", 2)
    assert int(descriptor) > 2
    assert others == ["None", "it is closed"]


def test_standard_error_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under a log, or a reader of it that is gone, is no error; the streams of before are back afterwards."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        monkeypatch.setattr(module, "STDERR", full.fileno())
        with standard_streams():
            sys.stderr.write("a line\n")
            sys.stderr.flush()
            assert not sys.stderr.isatty()
        assert sys.stderr is full


def test_standard_output_fails_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error names it, except where its reader has seen enough."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(module, "STDOUT", full.fileno())
        with standard_streams():
            sys.stdout.write("a line\n")
            with pytest.raises(OutputError, match=r"Standard output cannot be written \(No space left on device\)"):
                sys.stdout.flush()
            sys.stdout.write("dropped\n")
            sys.stdout.flush()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        monkeypatch.setattr(module, "STDOUT", writing)
        with standard_streams():
            sys.stdout.write("a line\n")
            with pytest.raises(BrokenPipeError):
                sys.stdout.flush()


def test_letters_that_a_stream_lacks_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of an error in the middle of a table."""
    with (tmp_path / "log").open("w", encoding="ascii") as log:
        monkeypatch.setattr(sys, "stderr", log)
        with standard_streams():
            sys.stderr.write("Mäntel")
    assert (tmp_path / "log").read_text() == "M\\xe4ntel"
