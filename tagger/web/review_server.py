"""Serve a review on this machine until it is stopped."""

import getpass
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import uvicorn

from tagger.errors import ServerError, reason_of
from tagger.review.columns import Columns, output_of
from tagger.review.photos import Photos
from tagger.review.queue import ReviewQueue
from tagger.review.thumbnails import Thumbnails
from tagger.run.paths import ledger_of_output
from tagger.run.reviews import ReviewStore
from tagger.web.guard import local_hosts
from tagger.web.nights_page import nights_route
from tagger.web.review_access import new_token
from tagger.web.review_app import review_app
from tagger.web.review_state import ReviewState

GRACE_SECONDS = 5
"""Time for requests to end once the server is stopped."""

ANY_ADDRESS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class ReviewSettings:
    """Settings of `fmtag review`."""

    output: Path | None = None
    """That `fmtag run` wrote."""
    ledger: Path | None = None
    """Of the runs; None takes the one beside `output`."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that the page is opened by."""
    reviewer: str | None = None
    """Name of those who give none on the page; None takes the login name."""
    favourites: tuple[str, ...] = ()
    follow_links: bool = False
    """Whether photos are shown that are links out of the catalog."""
    token: str | None = None
    """None makes a new one."""


def serve_review(settings: ReviewSettings, opened: Callable[[str], None]) -> None:
    """Serve the review until SIGINT or SIGTERM; `opened` is called with its address once it answers.

    Raises an `FmtagError` where there is no ledger, or the port is taken.
    """
    if settings.ledger is None and settings.output is None:
        raise ServerError("Give the output of a `fmtag run`, such as tags.csv, or its ledger with --ledger.")
    ledger = settings.ledger or ledger_of_output(settings.output or Path())
    with ExitStack() as stack:
        store = stack.enter_context(closing(ReviewStore(ledger)))
        columns = stack.enter_context(closing(Columns(_output(settings, ledger))))
        queue = stack.enter_context(closing(ReviewQueue(ledger, columns)))
        photos = Photos(queue.reader, settings.follow_links)
        name = (settings.output or ledger).name
        reviewer = settings.reviewer or _login_name()
        state = ReviewState(name, queue, store, columns, photos, Thumbnails(photos), reviewer, settings.favourites)
        listener = stack.enter_context(closing(_listener(settings)))
        port = int(listener.getsockname()[1])
        token = settings.token or new_token()
        hosts = _hosts(settings)
        app = review_app(state, token, port, hosts, [nights_route(ledger, name)])
        shown_host = socket.gethostname() if settings.host in ANY_ADDRESS else settings.host
        shown_host = f"[{shown_host}]" if ":" in shown_host else shown_host
        address = f"http://{shown_host}:{port}/?token={quote(token)}"
        server = _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,  # the address holds the token
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_SECONDS,
                limit_concurrency=512,
            ),
            lambda: opened(address),
        )
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._tell()


def open_in_browser(address: str) -> None:
    """Open an address in the user's browser, in a thread, as that may wait for the browser to end."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _listener(settings: ReviewSettings) -> socket.socket:
    """Return a bound socket; raises `ServerError` where the address cannot be bound."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.set_inheritable(False)
    except OSError as error:
        listener.close()
        raise ServerError(
            f"{settings.host} port {settings.port} cannot be served ({reason_of(error)}); give --port another one, or --host an"
            " address of this machine."
        ) from error
    return listener


def _hosts(settings: ReviewSettings) -> set[str]:
    """Return the hosts that requests may name."""
    own = [socket.gethostname(), socket.getfqdn()] if settings.host in ANY_ADDRESS else []
    if settings.host in ANY_ADDRESS:
        try:
            found = socket.getaddrinfo(socket.gethostname(), None)
        except OSError:
            found = []
        own += [f"[{one[4][0]}]" if one[0] == socket.AF_INET6 else str(one[4][0]) for one in found]
    return local_hosts(settings.host, (*own, *settings.allowed_hosts))


def _output(settings: ReviewSettings, ledger: Path) -> Path | None:
    """Return the output whose columns are shown: the one given, unless that is the ledger itself, else the last run's."""
    if settings.output is not None and settings.output != ledger:
        return settings.output
    return output_of(ledger)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in a container
        return "reviewer"
