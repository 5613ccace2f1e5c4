"""What is beyond the limits is refused with the time to wait, and counted back when it is done."""

import pytest

from tagger.web.limits import HELD_BODIES, REMEMBERED_CLIENTS, RateLimit, Room, ServiceLimits, busy, network_of
from tagger.web.problems import RequestError


def test_photos_beyond_the_queue_are_refused() -> None:
    """A request as a whole, with the time that those before it take; places are free again after the block."""
    room = Room(ServiceLimits(queue=5), wait=lambda photos: photos * 1.5)
    with room.photos_held(4):
        with pytest.raises(RequestError) as caught, room.photos_held(2):
            pass
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "6")
        with room.photos_held(1), pytest.raises(RequestError):
            room.check()
        room.check()
    assert room.photos == 0


def test_bytes_of_all_requests_are_limited() -> None:
    """They are held until their block ends, however it ends."""
    room = Room(ServiceLimits(max_bytes=10))
    with pytest.raises(RequestError), room.bytes_held() as hold, room.bytes_held() as other:  # noqa: PT012
        hold(10 * HELD_BODIES - 5)
        other(5)
        other(1)
    assert room.bytes == 0


def test_a_minutes_requests_may_come_at_once_and_then_as_often_as_the_rate() -> None:
    """Each client has its own; the time to wait is that to the next one."""
    now = 0.0
    limit = RateLimit(30, lambda: now)
    for _ in range(30):
        limit.count("a")
    with pytest.raises(RequestError) as caught:
        limit.count("a")
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "2")
    limit.count("b")
    now = 2.0
    limit.count("a")
    with pytest.raises(RequestError):
        limit.count("a")


def test_no_rate_limits_nothing() -> None:
    """Without the option."""
    limit = RateLimit(None)
    for _ in range(1_000):
        limit.count("a")


def test_the_clients_that_are_remembered_are_limited() -> None:
    """One with many addresses does not fill the memory."""
    limit = RateLimit(1, lambda: 0.0)
    for number in range(REMEMBERED_CLIENTS + 100):
        limit.count(str(number))
    assert len(limit._clients) == REMEMBERED_CLIENTS


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (1.2, "2"), (1e9, "60")])
def test_the_time_to_wait_is_whole_and_bounded(seconds: float, told: str) -> None:
    """At least a second, at most a minute."""
    assert busy("Busy.", seconds).headers["Retry-After"] == told


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_client_of_ipv6_is_its_network(address: str, network: str) -> None:
    """It has all addresses of that."""
    assert network_of(address) == network
