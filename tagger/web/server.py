"""Serve the service until SIGTERM or SIGINT, and end it in an orderly way: what was accepted is answered."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from tagger.web.listening import AnnouncedServer, Listener
from tagger.web.monitoring import ServiceLog
from tagger.web.service import Service

GRACE_SECONDS = 30.0
"""Seconds in which accepted requests are answered once the server is told to stop."""

CLOSE_SECONDS = 2
"""Seconds in which connections are closed after the last answer."""

KEEP_ALIVE_SECONDS = 15
"""Seconds for which an idle connection is kept."""

HEADER_SECONDS = 20.0
"""Seconds in which the headers of a request must have come; more than an idle connection is kept for."""

MAX_CONNECTIONS = 2_048
"""Connections at once; further ones are answered with 503."""


def serve(
    service: Service, listener: Listener, log: ServiceLog, started: Callable[[], None], grace: float = GRACE_SECONDS
) -> bool:
    """Serve until a signal, then answer what was accepted, for at most `grace` seconds.

    `started` is called once requests are answered. Returns whether all accepted requests were answered.
    """
    config = uvicorn.Config(
        service.app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # any client can send them
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )
    server = _Server(config, service, started, grace)
    with _logged_to(log):
        server.run(sockets=[listener.socket])
    return not server.given_up


class _Server(AnnouncedServer):
    """A server that goes on answering while requests are in progress, after a signal."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[], None], grace: float) -> None:
        super().__init__(config, started)
        self._accounting = service.accounting
        self._grace = grace
        self._end: float | None = None
        self._waiting: dict[Any, float] = {}
        self.given_up = False
        """Whether requests that were accepted were not answered."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Refuse new requests; a second signal ends the server at once."""
        if self._accounting.stopping:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
        self._accounting.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end: after a signal, once nothing is in progress or the time for it is over."""
        if self._accounting.stopping:
            now = time.monotonic()
            self._end = self._end or now + self._grace
            if not self._accounting.in_flight or now > self._end:
                self.should_exit = True
        if self.should_exit:
            self.given_up = bool(self._accounting.in_flight)
        if counter % 10 == 0:
            self._close_waiting(time.monotonic())
        return await super().on_tick(counter)

    def _close_waiting(self, now: float) -> None:
        """Close connections whose next request has not come with all its headers in time, which uvicorn does not do."""
        waiting = {one for one in self.server_state.connections if _waits(one)}
        self._waiting = {one: self._waiting.get(one, now) for one in waiting}
        for connection, since in self._waiting.items():
            if now - since > HEADER_SECONDS:
                connection.transport.close()


def _waits(connection: Any) -> bool:
    """Return whether a connection has no request in progress; false for a kind of connection that does not tell."""
    cycle = getattr(connection, "cycle", False)
    return cycle is None or bool(getattr(cycle, "response_complete", False))


class _Handler(logging.Handler):
    """Writes what uvicorn has to say into the service's log."""

    def __init__(self, log: ServiceLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        self._log.write(f"{record.levelname.capitalize()}: {message}", event="server", level=record.levelname, message=message)


@contextmanager
def _logged_to(log: ServiceLog) -> Iterator[None]:
    logger, handler = logging.getLogger("uvicorn"), _Handler(log)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
