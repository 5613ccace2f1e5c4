"""Fetch photos from addresses of allowed hosts, and from nowhere else.

The name of a host is resolved once; where one of its addresses is not public, nothing is fetched. The connection goes to an
address that was checked, so that no second answer of the name's server can lead elsewhere (DNS rebinding), and the certificate
must be that of the name. Redirects are followed a few times, each checked as the first address. Proxies of the environment are
not used, and no cookies, credentials or other headers of the client are sent on.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, urljoin, urlsplit

import h11

from tagger import __version__
from tagger.errors import reason_of
from tagger.records import Failed, FailedReason
from tagger.web.public_addresses import is_public

REDIRECTS = 3
"""Redirects that are followed."""

SECONDS = 10.0
"""Seconds for one photo, redirects included."""

CONNECT_SECONDS = 4.0
"""Seconds for the connection to one of several addresses of a host."""

PARALLEL = 16
"""Photos that are fetched at once."""

PORTS = {"https": 443, "http": 80}

GONE = {404, 410}
"""Statuses by which a server tells that it has no such photo."""

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host by its name and port; raises `OSError` where it has none."""

_UNSAFE = re.compile(r"[^!-\[\]-~]")
"""What an address does not hold (RFC 3986), and the backslash, which browsers take for a slash."""


class AddressError(ValueError):
    """An address that is not fetched: one sentence that says why."""


