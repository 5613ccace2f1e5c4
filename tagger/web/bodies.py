"""Read the body of a request piece by piece, within limits of bytes and time, and throw away what is left of a refused one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagger.web.problems import RequestError

DISCARDED_SECONDS = 2.0
"""Seconds for which the rest of a refused body is read: most clients read the answer only after they have sent everything."""


class Disconnected(Exception):  # noqa: N818 (nothing went wrong here)
    """The client has closed the connection before its body was complete."""


async def body_chunks(receive: Receive, declared: str | None, max_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """Yield the pieces of a request's body.

    Args:
        receive: of ASGI.
        declared: the header Content-Length, which may be missing; what comes is counted in any case.
        max_bytes: bytes of the body at most.
        seconds: in which it must have come.

    Raises:
        RequestError: 413, it is longer; 408, it takes longer.
        Disconnected: the client has gone.
    """
    too_long = RequestError(413, f"The request is longer than {max_bytes:,} bytes; send fewer photos, or smaller ones.")
    if declared is not None and (not declared.isdecimal() or int(declared[:20]) > max_bytes):
        raise too_long
    end, length = time.monotonic() + seconds, 0
    while True:
        try:
            message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
        except asyncio.TimeoutError:
            slow = f"The request did not come within {seconds:g} seconds; send fewer photos, or smaller ones."
            raise RequestError(408, slow, {"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece = message.get("body", b"")
        length += len(piece)
        if length > max_bytes:
            raise too_long
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


class DiscardUnread:
    """Read the rest of a request's body before it is refused, up to limits of bytes and time, and throw it away.

    A server that answers and closes the connection while data is still coming makes the system reset it, and the client may
    never see the answer. Not of one that was too slow (408).
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float = DISCARDED_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        complete = False

        async def receive_noting() -> Message:
            nonlocal complete
            message = await receive()
            complete = complete or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def discard() -> None:
            length = 0
            while not complete and length < self._max_bytes:
                length += len((await receive_noting()).get("body", b""))

        async def send_after(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] >= 400
                and message["status"] != 408
                and not complete
            ):
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(discard(), self._seconds)
            await send(message)

        await self._app(scope, receive_noting, send_after)
