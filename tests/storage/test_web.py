"""Files of web servers: redirects, faults of every kind, and addresses that are never requested."""

import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from storage_helpers import WebServer, serve_web

from tagger.records import Content, Failed, RemotePhoto
from tagger.storage import objects, settings, stores
from tagger.storage.objects import object_state, read_object
from tagger.storage.stores import ObjectState
from tagger.storage.traffic import Traffic

PHOTO = bytes(range(256)) * 100


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server."""
    stores._opened.cache_clear()
    with serve_web() as server:
        yield server
    stores._opened.cache_clear()


def read(address: str, signature: str = "", max_bytes: int = 1_000_000) -> tuple[tuple[bytes, Content] | Failed, Traffic]:
    traffic = Traffic()
    return read_object(RemotePhoto(address, signature=signature), max_bytes, traffic), traffic


def why(address: str) -> str:
    """Return the detail of a photo that cannot be had."""
    found, _ = read(address)
    assert isinstance(found, Failed)
    return found.detail


def test_a_file_is_read_with_its_state(web: WebServer) -> None:
    """By its entity tag or its time of change, which HEAD tells as well; without either nothing is known."""
    for headers in ({"ETag": '"1"'}, {"Last_Modified": "Sat, 01 Nov 2025 08:00:00 GMT"}, {}):
        web.file("/1.jpg", PHOTO, **headers)
        found, traffic = read(f"{web.origin}/1.jpg")
        state = object_state(f"{web.origin}/1.jpg", Traffic())
        assert not isinstance(found, Failed)
        assert state is not None
        assert (found[0], found[1].mtime_ns, state.size) == (PHOTO, state.state, len(PHOTO))
        assert (state.state is None) == (not headers)
        assert (traffic.requests["get"], traffic.received) == (1, len(PHOTO))


@pytest.mark.parametrize("status", [403, 405, 500, 501])
def test_a_server_that_does_not_answer_head(web: WebServer, status: int) -> None:
    """It may have the file all the same."""

    def answer(handler: Any) -> None:
        handler.send_response(status if handler.command == "HEAD" else 200)
        handler.send_header("Content-Length", "0" if handler.command == "HEAD" else "5")
        handler.end_headers()
        handler.wfile.write(b"" if handler.command == "HEAD" else b"photo")

    web.answers["/1.jpg"] = answer
    assert object_state(f"{web.origin}/1.jpg", Traffic()) == ObjectState(None, None)
    found, _ = read(f"{web.origin}/1.jpg")
    assert not isinstance(found, Failed)
    assert found[0] == b"photo"


def test_a_file_that_is_not_there(web: WebServer) -> None:
    """HEAD and GET tell it."""
    assert object_state(f"{web.origin}/1.jpg", Traffic()) is None
    assert read(f"{web.origin}/1.jpg")[0] == Failed("missing", f"{web.origin}/1.jpg: its server answers 404")


@pytest.mark.parametrize(("status", "times"), [(403, 1), (401, 1), (400, 1), (429, 6), (500, 6), (503, 6)])
def test_statuses(web: WebServer, status: int, times: int) -> None:
    """Those that may pass are repeated; all are the failure of the one photo."""
    web.answers["/1.jpg"] = (status, {}, b"sorry")
    for _ in range(settings.GIVE_UP_HOST + 1):
        found, traffic = read(f"{web.origin}/1.jpg")
        assert isinstance(found, Failed)
        assert (found.reason, str(status) in found.detail) == ("unreadable", True)
        assert traffic.requests["get"] == times


@pytest.mark.parametrize("fault", ["short", "reset", "chunks"])
def test_an_answer_that_ends_early_is_repeated(web: WebServer, fault: str) -> None:
    """It is never taken for the whole of it, whether its length was told or it comes in chunks."""
    attempts: list[int] = []

    def answer(handler: Any) -> None:
        attempts.append(1)
        whole = len(attempts) > 2
        handler.send_response(200)
        handler.send_header(*(("Transfer-Encoding", "chunked") if fault == "chunks" else ("Content-Length", str(len(PHOTO)))))
        handler.end_headers()
        body = PHOTO if whole else PHOTO[:1000]
        handler.wfile.write(
            b"%x\r\n%b\r\n%b" % (len(body), body, b"0\r\n\r\n" if whole else b"") if fault == "chunks" else body
        )
        if not whole:
            handler.close_connection = True
            if fault == "reset":
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    web.answers["/1.jpg"] = answer
    found, traffic = read(f"{web.origin}/1.jpg")
    assert not isinstance(found, Failed)
    assert found[0] == PHOTO
    assert (len(attempts), traffic.retries) == (3, 2)


def test_an_answer_that_is_compressed_all_the_same(web: WebServer) -> None:
    """Though fmtag accepts no such thing; its state is the one that HEAD tells."""
    web.file("/1.jpg", gzip.compress(PHOTO), Content_Encoding="gzip", ETag='"1"')
    found, _ = read(f"{web.origin}/1.jpg")
    state = object_state(f"{web.origin}/1.jpg", Traffic())
    assert not isinstance(found, Failed)
    assert state is not None
    assert (found[0], found[1].mtime_ns) == (PHOTO, state.state)
    assert state.size in (None, len(PHOTO))


def test_a_slow_server(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that pauses for too long fails; one that goes on slowly is waited for."""
    monkeypatch.setattr(settings, "READ_SECONDS", 0.3)
    monkeypatch.setattr(settings, "ATTEMPTS", 2)

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "8")
        handler.end_headers()
        for letter in b"slowness":
            time.sleep(2 if "pause" in handler.path else 0.05)
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()

    web.answers |= {"/1.jpg": answer, "/pause.jpg": answer}
    found, _ = read(f"{web.origin}/1.jpg")
    assert not isinstance(found, Failed)
    assert why(f"{web.origin}/pause.jpg").endswith("did not answer in time")


