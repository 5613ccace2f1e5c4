"""Fixtures of the tests of objects: a server of S3's requests that fails as it is told to, and attempts that do not wait."""

from collections.abc import Iterator

import pytest

from benchmarks.speed.s3_server import Server, serving
from tagger.storage import objects, settings, stores


@pytest.fixture(scope="module", autouse=True)
def _own_stores() -> Iterator[None]:
    """Let no store be that of another module, whose server is another one."""
    stores._opened.cache_clear()
    yield
    stores._opened.cache_clear()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once, and begin without failures."""
    monkeypatch.setattr(settings, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(settings, "LONGEST_WAIT", 0.002)
    monkeypatch.setattr(settings, "READ_SECONDS", 3.0)  # before Python 3.11 a reset while sending is noticed only by that
    objects._buckets._counts.clear()
    objects._hosts._counts.clear()


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    """The server that all tests share."""
    with serving(objects={}) as server:
        yield server


@pytest.fixture
def server(running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server without objects, faults and counts, as the environment's endpoint."""
    for name, value in running_server.environment.items():
        monkeypatch.setenv(name, value)
    running_server.begin_anew()
    return running_server
