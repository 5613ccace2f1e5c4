"""Photos are fetched from allowed hosts alone, from the very addresses that were checked, and never from private ones."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from service_helpers import client_of, jpeg, make_service

from tagger.records import Failed
from tagger.web.fetching import AddressError, Fetcher, Target, allowed_host
from tagger.web.limits import ServiceLimits

HOST = "cdn.shop.example"

Handler = Callable[[str, str], bytes]
"""Returns the whole answer to a request for a path of a host."""


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer of HTTP."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def fetched(
    handler: Handler,
    path: str,
    max_bytes: int = 1_000,
    seconds: float = 5.0,
    addresses: Sequence[str] = ("127.0.0.1",),
    permitted: Callable[[str], bool] = lambda address: address == "127.0.0.1",
) -> tuple[bytes | Failed, list[str]]:
    """Serve with a handler on the loopback, fetch a path there, and return what came and the requests that were made.

    The name of the host resolves to `addresses`; which of them may be connected to is told by `permitted`.
    """
    requests: list[str] = []

    done = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(ended := asyncio.get_running_loop().create_future())
        with closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            requests.append(head)
            host = head.lower().partition("host: ")[2].partition("\r\n")[0]
            response = handler(head.split()[1], host)
            writer.write(response)
            with suppress(ConnectionError):
                await (reader.read() if b"never ends" in response else writer.drain())
        ended.set_result(None)

    async def run() -> bytes | Failed:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str, port: int) -> Sequence[str]:
            return addresses

        async with server:
            hosts = [f"{HOST}:{port}", f"other.example:{port}"]
            fetcher = Fetcher(hosts, max_bytes, allow_http=True, seconds=seconds, resolve=resolve, permitted=permitted)
            found = await fetcher.fetch(f"http://{HOST}:{port}{path}".replace("PORT", str(port)))
            await asyncio.gather(*done)
            return found

    return asyncio.run(run()), requests


def failure(handler: Handler, path: str = "/a.jpg", **more: object) -> Failed:
    """Return why nothing could be fetched."""
    found, _ = fetched(handler, path, **more)  # type: ignore[arg-type]
    assert isinstance(found, Failed)
    return found


def test_a_photo_is_fetched_without_anything_of_the_client() -> None:
    """With the name of the host, an encoded path, and no cookies or credentials."""
    found, [request] = fetched(lambda path, host: answer(b"photo"), "/a%20b?x=%C3%BC#part")
    assert found == b"photo"
    assert request.startswith("GET /a%20b?x=%C3%BC HTTP/1.1\r\n")
    assert f"host: {HOST}:" in request.lower()
    assert not {"cookie", "authorization", "referer"} & {line.partition(":")[0].lower() for line in request.splitlines()}


def test_redirects_are_followed_thrice() -> None:
    """Relative ones and those to other allowed hosts; not a fourth one."""

    def handler(path: str, host: str) -> bytes:
        step = int(path[1:])
        place = f"http://other.example:{host.partition(':')[2]}/{step - 1}" if step == 2 else f"/{step - 1}"
        return answer(b"", "302 Found", f"Location: {place}") if step else answer(b"photo")

    assert fetched(handler, "/3")[0] == b"photo"
    assert "more than 3 times" in failure(handler, "/4").detail


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/a.jpg",
        "http://127.0.0.1/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "file:///etc/passwd",
        "ftp://cdn.shop.example/",
        "http://u:p@cdn.shop.example/",
        "http://cdn.shop.example:1/",
        "//evil.example/a.jpg",
    ],
)
def test_redirects_elsewhere_are_not_followed(target: str) -> None:
    """To other hosts, private addresses, other schemes and ports, or with credentials: the row is `unreadable`."""
    found = failure(lambda path, host: answer(b"", "302 Found", f"Location: {target}"))
    assert (found.reason, "not allowed" in found.detail) == ("unreadable", True)


def test_a_redirect_to_a_name_with_a_private_address_is_not_followed() -> None:
    """The name is allowed, its address is not: each hop is resolved and checked."""
    hops = iter([["127.0.0.1"], ["10.0.0.1"]])
    checked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(hops)

    def permitted(address: str) -> bool:
        checked.append(address)
        return address == "127.0.0.1"

    async def run() -> bytes | Failed:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"", "301 Moved", "Location: /inside"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            host = f"{HOST}:{server.sockets[0].getsockname()[1]}"
            return await Fetcher([host], 99, allow_http=True, resolve=resolve, permitted=permitted).fetch(f"http://{host}/")

    found = asyncio.run(run())
    assert isinstance(found, Failed)
    assert "not public" in found.detail
    assert checked == ["127.0.0.1", "10.0.0.1"]


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], []])
def test_no_connection_is_made_where_an_address_is_private(addresses: list[str]) -> None:
    """One among public ones is enough."""
    found, requests = fetched(lambda path, host: answer(b"photo"), "/", addresses=addresses)
    assert isinstance(found, Failed)
    assert requests == []


def test_the_product_refuses_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the tests inject, a name of this machine leads nowhere."""
    found = asyncio.run(Fetcher(["localhost"], 10).fetch("https://localhost/"))
    assert isinstance(found, Failed)
    assert "not public" in found.detail


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is not resolved a second time (DNS rebinding)."""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *given, **more: pytest.fail(f"resolved {given[0]}") if given[0] == HOST else []
    )
    assert fetched(lambda path, host: answer(b"photo"), "/")[0] == b"photo"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (answer(b"", "404 Not Found"), "missing"),
        (answer(b"", "410 Gone"), "missing"),
        (answer(b"", "403 Forbidden"), "unreadable"),
        (answer(b"", "500 Oops"), "unreadable"),
        (answer(b"", "304 Not Modified"), "unreadable"),
        (answer(b"x" * 1_001), "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_001, "too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "unreadable"),
        (answer(b"x", "200 OK", "Content-Encoding: gzip"), "unreadable"),
        (b"not HTTP\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "unreadable"),
        (b"", "unreadable"),
    ],
)
def test_what_cannot_be_had_is_a_failure(response: bytes, reason: str) -> None:
    """With the reason that fits, and the address in its detail."""
    found = failure(lambda path, host: response)
    assert (found.reason, HOST in found.detail) == (reason, True)


def test_slow_answers_end() -> None:
    """After the time for one photo, all of it."""
    found = failure(lambda path, host: b"HTTP/1.1 200 OK\r\nX-Note: never ends\r\n", seconds=0.2)
    assert "0.2 seconds" in found.detail


def test_a_host_that_is_not_there_is_a_failure() -> None:
    """Neither a name without addresses nor a port without a server raises."""

    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    found = asyncio.run(Fetcher([HOST], 10, resolve=nowhere).fetch(f"https://{HOST}/"))
    assert isinstance(found, Failed)
    assert "cannot be reached" in found.detail


@pytest.mark.parametrize(
    "address",
    """http://cdn.shop.example/ https://evil.example/ https://cdn.shop.example.evil.example/ https://evil.example/cdn.shop.example
    https://cdn.shop.example@evil.example/ https://evil.example\\@cdn.shop.example/ https://u@cdn.shop.example/ https://cdn.shop.example:80/
    https://cdn.shop.example:444/ https://cdn.shop.example./ https://CDN.shop.example:x/ //cdn.shop.example/ /etc/passwd file:///etc/passwd
    https:// https://[::1 ftp://cdn.shop.example/ https://127.0.0.1/ https://2130706433/ https://xn--/""".split(),
)
def test_addresses_that_are_not_allowed(address: str) -> None:
    """Other hosts, schemes and ports, credentials, tricks of spelling."""
    with pytest.raises(AddressError):
        Fetcher([HOST], 10).target_of(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.shop.example/a\nb",
        "https://cdn.shop.example/a b",
        "https://cdn.shop.example\t/",
        "\x00",
        "https://cdn.shop.example/\u00fc",
        "https://cdn.shop.example/\ud800",
    ],
)
def test_addresses_with_other_characters_are_not_taken_apart(address: str) -> None:
    """Some readers of addresses drop them, others encode them."""
    with pytest.raises(AddressError, match="%"):
        Fetcher([HOST], 10).target_of(address)


