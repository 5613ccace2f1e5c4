"""The server binds what it is told, and says which hosts it answers."""

import socket
from pathlib import Path

import pytest

from tagger.errors import ServerError
from tagger.web.review_server import ReviewSettings, _hosts, serve_review


def test_the_loopback_answers_its_own_names_alone() -> None:
    """Further names are those that were allowed."""
    assert _hosts(ReviewSettings()) == {"127.0.0.1", "localhost", "[::1]"}
    assert "shop.local" in _hosts(ReviewSettings(allowed_hosts=("shop.local",)))


def test_all_addresses_answer_the_names_of_this_machine() -> None:
    """Where other machines may open the page, they name this one."""
    assert socket.gethostname() in _hosts(ReviewSettings(host="0.0.0.0"))
    assert "*" not in _hosts(ReviewSettings(host="0.0.0.0"))


def test_something_to_review_is_needed() -> None:
    """An output or a ledger."""
    with pytest.raises(ServerError, match="--ledger"):
        serve_review(ReviewSettings(), print)
    with pytest.raises(Exception, match="There is no ledger"):
        serve_review(ReviewSettings(output=Path("nowhere.csv")), print)
