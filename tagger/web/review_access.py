"""Let only those into the review who have the address that the command printed: it holds a token, which becomes a cookie."""

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tagger.web.templates import render_error

OPEN_PATHS = ("/static/",)
"""Beginnings of paths that need no token: files that are the same for every catalog."""


def new_token() -> str:
    """Return a token that cannot be guessed: 192 random bits in URL-safe characters."""
    return secrets.token_urlsafe(24)


class TokenGate:
    """Refuse requests without the token, and turn the token of the address into a cookie.

    The cookie is named by the port, as browsers send cookies of one host to all of its ports. It is `HttpOnly` and
    `SameSite=Lax`, and what changes something is refused from other origins by `guard.Guard`.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"fmtag_review_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PATHS) or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        await self._without_cookie(scope)(scope, receive, send)

    def _without_cookie(self, scope: Scope) -> Response:
        if self._is_token(QueryParams(scope["query_string"]).get("token", "")) and scope["method"] == "GET":
            response = RedirectResponse("/review", 303)  # so that the token does not stay in the address
            response.set_cookie(self._cookie, self._token, httponly=True, samesite="lax", path="/")
            return response
        return render_error(401, "Not open to all", "Open the whole address that fmtag review printed, with its token.")

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self._cookie in cookies and self._is_token(cookies[self._cookie].value)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())
