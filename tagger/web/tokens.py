"""Check bearer tokens (RFC 6750): who may use the service; the time of the answer tells nothing."""

import hashlib
import hmac
from collections.abc import Iterable

from tagger.errors import ConfigurationError
from tagger.web.problems import RequestError

SHORTEST = 16
"""Characters of a token at least: shorter ones can be guessed."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fmtag"'}


class Tokens:
    """The tokens that are accepted; without any, every request is.

    Raises:
        ConfigurationError: a token is too short, or holds characters that no header may have.
    """

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        self._digests = [_digest(_checked(token)) for token in dict.fromkeys(tokens)]

    def __bool__(self) -> bool:
        """Return whether a token is required."""
        return bool(self._digests)

    def client_of(self, authorization: str | None) -> str | None:
        """Return what names the token of a request in the limits of its rate, not the token itself; None without tokens.

        Args:
            authorization: the header of that name; None where it is missing.

        Raises:
            RequestError: 401, the token is missing or is none of those that are accepted.
        """
        if not self._digests:
            return None
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RequestError(401, "Send the header Authorization: Bearer TOKEN with one of the server's tokens.", CHALLENGE)
        given, found = _digest(token.strip()), None
        for number, known in enumerate(self._digests, 1):  # all of them, so that the time tells nothing
            if hmac.compare_digest(known, given):
                found = number
        if found is None:
            error = 'Bearer realm="fmtag", error="invalid_token"'
            raise RequestError(401, "The token is not one of the server's.", {"WWW-Authenticate": error})
        return f"token {found}"


def _checked(token: str) -> str:
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError(
            f"A token has at least {SHORTEST} printable ASCII characters and no blanks; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'."
        )
    return token


def _digest(token: str) -> bytes:
    """Return a token's sha256: `compare_digest` takes the same time for digests, which all have the same length."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
