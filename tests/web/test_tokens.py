"""Tokens are needed in the form of the standard, and weak ones are not taken."""

import pytest

from tagger.errors import ConfigurationError
from tagger.web.problems import RequestError
from tagger.web.tokens import Tokens

GOOD, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize("header", [f"Bearer {GOOD}", f"bearer {GOOD}", f"Bearer  {GOOD} "])
def test_a_token_names_its_client(header: str) -> None:
    """By its number, not by itself."""
    assert Tokens([OTHER, GOOD]).client_of(header) == "token 2"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", GOOD, f"Basic {GOOD}", f"Bearer {GOOD}x", f"Bearer {GOOD[:-1]}", "Bearer \udcff"]
)
def test_anything_else_is_refused(header: str | None) -> None:
    """With a challenge."""
    with pytest.raises(RequestError) as caught:
        Tokens([GOOD]).client_of(header)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_tokens_nothing_is_needed() -> None:
    """Any header will do."""
    assert Tokens().client_of(None) is None
    assert not Tokens()
    assert Tokens([GOOD])


@pytest.mark.parametrize(
    "token", ["", "short", "a token with blanks in it", "pässword-of-sixteen", "x" * 15, "line\nline-line-line"]
)
def test_weak_tokens_are_not_taken(token: str) -> None:
    """The sentence says how to make a good one."""
    with pytest.raises(ConfigurationError, match="token_urlsafe"):
        Tokens([token])
