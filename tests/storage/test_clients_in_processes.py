"""The clients of buckets and web servers in processes of their own: they say nothing themselves, and a fork opens its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.speed.s3_server import Server, serving
from tagger.records import Failed, RemotePhoto
from tagger.storage.objects import read_object
from tagger.storage.traffic import Traffic

ROOT = Path(__file__).resolve().parents[2]

READING = """
import sys
from tagger.errors import StorageError
from tagger.records import Failed, RemotePhoto
from tagger.storage import settings
from tagger.storage.objects import list_objects, object_state, read_object
from tagger.storage.traffic import Traffic

settings.FIRST_WAIT, settings.LONGEST_WAIT = 0.001, 0.001
folder, endpoint = sys.argv[1:]
for address in (f"{folder}/1.jpg", f"{folder}/2.jpg", f"{folder}/9.jpg", f"{endpoint}/photos/1.jpg", "http://127.0.0.1:9/1.jpg"):
    found = read_object(RemotePhoto(address), 1_000_000, Traffic())
    print(found.reason if isinstance(found, Failed) else len(found[0]))
print(object_state(f"{endpoint}/photos/1.jpg", Traffic()).size)
listing = list_objects(f"{folder}/", Traffic())
print(next(listing).key)
try:
    next(list_objects("s3://another/", Traffic()))
except StorageError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    """A server with two photos."""
    with serving() as server:
        server.put("1.jpg", b"one")
        server.put("2.jpg", b"two" * 10_000)
        yield server


@pytest.fixture
def server(served: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, as the environment's endpoint."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    served.clear_faults()
    served.reset()
    return served


def test_nothing_but_fmtag_writes_messages(server: Server) -> None:
    """Whatever fails, and although the process ends without a farewell to its connections."""
    server.fault("reset_body", method="GET", key="2.jpg", times=2)
    server.fault("error", method="GET", key="1.jpg", code="InternalError", times=2)
    done = subprocess.run(
        [sys.executable, "-c", READING, server.url, server.endpoint], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    *lines, last = done.stdout.splitlines()
    assert lines == ["3", "30000", "missing", "3", "unreadable", "3", "1.jpg"]
    assert last == "There is no bucket another (s3://another/); check its name and region."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_opens_its_own_connections(server: Server) -> None:
    """Those of the process that it came from stay that one's."""
    photo = RemotePhoto(f"{server.url}/1.jpg")
    assert not isinstance(read_object(photo, 10, Traffic()), Failed)
    if (child := os.fork()) == 0:
        ended = threading.Timer(60, os._exit, (2,))
        ended.daemon = True
        ended.start()
        os._exit(isinstance(read_object(photo, 10, Traffic()), Failed))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not isinstance(read_object(photo, 10, Traffic()), Failed)


def test_many_threads_read_at_once(server: Server) -> None:
    """Each gets its own answer, and all are counted."""
    traffic = Traffic()
    photos = [RemotePhoto(f"{server.url}/{1 + number % 2}.jpg") for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda photo: read_object(photo, 100_000, traffic), photos))
    assert [None if isinstance(one, Failed) else len(one[0]) for one in found] == [3, 30_000] * 100
    assert (traffic.requests, traffic.received) == ({"get": 200}, 100 * 30_003)
