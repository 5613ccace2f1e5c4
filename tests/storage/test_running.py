"""Requests in the event loop of another thread are waited for, limited in time, and ended where a run stops."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tagger.errors import Interrupted
from tagger.storage import settings
from tagger.storage.running import Stopped, pause, run_request, stop_requests


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever, daemon=True)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


async def forever(ended: threading.Event) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        ended.set()


def test_an_answer_and_an_error_come_back(loop: asyncio.AbstractEventLoop) -> None:
    """As they are."""
    assert run_request(loop, lambda: asyncio.sleep(0, "answer")) == "answer"

    async def fail() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        run_request(loop, fail)


def test_an_answer_that_takes_too_long(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is ended, and the wait with it."""
    monkeypatch.setattr(settings, "ANSWER_SECONDS", 0.05)
    ended = threading.Event()
    with pytest.raises(asyncio.TimeoutError):
        run_request(loop, lambda: forever(ended))
    assert ended.wait(5)


def test_a_stop_ends_requests_and_pauses(loop: asyncio.AbstractEventLoop) -> None:
    """In all threads and at once; what begins later is made as usual."""
    ended = [threading.Event() for _ in range(4)]
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(run_request, loop, lambda one=one: forever(one)) for one in ended]
        waiting.append(pool.submit(pause, 60))
        time.sleep(0.1)
        began = time.monotonic()
        stop_requests()
        assert [type(one.exception(5)) for one in waiting] == [Stopped] * 5
        assert time.monotonic() - began < 5
    assert all(one.wait(5) for one in ended)
    assert run_request(loop, lambda: asyncio.sleep(0, "answer")) == "answer"
    pause(0.001)


def test_a_signal_ends_the_request_that_is_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    """No connection goes on behind a run that has stopped."""
    ended = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            run_request(loop, lambda: forever(ended))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ended.wait(5)
