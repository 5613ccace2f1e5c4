"""Addresses are bound once, and told with the port that they got."""

import socket
from contextlib import suppress

import pytest

from tagger.errors import ServerError
from tagger.web.listening import listening


def test_a_free_port_is_told() -> None:
    """Port 0 takes one, which the address has."""
    with listening("127.0.0.1", 0) as listener:
        assert listener.address == f"http://127.0.0.1:{listener.port}"
        assert listener.port == listener.socket.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "\udcff"])
def test_other_addresses_are_refused(host: str) -> None:
    """In a sentence with the options that change it."""
    with pytest.raises(ServerError, match="--port"), listening(host, 0):
        pass


def test_a_taken_port_is_refused() -> None:
    """Likewise."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerError, match="cannot be served"), listening("127.0.0.1", taken.getsockname()[1]):
            pass


def test_the_address_is_one_that_browsers_take() -> None:
    """IPv6 in brackets."""
    with suppress(ServerError), listening("::1", 0) as listener:  # a machine without IPv6
        assert listener.address.startswith("http://[::1]:")
