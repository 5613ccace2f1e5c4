"""A real server: it stops when what was accepted is answered, and answers what it refuses."""

import http.client
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import ROOT, run_cli
from service_helpers import form_body, jpeg, make_service, server

from tagger.web.listening import listening
from tagger.web.monitoring import ServiceLog
from tagger.web.server import _logged_to, _Server, serve

BODY = form_body(("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)))

HEADERS = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def address(small_bundle: Path) -> Iterator[str]:
    """The host and port of a server that takes 100 kB per request."""
    with server(small_bundle, "--max-bytes", "100000", "--max-file-bytes", "50000", "--body-seconds", "0.5", "--quiet") as (
        _,
        url,
    ):
        yield urlsplit(url).netloc


def post(address: str, body: object = BODY, headers: dict[str, str] = HEADERS, **more: object) -> tuple[int, dict[str, object]]:
    """Send a request of its own connection; return status and document of the answer."""
    with closing(http.client.HTTPConnection(address, timeout=20)) as connection:
        connection.request("POST", "/v1/tags", body, headers, **more)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def endless() -> Iterator[bytes]:
    """Yield a photo of ten times what is allowed."""
    yield BODY[:80]
    for _ in range(1_000):
        yield bytes(1_000)


@pytest.mark.slow
def test_a_body_that_is_too_large_gets_its_answer(address: str) -> None:
    """The client sees 413, not a connection that is cut: with and without a Content-Length."""
    assert post(address, b"".join(endless()))[0] == 413
    assert post(address, endless(), encode_chunked=True, headers={**HEADERS, "Transfer-Encoding": "chunked"})[0] == 413


@pytest.mark.slow
def test_a_body_that_does_not_come_gets_its_answer(address: str) -> None:
    """A Content-Length that is not kept: 408 after the time for it, and the connection ends."""
    status, document = post(address, BODY[:100], {**HEADERS, "Content-Length": "5000"})
    assert (status, document["title"]) == (408, "Request Timeout")


@pytest.mark.slow
@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"POST /v1/tags HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n"])
def test_what_is_no_http_is_refused(address: str, request_: bytes) -> None:
    """And the server goes on."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(request_)
        assert b" 400 " in connection.recv(1_000)
    assert post(address)[0] == 200


@pytest.mark.slow
def test_it_stops_when_what_was_accepted_is_answered(small_bundle: Path) -> None:
    """Under load: a request that has begun is finished, new ones are refused, the process ends with 0 and says so."""
    with server(small_bundle) as (process, url):
        address, statuses, told = urlsplit(url).netloc, set[int](), threading.Event()
        begun = http.client.HTTPConnection(address, timeout=20)
        begun.putrequest("POST", "/v1/tags")
        for name, value in {**HEADERS, "Content-Length": str(len(BODY))}.items():
            begun.putheader(name, value)
        begun.endheaders(BODY[:300])

        def load() -> None:
            for _ in range(200):
                try:
                    statuses.add(post(address)[0])
                except (OSError, http.client.HTTPException):
                    assert told.is_set()
                    return

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        while 200 not in statuses:
            time.sleep(0.01)
        told.set()
        process.send_signal(signal.SIGTERM)
        while 503 not in statuses:
            time.sleep(0.01)
        assert process.poll() is None
        begun.send(BODY[300:])
        answer = begun.getresponse()
        document = json.loads(answer.read())
        begun.close()
        assert process.stderr is not None
        log = process.stderr.read()
        for thread in threads:
            thread.join()
        assert process.wait(20) == 0
    assert (answer.status, [row["path"] for row in document["rows"]]) == (200, ["a.jpg", "b.jpg"])
    assert statuses == {200, 503}
    assert log.splitlines()[-1] == "Stopped."


@pytest.mark.slow
def test_requests_that_take_too_long_are_given_up(small_bundle: Path) -> None:
    """After the time for that: the process ends with 1."""
    with server(small_bundle, "--grace", "0.2") as (process, url):
        host, _, port = urlsplit(url).netloc.partition(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(
                b"POST /v1/tags HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            )
            connection.sendall(b"Content-Length: 99\r\n\r\n-")
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 1


@pytest.mark.slow
def test_slow_headers_end_the_connection(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However their bytes are spread; a connection whose request is in progress is kept."""
    monkeypatch.setattr("tagger.web.server.HEADER_SECONDS", 0.5)
    service = make_service(small_bundle)
    log, seen = ServiceLog(quiet=True), list[bytes]()

    def use(address: tuple[str, int]) -> None:
        with socket.create_connection(address, 10) as connection, suppress(OSError):
            for letter in b"GET /health/live HTTP/1.1\r\nX: " + b"x" * 60:
                connection.sendall(bytes([letter]))
                time.sleep(0.1)
            seen.append(b"not closed")
        seen.append(b"closed")
        signal.raise_signal(signal.SIGINT)

    with listening("127.0.0.1", 0) as listener:
        client = threading.Thread(target=use, args=(listener.socket.getsockname(),))
        assert serve(service, listener, log, client.start)
        client.join()
    assert seen == [b"closed"]


@pytest.mark.slow
def test_rows_of_the_default_bundle_are_those_of_a_run(tmp_path: Path) -> None:
    """The examples, one by one, from several clients at once: the very rows, but for copies, which are told of one request."""
    out = tmp_path / "tags.json"
    run_cli("run", ROOT / "examples" / "catalog", "--out", out, "--device", "cpu", "--model", "catalog")
    expected = {row["path"]: row for row in json.loads(out.read_text())["rows"]}
    with server(Path("catalog"), "--quiet") as (_, url), ThreadPoolExecutor(8) as threads:
        address = urlsplit(url).netloc

        def row_of(path: str) -> object:
            status, document = post(address, form_body((path, (ROOT / "examples" / "catalog" / path).read_bytes())))
            assert status == 200
            return document["rows"][0]  # type: ignore[index]

        rows = dict(zip(expected, threads.map(row_of, expected), strict=True))
    assert rows == {path: {**row, "duplicate_of": ""} for path, row in expected.items()}


def test_warnings_of_the_server_are_in_its_log() -> None:
    """Escaped as all lines are."""
    file = StringIO()
    with _logged_to(ServiceLog(file=file)):
        logging.getLogger("uvicorn.error").warning("odd \x1b")
    assert file.getvalue() == "Warning: odd \\x1b\n"


def test_a_second_signal_ends_it_at_once(small_bundle: Path) -> None:
    """The first one waits for what is in progress."""
    import uvicorn

    service = make_service(small_bundle)
    stopped = _Server(uvicorn.Config(service.app), service, lambda: None, 30)
    stopped.handle_exit(signal.SIGINT, None)
    assert (service.accounting.stopping, stopped.should_exit) == (True, False)
    stopped.handle_exit(signal.SIGINT, None)
    assert (stopped.should_exit, stopped.force_exit) == (True, True)
