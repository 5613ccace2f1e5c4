"""Shared by the tests of photos at web addresses: a server that answers what a test tells it to."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
"""Status, headers, and body; a `Content-Length` that is no other one is added."""


@dataclass
class WebServer:
    """A server that runs, and what it answers by path, without the query."""

    origin: str
    answers: dict[str, Answer | Callable[[Any], None]] = field(default_factory=dict)
    """What is answered; a function writes to the handler itself."""
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Counts of method and path with the query, as they came."""

    def file(self, path: str, content: bytes, **headers: str) -> None:
        """Serve a file; words of a header are joined by `_`."""
        self.answers[path] = (200, {name.replace("_", "-"): value for name, value in headers.items()}, content)

    def count(self, method: str, path: str | None = None) -> int:
        """Return how often a method was requested."""
        return sum(count for (one, where), count in self.requests.items() if one == method and path in (None, where))


@contextmanager
def serve_web() -> Iterator[WebServer]:
    """Serve in threads of this process while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            web.requests[self.command, self.path] += 1
            answer = web.answers.get(self.path.partition("?")[0], (404, {}, b"not here"))
            if callable(answer):
                answer(self)
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)
            self.close_connection |= "Content-Length" in headers

        do_HEAD = do_GET  # noqa: N815 (the base class calls it so)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients end connections in the middle of answers

    server = Server(("127.0.0.1", 0), Handler)
    web = WebServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
