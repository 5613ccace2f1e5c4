"""Serve a review on this machine until it is stopped."""

import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import uvicorn

from tagger.errors import ServerError
from tagger.review.columns import Columns, output_of
from tagger.review.photos import Photos
from tagger.review.queue import ReviewQueue
from tagger.review.reviewer import login_name
from tagger.review.thumbnails import Thumbnails
from tagger.run.paths import ledger_of_output
from tagger.run.reviews import ReviewStore
from tagger.web.guard import local_hosts
from tagger.web.listening import AnnouncedServer, Listener, listening
from tagger.web.nights_page import nights_route
from tagger.web.review_access import new_token
from tagger.web.review_app import review_app
from tagger.web.review_state import ReviewState

GRACE_SECONDS = 5
"""Time for requests to end once the server is stopped."""

MAX_CONNECTIONS = 512

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


def serve_review(settings: ReviewSettings, opened: Callable[[str], None]) -> None:
    """Serve the review until SIGINT or SIGTERM; `opened` is called with its address once it answers.

    Raises an `FmtagError` where there is no ledger, or the port is taken.
    """
    if settings.ledger is None and settings.output is None:
        raise ServerError("Give the output of a `fmtag run`, such as tags.csv, or its ledger with --ledger.")
    ledger = settings.ledger or ledger_of_output(settings.output or Path())
    with _opened(settings, ledger) as state, listening(settings.host, settings.port) as listener:
        token = new_token()
        app = review_app(state, token, listener.port, _hosts(settings), [nights_route(ledger, state.catalog)])
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # the address holds the token
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_SECONDS,
            limit_concurrency=MAX_CONNECTIONS,
        )
        address = f"{_address(settings, listener)}/?token={quote(token)}"
        AnnouncedServer(config, lambda: opened(address)).run(sockets=[listener.socket])


@contextmanager
def _opened(settings: ReviewSettings, ledger: Path) -> Iterator[ReviewState]:
    """Open all that the requests share, for the block."""
    with (
        closing(ReviewStore(ledger)) as store,
        Columns(_output(settings, ledger)) as columns,
        ReviewQueue(ledger, columns) as queue,
    ):
        photos = Photos(queue.reader, settings.follow_links)
        name = (settings.output or ledger).name
        reviewer = settings.reviewer or login_name()
        yield ReviewState(name, queue, store, columns, photos, Thumbnails(photos), reviewer, settings.favourites)


def _address(settings: ReviewSettings, listener: Listener) -> str:
    """Return the address to open: where all addresses of this machine are served, by its name."""
    return f"http://{socket.gethostname()}:{listener.port}" if settings.host in ANY_ADDRESS else listener.address


def open_in_browser(address: str) -> None:
    """Open an address in the user's browser, in a thread, as that may wait for the browser to end."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _hosts(settings: ReviewSettings) -> set[str]:
    """Return the hosts that requests may name; where all addresses are served, this machine's names and addresses too."""
    if settings.host not in ANY_ADDRESS:
        return local_hosts(settings.host, settings.allowed_hosts)
    name = socket.gethostname()
    try:
        found = socket.getaddrinfo(name, None)
    except OSError:
        found = []
    addresses = (f"[{one[4][0]}]" if one[0] == socket.AF_INET6 else str(one[4][0]) for one in found)
    return local_hosts(settings.host, (name, socket.getfqdn(), *addresses, *settings.allowed_hosts))


def _output(settings: ReviewSettings, ledger: Path) -> Path | None:
    """Return the output whose columns are shown: the one given, unless that is the ledger itself, else the last run's."""
    if settings.output is not None and settings.output != ledger:
        return settings.output
    return output_of(ledger)
