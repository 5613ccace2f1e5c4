"""Make requests in the event loop of a thread, wait for their answers, and end all of them where a run stops."""

from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tagger.storage import settings

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Answer = TypeVar("Answer")

SIGNAL_SECONDS = 1.0
"""Between two looks at signals, which on Windows do not end the wait for a thread."""

_lock = Lock()
_running: set["Future[Any]"] = set()
_stopped = Event()


class LoopThread:
    """A thread with an event loop, until `close` ends both: beside a thread no process is to be forked."""

    def __init__(self) -> None:
        import asyncio

        self.loop: AbstractEventLoop = asyncio.new_event_loop()
        # The loop's own would be ended by a further thread, and none starts any more where the interpreter ends.
        self._executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        self.loop.set_default_executor(self._executor)
        self._thread = Thread(target=self.loop.run_forever, name="requests", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; no request may be in progress."""
        self._executor.shutdown()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """The run for which the request was made has stopped."""


def run_request(loop: Any, request: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a request in an event loop of another thread, and return its answer.

    Raises what the request raises, `TimeoutError` of asyncio after `settings.ANSWER_SECONDS`, and `Stopped` where
    `stop_requests` was called meanwhile. Where the wait itself ends by an exception, as of a signal, so does the request.
    """
    import asyncio  # which takes a while, and of which a run on files has no need

    async def limited() -> Answer:
        return await asyncio.wait_for(request(), settings.ANSWER_SECONDS)

    future = asyncio.run_coroutine_threadsafe(limited(), loop)
    with _lock:
        _running.add(future)
    try:
        while not wait([future], SIGNAL_SECONDS).done:
            pass
        return future.result()
    except CancelledError as error:
        raise Stopped from error
    finally:
        future.cancel()
        with _lock:
            _running.discard(future)


def pause(seconds: float) -> None:
    """Wait before a request is repeated; raises `Stopped` where `stop_requests` is called meanwhile."""
    if _stopped.wait(seconds):
        raise Stopped


def stop_requests() -> None:
    """End all requests of this process, and the pauses between attempts, in whatever thread; later ones are made as usual."""
    global _stopped
    with _lock:
        running, stopped, _stopped = [*_running], _stopped, Event()
    stopped.set()
    for future in running:
        future.cancel()
