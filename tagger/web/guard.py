"""Check the Host and Origin of every request, and add the security headers to every response.

A page of another site can make a browser send requests to 127.0.0.1, and by a name of its own that resolves to it (DNS
rebinding) even read the answers. The Host header tells the name that the browser believes in; the Origin header, who asks.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Scripts and styles come from files of this server only, so that no name or label can bring one along."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@?#]+)(?::[0-9]{1,5})?", re.IGNORECASE)

ErrorResponse = Callable[[int, str], ASGIApp]
"""Makes the response of a status with a sentence."""


class Guard:
    """Refuse requests for other hosts and from other origins, and add security headers to all responses.

    Args:
        app: the application behind it.
        hosts: names and addresses that requests may be for, without ports; IPv6 addresses in brackets. `*` allows any, for a
            server behind a proxy that checks them.
        refusal: makes the response of a refused request; plain text by default.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], refusal: ErrorResponse | None = None) -> None:
        self._app = app
        self._hosts = frozenset(map(str.lower, hosts))
        self._refusal = refusal or (lambda status, why: PlainTextResponse(f"{why}\n", status))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope["method"], Headers(scope=scope))
        await (self._refusal(*refused) if refused else self._app)(scope, receive, send_with_headers)

    def _refused(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return status and reason where a request is refused."""
        hosts = headers.getlist("host")
        host = _host_name(hosts[0]) if len(hosts) == 1 else None
        if host is None or not ("*" in self._hosts or host in self._hosts):
            return 421, "This server does not serve the host that the request names."
        if method in SAFE_METHODS:
            return None
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "Requests of other sites are refused."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
            return 403, "Requests of other origins are refused."
        return None


def local_hosts(host: str, more: Iterable[str] = ()) -> set[str]:
    """Return the hosts by which a server that listens on `host` is reached: itself, `more`, and the loopback's names."""
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return {bracketed, "127.0.0.1", "localhost", "[::1]", *more}


def _host_name(header: str) -> str | None:
    """Return the host of a Host header without its port; None where it is malformed."""
    match = _HOST.fullmatch(header.strip())
    return match[1].lower() if match else None