def test_allowed_addresses_are_taken_apart() -> None:
    """In any letter case; a port must be named with the host."""
    fetcher = Fetcher([HOST, "img.example:8443"], 10)
    assert fetcher.target_of("HTTPS://CDN.Shop.Example/A%20b?c#d") == Target("https", HOST, 443, "/A%20b?c")
    assert fetcher.target_of("https://img.example:8443").address == "https://img.example:8443/"
    with pytest.raises(AddressError):
        fetcher.target_of("https://img.example/")


@pytest.mark.parametrize("text", ["", "a b", "https://a", "a/b", "a:x", "a:0", "a@b", "a:", "[::1", "a?b"])
def test_names_of_hosts_are_checked(text: str) -> None:
    """A mistake in the option is told, not ignored."""
    with pytest.raises(AddressError, match="name of a host"):
        allowed_host(text)


def test_names_of_hosts() -> None:
    """Small letters, international ones encoded, IPv6 without brackets."""
    assert [allowed_host(text) for text in ("A.b", "ä.example:8443", "[2606::1]:1")] == [
        ("a.b", None),
        ("xn--4ca.example", 8443),
        ("2606::1", 1),
    ]


def test_photos_that_do_not_fit_into_memory_are_refused(small_bundle: Path) -> None:
    """Together with others of the same request: 429, and nothing of it is held afterwards."""

    class Large(Fetcher):
        async def fetch(self, address: str) -> bytes | Failed:
            await asyncio.sleep(int(address[-1]) / 50)
            return bytes(5_000)

    service = make_service(small_bundle, Large([HOST], 10), fetch_hosts=(HOST,), limits=ServiceLimits(max_bytes=1_000))
    with client_of(service) as client:
        answer = client.post("/v1/tags", json={"addresses": [f"https://{HOST}/{number}" for number in range(4)]})
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        assert client.post("/v1/tags", json={"addresses": [f"https://{HOST}/0"]}).status_code == 200


