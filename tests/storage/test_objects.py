"""Objects are listed, read and written as a whole or not at all, whatever the server does meanwhile."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.s3_server import Server, serving
from tagger.errors import StorageError
from tagger.records import Content, Failed, RemotePhoto
from tagger.storage import settings, stores
from tagger.storage.objects import download, list_objects, object_state, read_object, upload
from tagger.storage.stores import ObjectState
from tagger.storage.traffic import Traffic

CONTENT = bytes(range(256)) * 400

KEYS = sorted(
    "a b.jpg,a#b.jpg,a?b=1.jpg,100%.jpg,a%20b.jpg,a+b.jpg,größe.jpg,gro\u0308ße.jpg,写真/1.jpg,x//y.jpg,x/../y.jpg,./z.jpg,"
    "/slash.jpg,a&b;c=d:e@f$g!h*'(i).jpg,tab\tand\nline.jpg,\U0001f457.jpg".split(","),
    key=str.encode,
)


def read(server: Server, key: str, max_bytes: int = 10_000_000, **known: Any) -> tuple[tuple[bytes, Content] | Failed, Traffic]:
    traffic = Traffic()
    return read_object(RemotePhoto(f"{server.url}/{key}", **known), max_bytes, traffic), traffic


def test_an_object_is_read_with_its_state(server: Server) -> None:
    """Its bytes, their hash and size, and the state that the listing and HEAD tell as well, by one request each."""
    server.put("a/1.jpg", CONTENT)
    found, traffic = read(server, "a/1.jpg")
    listed = [*list_objects(f"{server.url}/a/", traffic)]
    state = object_state(f"{server.url}/a/1.jpg", traffic)
    assert state is not None
    assert listed == [("1.jpg", len(CONTENT), state.state)]
    assert found == (CONTENT, Content(hashlib.sha256(CONTENT).digest(), len(CONTENT), state.state))
    assert (dict(traffic.requests), traffic.retries, traffic.received) == ({"get": 1, "list": 1, "head": 1}, 0, len(CONTENT))
    server.put("a/1.jpg", CONTENT[::-1])
    assert object_state(f"{server.url}/a/1.jpg", traffic) != state


@pytest.mark.parametrize("fault", ["InternalError", "SlowDown", "RequestTimeout", "reset", "reset_body", "short"])
def test_what_may_pass_is_repeated(server: Server, fault: str) -> None:
    """Errors of the server, connections that are reset, and bodies that end early; each attempt is counted."""
    server.put("1.jpg", CONTENT)
    is_code = fault[0].isupper()
    server.fault("error" if is_code else fault, method="GET", times=2, **({"code": fault} if is_code else {}))
    found, traffic = read(server, "1.jpg")
    assert not isinstance(found, Failed)
    assert found[0] == CONTENT
    assert server.requests()["get"] == 3
    if fault != "reset":  # aiohttp itself repeats a GET once on a connection that was used before
        assert (traffic.requests["get"], traffic.retries, traffic.received) == (3, 2, len(CONTENT))


def test_an_object_that_fails_again_and_again_is_a_failed_photo(server: Server) -> None:
    """After all attempts; others are read all the same, but not where one after the other fails."""
    server.put("1.jpg", CONTENT)
    server.put("2.jpg", CONTENT)
    server.fault("error", code="SlowDown", key="1.jpg", times=None)
    for _ in range(settings.GIVE_UP_BUCKET - 1):
        found, traffic = read(server, "1.jpg")
        assert found == Failed("unreadable", f"{server.url}/1.jpg: its server answers SlowDown")
        assert (traffic.requests["get"], traffic.retries) == (settings.ATTEMPTS, settings.ATTEMPTS - 1)
    assert not isinstance(read(server, "2.jpg")[0], Failed)
    assert isinstance(read(server, "1.jpg")[0], Failed)
    for _ in range(settings.GIVE_UP_BUCKET - 2):
        read(server, "1.jpg")
    with pytest.raises(StorageError, match="again and again; what was done is kept, so run the command again"):
        read(server, "1.jpg")


@pytest.mark.parametrize(
    ("code", "reason", "why"), [("NoSuchKey", "missing", "no such object"), ("AccessDenied", "unreadable", "access denied")]
)
def test_what_is_wrong_with_one_object_is_its_own_failure(server: Server, code: str, reason: Any, why: str) -> None:
    """It has vanished since it was listed, or may not be read; neither is tried twice."""
    server.put("1.jpg", CONTENT)
    server.fault("error", code=code, method="GET", times=None)
    found, traffic = read(server, "1.jpg")
    assert found == Failed(reason, f"{server.url}/1.jpg: {why}")
    assert traffic.requests["get"] == 1


def test_the_state_of_what_cannot_be_had(server: Server) -> None:
    """None where there is no object, nothing known where it may not be looked at."""
    assert object_state(f"{server.url}/none.jpg", Traffic()) is None
    server.fault("error", code="AccessDenied", method="HEAD")
    assert object_state(f"{server.url}/denied.jpg", Traffic()) == ObjectState(None, None)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_credentials_that_are_refused_end_the_work(server: Server, code: str) -> None:
    """At once, whatever is requested; a HEAD tells an expired token by nothing but its status."""
    server.put("1.jpg", CONTENT)
    server.fault("error", code=code, times=None)
    traffic = Traffic()
    for request in (
        lambda: read_object(RemotePhoto(f"{server.url}/1.jpg"), 1 << 20, traffic),
        lambda: next(list_objects(f"{server.url}/", traffic)),
        *([lambda: object_state(f"{server.url}/1.jpg", traffic)] if code == "ExpiredToken" else []),
    ):
        with pytest.raises(StorageError, match="credentials are missing, not valid or have expired") as raised:
            request()
        assert "secret" not in str(raised.value)
    assert traffic.retries == 0


def test_a_bucket_that_is_not_there(server: Server, tmp_path: Path) -> None:
    """Its name is in the sentence, whether it is listed, read or written."""
    (tmp_path / "f").write_bytes(b"x")
    for request in (
        lambda: next(list_objects("s3://nowhere/", Traffic())),
        lambda: download("s3://nowhere/t.csv", tmp_path / "t", Traffic()),
        lambda: upload(tmp_path / "f", "s3://nowhere/t.csv", Traffic()),
    ):
        with pytest.raises(StorageError, match=r"(There is no bucket nowhere|s3://nowhere/t.csv cannot be read)"):
            request()


def test_a_row_of_a_bucket_that_is_not_there(server: Server) -> None:
    """It is the failure of this row; a table may have others."""
    for _ in range(settings.GIVE_UP_BUCKET + 1):
        found = read_object(RemotePhoto("s3://nowhere/1.jpg"), 1_000, Traffic())
        assert found == Failed("missing", "s3://nowhere/1.jpg: there is no bucket nowhere")


def test_a_listing_that_is_denied(server: Server) -> None:
    """The sentence names the folder, and what to do."""
    server.fault("error", code="AccessDenied", method="LIST")
    with pytest.raises(StorageError, match=r"s3://photos/a/ may not be listed: access denied; .*permission"):
        next(list_objects(f"{server.url}/a/", Traffic()))


def test_no_server_at_the_endpoint(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """That nothing answers is told after all attempts, and that a name is unknown at once."""
    stores._opened.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    traffic = Traffic()
    with pytest.raises(StorageError, match=r"cannot be listed: .*; check the network, and the endpoint"):
        next(list_objects(f"{server.url}/", traffic))
    assert traffic.requests["list"] == settings.ATTEMPTS
    stores._opened.cache_clear()


@pytest.fixture(scope="module")
def many() -> Iterator[Server]:
    """A server with five pages of objects."""
    with serving(synthetic=4_500) as server:
        yield server


@pytest.fixture
def listed(many: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The same as the environment's endpoint."""
    stores._opened.cache_clear()
    for name, value in many.environment.items():
        monkeypatch.setenv(name, value)
    many.clear_faults()
    yield many
    stores._opened.cache_clear()