def test_a_file_that_is_too_long_is_left(web: WebServer) -> None:
    """Whether its length was told or not."""
    web.file("/1.jpg", PHOTO)
    web.file("/2.jpg", PHOTO, Content_Length="")
    for name in ("1.jpg", "2.jpg"):
        found, _ = read(f"{web.origin}/{name}", max_bytes=1_000)
        assert isinstance(found, Failed)
        assert (found.reason, found.detail) == ("too_large", f"{web.origin}/{name}: longer than 1,000 bytes")


# Redirects and addresses --------------------------------------------------------------------------------------------


def test_redirects_are_followed(web: WebServer) -> None:
    """Relative ones, to other hosts, and those of a signed address, whose signature goes nowhere else."""
    web.file("/b/1.jpg", PHOTO)
    web.answers["/a/1.jpg"] = (302, {"Location": "../b/1.jpg"}, b"")
    web.answers["/c.jpg"] = (308, {"Location": f"{web.origin.replace('127.0.0.1', 'localhost')}/a/1.jpg"}, b"")
    found, traffic = read(f"{web.origin}/c.jpg", signature="sig=secret")
    assert not isinstance(found, Failed)
    assert found[0] == PHOTO
    assert traffic.requests["get"] == 1
    assert [path for _, path in web.requests if "secret" in path] == ["/c.jpg?sig=secret"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/1.jpg", "redirects more than 5 times"),
        ("http://169.254.169.254/latest/meta-data/", "never requested"),
        ("http://[fe80::1]/x.jpg", "never requested"),
        ("http://2852039166/x.jpg", "never requested"),
        ("file:///etc/passwd", "not of a web server"),
        ("ftp://127.0.0.1/x.jpg", "not of a web server"),
        ("http://[", "malformed"),
    ],
)
def test_redirects_that_lead_nowhere(web: WebServer, location: str, reason: str) -> None:
    """In a circle, to the machine's own network link, to files, to nothing that is an address."""
    web.answers["/1.jpg"] = (302, {"Location": location}, b"")
    assert reason in why(f"{web.origin}/1.jpg")
    assert web.count("GET") <= settings.REDIRECTS + 1


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "0xa9fea9fe", "169.254.43518", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200"],
)
def test_addresses_by_which_clouds_tell_secrets(host: str) -> None:
    """In every spelling, at once and without a request."""
    found, traffic = read(f"http://{host}/latest.jpg")
    assert isinstance(found, Failed)
    assert "never requested" in found.detail
    assert traffic.retries == 0


