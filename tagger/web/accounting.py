"""Count and log every request, answer those that fail, and refuse new ones while the server stops."""

import traceback
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagger.web.monitoring import OTHER, Metrics, ServiceLog, stopwatch
from tagger.web.problems import problem_response

ALWAYS_ANSWERED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that are answered while the server stops, so that it can be watched."""

QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that are not logged as long as they succeed: programs ask for them every few seconds."""


class Accounting:
    """Counts requests on their way to an application.

    Args:
        metrics: counts requests and their seconds.
        log: gets a line per request.
    """

    def __init__(self, metrics: Metrics, log: ServiceLog) -> None:
        self._metrics = metrics
        self._log = log
        self.in_flight = 0
        """Requests accepted and not yet answered, without those for health and metrics."""
        self.stopping = False
        """Whether new requests are refused."""

    def around(self, app: ASGIApp, paths: Collection[str] = ()) -> ASGIApp:
        """Return an application that counts its requests, by path where it is one of `paths`."""

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._serve(app, paths, scope, receive, send)
            else:
                await app(scope, receive, send)

        return counting

    async def _serve(self, app: ASGIApp, paths: Collection[str], scope: Scope, receive: Receive, send: Send) -> None:
        seconds, status = stopwatch(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counted = scope["path"] not in ALWAYS_ANSWERED
        scope.setdefault("state", {})
        self.in_flight += counted
        self._metrics.in_flight.set(self.in_flight)
        try:
            if self.stopping and counted:
                refusal = problem_response(503, "The server is stopping.", {"Connection": "close", "Retry-After": "5"})
                await refusal(scope, receive, send_noting)
            else:
                await app(scope, receive, send_noting)
        except Exception as error:
            self._failed(error)
            if not status:
                await problem_response(500, "The server failed; its log says why.")(scope, receive, send_noting)
            elif status != 500:
                raise  # in the middle of an answer
        finally:
            self.in_flight -= counted
            self._metrics.in_flight.set(self.in_flight)
            path = scope["path"] if scope["path"] in paths else OTHER
            self._count(scope, path, status or 499, seconds())

    def _count(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.request_seconds.labels(path).observe(seconds)
        if path in QUIET and status < 400:
            return
        client = scope["client"][0] if scope.get("client") else "-"
        self._log.request(scope["method"], scope["path"], status, seconds, client, scope["state"].get("photos"))

    def _failed(self, error: Exception) -> None:
        """Log an error that no code foresees, with its traceback."""
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._log.write(f"Error: {error!r}\n{lines}", event="error", message=repr(error), traceback=lines)