def test_a_listing_whose_pages_fail_has_every_key_once(listed: Server) -> None:
    """In the order of the keys' bytes; each page is requested again where it failed."""
    listed.fault("error", method="LIST", code="InternalError", times=2)
    listed.fault("reset_body", method="LIST", times=2, every=2)
    listed.fault("short", method="LIST", times=1, every=2)
    traffic = Traffic()
    keys = [one.key for one in list_objects(f"{listed.url}/", traffic)]
    assert len(keys) == len({*keys}) == 4_500
    assert keys == sorted(keys, key=str.encode)
    assert traffic.requests["list"] == 5 + traffic.retries
    assert traffic.retries >= 4


def test_a_long_listing_takes_the_memory_of_a_page(listed: Server) -> None:
    """Whatever the number of objects is."""
    listing = list_objects(f"{listed.url}/", Traffic())
    for _ in range(2_000):
        next(listing)
    tracemalloc.start(1)
    try:
        assert sum(1 for _ in listing) == 2_500
        assert tracemalloc.get_traced_memory()[0] < 1_500_000
    finally:
        tracemalloc.stop()


def test_keys_are_literal(server: Server) -> None:
    """Blanks, `#`, `?`, `%`, Unicode and what would be folders elsewhere; marks of folders are no objects."""
    for number, key in enumerate(KEYS):
        server.put(f"in/{key}", str(number).encode())
    server.put("in/folder/", b"")
    listed = [*list_objects(f"{server.url}/in/", Traffic())]
    assert [one.key for one in listed] == KEYS
    for number, one in enumerate(listed):
        found, _ = read(server, f"in/{one.key}", size=one.size, state=one.state)
        assert not isinstance(found, Failed), found
        assert found[0] == str(number).encode()
        assert found[1].mtime_ns == one.state


def test_an_object_that_is_too_long_is_not_received(server: Server) -> None:
    """Its answer is left where it says so, and one whose length was listed is not requested."""
    server.put("1.jpg", CONTENT)
    found, traffic = read(server, "1.jpg", max_bytes=1_000)
    assert found == Failed("too_large", f"{server.url}/1.jpg: longer than 1,000 bytes")
    assert (traffic.requests["get"], traffic.received) == (1, 0)
    assert read(server, "1.jpg", max_bytes=1_000, size=len(CONTENT))[1].requests["get"] == 0
