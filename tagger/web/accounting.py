"""Count and log every request, answer those that fail, and refuse new ones while the server stops."""

import traceback
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagger.escaping import for_terminal
from tagger.web.monitoring import OTHER, Metrics, ServiceLog, stopwatch
from tagger.web.problems import problem_response

ALWAYS_ANSWERED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that are answered while the server stops, so that it can be watched."""

QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that are not logged as long as they succeed: programs ask for them every few seconds."""


class Accounting:
    """Counts requests on their way to an application.

    Args:
        app: the application behind it.
        metrics: counts requests and their seconds.
        log: gets a line per request.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: ServiceLog) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self.in_flight = 0
        """Requests accepted and not yet answered, without those for health and metrics."""
        self.stopping = False
        """Whether new requests are refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seconds, status = stopwatch(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counted = scope["path"] not in ALWAYS_ANSWERED
        state = scope.setdefault("state", {})
        self.in_flight += counted
        self._metrics.in_flight.set(self.in_flight)
        try:
            if self.stopping and counted:
                refusal = problem_response(503, "The server is stopping.", {"Connection": "close", "Retry-After": "5"})
                await refusal(scope, receive, send_noting)
            else:
                await self._app(scope, receive, send_noting)
        except Exception as error:
            self._failed(error)
            if status:
                raise  # the answer has begun
            await problem_response(500, "The server failed; its log says why.")(scope, receive, send_noting)
        finally:
            self.in_flight -= counted
            self._metrics.in_flight.set(self.in_flight)
            self._count(scope, state, status or 499, seconds())

    def _count(self, scope: Scope, state: Mapping[str, object], status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", OTHER)
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.request_seconds.labels(path).observe(seconds)
        if path in QUIET and status < 400:
            return
        client = scope["client"][0] if scope.get("client") else "-"
        photos = state.get("photos")
        self._log.request(
            scope["method"], scope["path"], status, seconds, client, photos if isinstance(photos, int) else None
        )

    def _failed(self, error: Exception) -> None:
        """Log an error that no code foresees, with its traceback."""
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._log.write(f"Error: {error!r}\n{for_terminal(lines)}", event="error", message=repr(error), traceback=lines)
