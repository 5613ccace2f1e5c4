"""Tell addresses of the public internet from those of this machine, of its network and of the network's own services.

A service that fetches what its clients name must not reach what only it can reach (server-side request forgery, CWE-918).
"""

import ipaddress
from ipaddress import IPv4Network, IPv6Network

NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # between providers and their customers
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local; 169.254.169.254 tells a cloud's secrets
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",  # 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
"""IANA's special-purpose registry of IPv4 (RFC 6890), and multicast."""

PUBLIC_6 = IPv6Network("2000::/3")
"""All that is assigned for global unicast. Outside of it are loopback, link-local, unique local and multicast addresses, and
those that hold an IPv4 address: mapped ones (::ffff:0:0/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48)."""

NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, such as Teredo, which holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "2620:4f:8000::/48",
            "3fff::/20",  # documentation
        ),
    )
)
"""Of those the ones with a special purpose."""


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet; false for what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in NOT_PUBLIC_4)
    return ip.scope_id is None and ip in PUBLIC_6 and not any(ip in network for network in NOT_PUBLIC_6)
