"""Limit what the service takes on at once, and how often one client may come: what is too much is refused at once."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tagger.web.problems import RequestError

HELD_BODIES = 8
"""All requests together hold at most so many times `ServiceLimits.max_bytes` in memory."""

REMEMBERED_CLIENTS = 10_000
"""Clients whose rate is known at a time; beyond that those that have not come for longest are forgotten."""

LONGEST_WAIT = 60
"""Seconds that a client is told to wait at most."""


@dataclass(frozen=True)
class ServiceLimits:
    """What one request may hold, and what the service takes on at once."""

    max_files: int = 64
    """Photos per request."""
    max_bytes: int = 50_000_000
    """Bytes of a request's body."""
    max_file_bytes: int = 25_000_000
    """Bytes of one photo."""
    body_seconds: float = 30.0
    """Seconds in which a request's body must have come."""
    queue: int = 512
    """Photos of all requests that wait or are in progress."""
    rate: int | None = None
    """Requests per minute of one token, or of one client's address without tokens; None for any number."""


class Room:
    """Counts the photos and bytes of all accepted requests, and refuses what is beyond the limits.

    Args:
        limits: those of the service.
        wait: returns the seconds that so many photos take, for the header Retry-After.
    """

    def __init__(self, limits: ServiceLimits, wait: Callable[[int], float] = lambda photos: 1.0) -> None:
        self._limits = limits
        self._wait = wait
        self._most_bytes = HELD_BODIES * limits.max_bytes
        self.photos = 0
        self.bytes = 0

    def check(self) -> None:
        """Raise `RequestError` 429 where not even one photo more is accepted: before its bytes are read."""
        if self.photos >= self._limits.queue:
            raise self._full()

    @contextmanager
    def photos_held(self, count: int) -> Iterator[None]:
        """Count photos during the block. Raises `RequestError` 429 where they are more than are accepted now."""
        if self.photos + count > self._limits.queue:
            raise self._full()
        self.photos += count
        try:
            yield
        finally:
            self.photos -= count

    @contextmanager
    def bytes_held(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts bytes which are held until the block ends.

        It raises `RequestError` 429 where they are more than all requests together may hold.
        """
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            if self.bytes + count > self._most_bytes:
                raise self._full()
            self.bytes += count
            held += count

        try:
            yield hold
        finally:
            self.bytes -= held

    def _full(self) -> RequestError:
        return busy("The server has as many photos to tag as it takes on; try again later.", self._wait(self.photos))


class RateLimit:
    """Limits the requests of each client by a token bucket: a minute's requests at once, then one as often as the rate allows.

    Args:
        per_minute: requests per minute; None for any number.
        clock: returns seconds.
    """

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """Count a request of a client. Raises `RequestError` 429 where it is one too many."""
        if self._per_minute is None:
            return
        now, per_second = self._clock(), self._per_minute / 60
        left, then = self._clients.pop(client, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - then) * per_second)
        allowed = left >= 1
        self._clients[client] = (left - allowed, now)
        while len(self._clients) > REMEMBERED_CLIENTS:
            self._clients.popitem(last=False)
        if not allowed:
            raise busy(f"More than {self._per_minute} requests in a minute; try again later.", (1 - left) / per_second)


def busy(detail: str, seconds: float) -> RequestError:
    """Return the refusal of a request that may be sent again after so many seconds."""
    return RequestError(429, detail, {"Retry-After": str(min(LONGEST_WAIT, max(1, math.ceil(seconds))))})


def network_of(address: str) -> str:
    """Return what a client's address counts as: itself, or of IPv6 the /64 network, all of which one client has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