def test_the_service_fetches_allowed_addresses(small_bundle: Path) -> None:
    """A row each, as for files; an address of another host refuses the request, and the limit of photos holds."""
    photos: dict[str, bytes | Failed] = {
        "https://cdn.shop.example/1": jpeg(1),
        "https://cdn.shop.example/2": Failed("missing", "gone"),
    }

    class Stored(Fetcher):
        def fetch(self, address: str) -> Awaitable[bytes | Failed]:  # type: ignore[override]
            return asyncio.sleep(0, photos[address])

    service = make_service(small_bundle, Stored([HOST], 10), fetch_hosts=(HOST,))
    with client_of(service) as client:
        rows = client.post("/v1/tags", json={"addresses": [*photos]}).json()["rows"]
        refused = client.post("/v1/tags", json={"addresses": [*photos, "https://evil.example/"]})
        many = client.post("/v1/tags", json={"addresses": [*photos] * 33})
        file = client.post("/v1/tags", files=[("files", ("x", jpeg(1)))]).json()["rows"][0]
        schema = client.get("/openapi.json").json()
    assert [(row["path"], row["reason"]) for row in rows] == [
        ("https://cdn.shop.example/1", file["reason"]),
        ("https://cdn.shop.example/2", "missing"),
    ]
    assert rows[0] == {**file, "path": "https://cdn.shop.example/1"}
    assert (refused.status_code, many.status_code) == (400, 413)
    assert "application/json" in schema["paths"]["/v1/tags"]["post"]["requestBody"]["content"]
    fetches = service.metrics.registry.get_sample_value
    assert (fetches("fmtag_fetches_total", {"outcome": "fetched"}), fetches("fmtag_fetches_total", {"outcome": "missing"})) == (
        1,
        1,
    )
