"""Bind the address that is served, and run a server there that says when it answers."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from tagger.errors import ServerError, reason_of


@dataclass(frozen=True)
class Listener:
    """A bound socket and the address it is reached at."""

    socket: socket.socket
    address: str
    port: int


@contextmanager
def listening(host: str, port: int) -> Iterator[Listener]:
    """Bind a socket for the block; port 0 takes a free one. Raises `ServerError` where that cannot be done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        except (OSError, TypeError, UnicodeError) as error:  # TypeError for a name that is no Unicode
            raise ServerError(
                f"{host} port {port} cannot be served ({reason_of(error)}); give --port another one, or --host an address of"
                " this machine."
            ) from error
        shown = f"[{host}]" if ":" in host else host
        port = int(bound.getsockname()[1])
        yield Listener(bound, f"http://{shown}:{port}", port)


class AnnouncedServer(uvicorn.Server):
    """A server that says when it answers, and ends at SIGINT and SIGTERM as when its work is done."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End once the requests in hand are answered; a second signal does not wait for them."""
        self.force_exit = self.should_exit
        self.should_exit = True