def test_a_name_that_leads_to_such_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as good as the address itself, even beside others."""

    async def resolve(*_: Any, **__: Any) -> list[dict[str, Any]]:
        found = {"hostname": "cdn.example", "port": 80, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [found | {"host": "192.0.2.1"}, found | {"host": "169.254.169.254"}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    stores._opened.cache_clear()
    found, traffic = read("http://cdn.example/1.jpg")
    assert isinstance(found, Failed)
    assert "never requested" in found.detail
    assert traffic.retries == 0


@pytest.mark.parametrize(
    ("address", "requested"),
    [
        ("/größe 1.jpg", "/gr%C3%B6%C3%9Fe%201.jpg"),
        ("/gr%C3%B6%C3%9Fe%201.jpg", "/gr%C3%B6%C3%9Fe%201.jpg"),
        ("/a%2Fb+c.jpg?v=1%202&w=ä", "/a%2Fb+c.jpg?v=1%202&w=%C3%A4"),
        ("/100%.jpg", "/100%25.jpg"),
        ('/a"b<c>.jpg', "/a%22b%3Cc%3E.jpg"),
        ("/a/../b//c.jpg", "/a/../b//c.jpg"),
        ("/x;y,z@(1)!.jpg", "/x;y,z@(1)!.jpg"),
    ],
)
def test_an_address_is_requested_as_it_is(web: WebServer, address: str, requested: str) -> None:
    """Codes stay, and what may not stand in a request gets them."""
    read(web.origin + address)
    assert [*web.requests] == [("GET", requested)]


def test_names_beyond_ascii_are_resolved_as_browsers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their Punycode."""
    names: list[str] = []

    async def resolve(_: Any, host: str, *__: Any, **___: Any) -> list[dict[str, Any]]:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    stores._opened.cache_clear()
    assert why("http://münchen.example/1.jpg") == "http://münchen.example/1.jpg: the name of its server is not known"
    assert names == ["xn--mnchen-3ya.example"]


# Servers that are not reached ---------------------------------------------------------------------------------------


def test_a_server_that_is_not_reached_is_given_up() -> None:
    """After some photos in a row, so that a table of thousands of its photos does not take days; others are not."""
    dead = "http://127.0.0.1:9"
    for number in range(settings.GIVE_UP_HOST):
        found, traffic = read(f"{dead}/{number}.jpg")
        assert isinstance(found, Failed)
        assert traffic.requests["get"] == settings.ATTEMPTS
    found, traffic = read(f"{dead}/9.jpg", signature="sig=secret")
    assert isinstance(found, Failed)
    assert found.detail == f"{dead}/9.jpg: its server was not reached several times in a row, and is not tried again"
    assert object_state(f"{dead}/9.jpg", traffic) == ObjectState(None, None)
    assert traffic.requests.total() == 0


def test_a_server_is_tried_again_later(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs for days, such as that of a review, does not give it up for ever."""
    web.file("/1.jpg", PHOTO)
    monkeypatch.setattr(settings, "GIVE_UP_SECONDS", 0.2)
    for _ in range(settings.GIVE_UP_HOST):
        objects._hosts.failed(f"{web.origin}/1.jpg")
    assert "is not tried again" in why(f"{web.origin}/1.jpg")
    time.sleep(0.25)
    assert not isinstance(read(f"{web.origin}/1.jpg")[0], Failed)
    assert not objects._hosts.is_given_up(f"{web.origin}/1.jpg")


def test_the_states_of_a_server_that_is_not_reached() -> None:
    """Their requests count likewise."""
    traffic = Traffic()
    for number in range(2 * settings.GIVE_UP_HOST):
        assert object_state(f"http://127.0.0.1:9/{number}.jpg", traffic) == ObjectState(None, None)
    assert traffic.requests["head"] == settings.GIVE_UP_HOST * settings.ATTEMPTS


def test_a_server_that_is_reached_again(web: WebServer) -> None:
    """A photo that comes begins the count anew."""
    web.file("/1.jpg", PHOTO)

    def reset(handler: Any) -> None:
        handler.close_connection = True

    for name in ("/2.jpg", "/3.jpg", "/4.jpg", "/5.jpg"):
        web.answers[name] = reset
        assert "its server was not reached several" not in why(f"{web.origin}{name}")
        assert not isinstance(read(f"{web.origin}/1.jpg")[0], Failed)