@dataclass(frozen=True)
class Target:
    """An address, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """The whole address, which relative redirects start from."""
        return f"{self.scheme}://{self.authority}{self.path}"


class _FetchError(Exception):
    """A photo that could not be fetched."""

    def __init__(self, reason: FailedReason, why: str) -> None:
        super().__init__(why)
        self.reason: FailedReason = reason


async def resolve_name(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, as the system resolves its name; raises `OSError` where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches photos.

    Args:
        hosts: names whose addresses may be fetched, in any letter case; with a port where it is not that of the scheme.
        max_bytes: bytes of a photo at most.
        allow_http: whether http is allowed too, which anyone on the way can read and change.
        seconds: for one photo, redirects included.
        resolve: returns the IP addresses of a host.
        permitted: whether an IP address may be connected to.
        tls: checks certificates; None for those that the system trusts.

    Raises:
        AddressError: one of `hosts` is not the name of a host.
    """

    def __init__(
        self,
        hosts: Collection[str],
        max_bytes: int,
        *,
        allow_http: bool = False,
        seconds: float = SECONDS,
        resolve: Resolve = resolve_name,
        permitted: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = frozenset(map(allowed_host, hosts))
        self._max_bytes = max_bytes
        self._schemes = ("https", "http") if allow_http else ("https",)
        self._seconds = seconds
        self._resolve = resolve
        self._permitted = permitted
        self._tls = tls or (ssl.create_default_context() if hosts else None)
        self._places = asyncio.Semaphore(PARALLEL)

    def target_of(self, address: str) -> Target:
        """Return an address taken apart.

        Raises:
            AddressError: its scheme, host or port is not allowed, it holds a user name, or it is malformed.
        """
        if _UNSAFE.search(address):
            raise AddressError("An address holds a blank, a backslash or another character that has to be encoded by %.")
        try:
            parts = urlsplit(address)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise AddressError("An address is malformed.") from None
        if parts.scheme not in self._schemes:
            raise AddressError(f"Addresses begin with {' or '.join(f'{scheme}://' for scheme in self._schemes)} here.")
        if "@" in parts.netloc:
            raise AddressError("An address holds a user name; credentials are not sent.")
        port = PORTS[parts.scheme] if port is None else port
        if (host, port) not in self._allowed and not ((host, None) in self._allowed and port == PORTS[parts.scheme]):
            raise AddressError("The host of an address is none of those whose photos are fetched (--allow-fetch).")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
        return Target(parts.scheme, host, port, path + query)

    async def fetch(self, address: str) -> bytes | Failed:
        """Return the bytes of the photo at an address, or why they cannot be had.

        The reason is `missing` where the server tells that it has no such photo, `too_large` where it is longer than
        `max_bytes`, and else `unreadable`. Raises `AddressError` as `target_of` does.
        """
        target = self.target_of(address)
        try:
            async with self._places:
                return await asyncio.wait_for(self._follow(target), self._seconds)
        except asyncio.TimeoutError:
            return Failed("unreadable", f"{address}: it did not come within {self._seconds:g} seconds")
        except _FetchError as error:
            return Failed(error.reason, f"{address}: {error}")
        except AddressError as error:
            return Failed("unreadable", f"{address}: it redirects to an address that is not allowed ({error})")
        except h11.RemoteProtocolError as error:
            return Failed("unreadable", f"{address}: its server does not follow HTTP ({error})")
        except (OSError, UnicodeError) as error:
            return Failed("unreadable", f"{address}: its server cannot be reached ({reason_of(error)})")

    async def _follow(self, target: Target) -> bytes:
        """Return the photo, after redirects."""
        for _ in range(REDIRECTS + 1):
            reader, writer = await self._connect(target)
            try:
                location, content = await _get(reader, writer, target, self._max_bytes)
            finally:
                writer.transport.abort()  # without waiting for the other end
            if location is None:
                return content
            target = self.target_of(urljoin(target.address, location))
        raise _FetchError("unreadable", f"it redirects more than {REDIRECTS} times")

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address of the target's host that was checked."""
        addresses = await self._resolve(target.host, target.port)
        if not addresses or not all(map(self._permitted, addresses)):
            raise _FetchError("unreadable", "its host has an address that is not public")
        error = OSError(f"no connection within {CONNECT_SECONDS:g} seconds")
        for address in addresses:
            try:
                return await asyncio.wait_for(self._connect_to(address, target), CONNECT_SECONDS)
            except asyncio.TimeoutError:
                continue
            except ssl.SSLError:
                raise
            except OSError as failure:
                error = failure
        raise error

    async def _connect_to(self, address: str, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if target.scheme == "http":
            return await asyncio.open_connection(address, target.port)
        return await asyncio.open_connection(address, target.port, ssl=self._tls, server_hostname=target.host)


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, max_bytes: int
) -> tuple[str | None, bytes]:
    """Return where a target redirects to, or None and its content."""
    connection = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", target.authority),
        ("User-Agent", f"fmtag/{__version__}"),
        ("Accept", "image/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    writer.write(connection.send(h11.Request(method="GET", target=target.path, headers=headers)) or b"")
    await writer.drain()
    content = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Response):
            location = _location(event)
            if location is not None:
                return location, b""
        elif isinstance(event, h11.Data):
            content += event.data
            if len(content) > max_bytes:
                raise _FetchError("too_large", f"longer than {max_bytes:,} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return None, bytes(content)
        elif isinstance(event, h11.ConnectionClosed):
            raise _FetchError("unreadable", "its server ended the connection without an answer")


def _location(response: h11.Response) -> str | None:
    """Return where a response redirects to; None where it holds the photo. Raises `_FetchError` for any other."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    status = response.status_code
    if status in (301, 302, 303, 307, 308) and "location" in headers:
        return headers["location"].strip()
    if status in GONE:
        raise _FetchError("missing", f"its server answers {status}")
    if status != 200:
        raise _FetchError("unreadable", f"its server answers {status}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _FetchError("unreadable", "its server encodes it, which it was told not to")
    return None


def allowed_host(text: str) -> tuple[str, int | None]:
    """Return a host's name as it is compared, and its port if it has one."""
    try:
        host = text if text.isascii() else text.encode("idna").decode()
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
        if (
            name
            and port != 0
            and parts.netloc == host
            and "@" not in host
            and not host.endswith(":")
            and not _UNSAFE.search(host)
        ):
            return name.lower(), port
    except (ValueError, UnicodeError):
        pass
    raise AddressError(f"{text!r} is not the name of a host; give it as cdn.shop.example or cdn.shop.example:8443.")
