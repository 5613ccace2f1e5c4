"""Run a server as a process for the benchmark of servers: start it, wait until it answers, tell its processor time, stop it."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.speed.measuring import ROOT, process_tree

START_S = 60.0
"""Seconds in which a server must answer."""

STOP_S = 5.0
"""Seconds in which it must stop; it is killed then."""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(command: Sequence[str], port: int) -> Iterator[Callable[[], float]]:
    """Run a server while the block lasts; yields a function that returns the processor seconds of all its processes.

    Raises `SystemExit` with its messages where it does not answer within `START_S`.
    """
    # A session of its own, all processes of which are stopped together: some servers leave workers behind.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command,
            stdout=messages,
            stderr=messages,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        try:
            if not _answers(process, port):
                messages.seek(0)
                raise SystemExit(f"{' '.join(command)} does not answer:\n{messages.read().decode()}")
            yield lambda: sum(map(processor_seconds, process_tree(process.pid)))
        finally:
            _stop(process)


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Return whether a server answers anything at all in time."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return True
            finally:
                connection.close()
        time.sleep(0.1)
    return False


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of the children that it has waited for; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop all processes of a server."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
