"""Fetch files from web servers, through the session of fsspec; no address within a machine's own link is ever requested."""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from tagger import __version__
from tagger.storage import settings
from tagger.storage.faults import Fault, status_fault
from tagger.storage.retries import attempt
from tagger.storage.running import LoopThread, run_request
from tagger.storage.states import state_of
from tagger.storage.stores import ObjectState, Page
from tagger.storage.traffic import Traffic

Answer = TypeVar("Answer")

_SAFE = "%/:?&=+$,;@!*'()~[]|-._"
"""Characters that an address may hold as they are, percent codes included."""

_CHUNK = 1 << 18

_MAX_DOWNLOAD = 1 << 40
"""Bytes of a table at most."""

_METADATA = frozenset({"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"})
"""Addresses outside the link-local ranges by which clouds tell a machine its own secrets."""

_HOLDS_IPV4 = {int(ipaddress.IPv6Address(prefix)) >> 32 for prefix in ("::", "::ffff:0:0", "64:ff9b::")}
"""Prefixes of addresses whose last 32 bits are one of IPv4: compatible, mapped, and of NAT64."""

_LINK = "its address is one of the machine's own network link, which is never requested"

_REDIRECTS = {301, 302, 303, 307, 308}


def open_store(scheme: str) -> "WebStore":
    """Return the store."""
    return WebStore()


class WebStore:
    """Requests to web servers, as redirects lead."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        options = {"skip_instance_cache": True, "asynchronous": True, "loop": self._thread.loop}
        self._session = run_request(self._thread.loop, HTTPFileSystem(get_client=_session, **options).set_session)

    def page(self, folder: str, token: Any) -> Page:
        """Raise `Fault`: web servers have no listings."""
        raise Fault("other", "a web server cannot be listed")

    def state(self, address: str) -> ObjectState:
        """Return what the headers of a file tell: its size, and a state made of entity tag or time of change.

        Nothing is known where the server does not answer the question, as some do that have the file.
        """

        async def headers(response: Any) -> ObjectState:
            if response.status in (404, 410):
                raise status_fault(response.status)
            return _state(response) if response.status == 200 else ObjectState(None, None)

        return self._request("HEAD", address, headers)

    def get(self, address: str, max_bytes: int) -> tuple[bytes, ObjectState | None]:
        """Return a file; raises `Fault` where fewer bytes come than were announced, or there are too many."""

        async def whole(response: Any) -> tuple[bytes, ObjectState | None]:
            if response.status != 200:
                raise status_fault(response.status)
            content = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                content += chunk
                if len(content) > max_bytes:
                    raise Fault("too_large", f"longer than {max_bytes:,} bytes")
            return bytes(content), _state(response)

        return self._request("GET", address, whole)

    def fetch(self, address: str, file: Path, traffic: Traffic) -> ObjectState:
        """Write a file into one of this machine."""
        content, state = attempt("get", traffic, lambda: self.get(address, _MAX_DOWNLOAD))
        file.write_bytes(content)
        return ObjectState(len(content), None) if state is None else state

    def put(self, file: Path, address: str, tag: str | None, traffic: Traffic) -> ObjectState:
        """Raise `Fault`: web servers are only read."""
        raise Fault("other", "a web server cannot be written")

    def close(self) -> None:
        """End all connections."""
        run_request(self._thread.loop, self._session.close)
        self._thread.close()

    def _request(self, method: str, address: str, read: Callable[[Any], Awaitable[Answer]]) -> Answer:
        async def followed() -> Answer:
            return await _follow(self._session, method, address, read)

        try:
            return run_request(self._thread.loop, followed)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _LinkError):
                raise Fault("other", _LINK) from error
            raise


async def _follow(session: Any, method: str, address: str, read: Callable[[Any], Awaitable[Answer]]) -> Answer:
    """Return what is read of the answer, after redirects, each of which is checked as the first address."""
    for _ in range(settings.REDIRECTS + 1):
        async with session.request(method, _checked(address), allow_redirects=False) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return await read(response)
            address = _joined(address, location)
    raise Fault("other", f"its server redirects more than {settings.REDIRECTS} times")


def _joined(address: str, location: str) -> str:
    """Return the address that a redirect leads to."""
    try:
        return urljoin(address, location)
    except ValueError:
        raise Fault("other", "its server redirects to a malformed address") from None


def _checked(address: str) -> URL:
    """Return an address as it is requested; raises `Fault` for one that must not or cannot be."""
    try:
        scheme, server, path, query, _ = urlsplit(address)
        server = server if server.isascii() else server.encode("idna").decode()
        url = URL(f"{scheme}://{server}{_quoted(path) or '/'}{'?' if query else ''}{_quoted(query)}", encoded=True)
        host, _ = url.host or "", url.port
    except ValueError:
        raise Fault("other", "its address is malformed") from None
    if url.scheme not in ("http", "https") or not host:
        raise Fault("other", "it leads to an address that is not of a web server")
    if (number := _numeric(host)) and _is_forbidden(number):
        raise Fault("other", _LINK)
    return url


def _quoted(part: str) -> str:
    """Return a part of an address with codes for what may not stand in it; codes that it has stay."""
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", quote(part, safe=_SAFE))


def _numeric(host: str) -> str:
    """Return the IP address that a host is, in whatever spelling the system takes (`0xa9fea9fe`); empty for a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return ""


def _is_forbidden(address: str) -> bool:
    """Return whether an IP address is link-local, where clouds tell machines their secrets (CWE-918)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    within = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.sixtofour:
            within.append(ip.sixtofour)
        if int(ip) >> 32 in _HOLDS_IPV4:
            within.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return any(one.is_link_local or str(one) in _METADATA for one in within)


class _LinkError(OSError):
    """A name that leads to an address of the machine's own network link."""


class _CheckedResolver(AbstractResolver):
    """Resolves names as the system does; a name with a forbidden address has none."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(_is_forbidden(one["host"]) for one in found):
            raise _LinkError(_LINK)
        return found

    async def close(self) -> None:
        await self._resolver.close()


async def _session(**_: Any) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(
        total=None, connect=None, sock_connect=settings.CONNECT_SECONDS, sock_read=settings.READ_SECONDS
    )
    connector = aiohttp.TCPConnector(resolver=_CheckedResolver(), limit=settings.CONNECTIONS)
    headers = {"User-Agent": f"fmtag/{__version__}", "Accept": "image/*,*/*;q=0.8", "Accept-Encoding": "identity"}
    cookies = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers, cookie_jar=cookies, trust_env=True)


def _state(response: Any) -> ObjectState:
    tag, changed = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    length = "" if response.headers.get("Content-Encoding", "") else response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    return ObjectState(size, state_of(tag or changed) if tag or changed else None, tag)  # not every answer tells the size
