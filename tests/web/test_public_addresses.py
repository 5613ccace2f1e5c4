"""Only addresses of the public internet are public."""

import pytest

from tagger.web.public_addresses import is_public


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_public_addresses(address: str) -> None:
    """Those beside private ranges too."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    """0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1
    192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    :: ::1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 ::8.8.8.8 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 fc00::1 fd12::1
    fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1 2001::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1""".split(),
)
def test_private_special_and_disguised_addresses(address: str) -> None:
    """Loopback, private, link-local, multicast, reserved, and IPv4 addresses within IPv6 ones."""
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "2130706433", "0x7f.1", "127.1", "1.1.1.1:80", "[::1]"])
def test_what_is_no_address(text: str) -> None:
    """Other spellings are not even looked at."""
    assert not is_public(text)
