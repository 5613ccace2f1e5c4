"""Bodies are read within limits of bytes and time, whatever length they declare; refused ones are read to their end."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from service_helpers import FORM_HEADERS, client_of, form_body, jpeg, make_service, send
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from tagger.web.bodies import DiscardUnread, Disconnected, body_chunks
from tagger.web.limits import ServiceLimits
from tagger.web.service import Service

START = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'

KILOBYTE = bytes(1_000)


@pytest.fixture(scope="module")
def service(small_bundle: Path) -> Service:
    """A service that takes 20 kB per request, 8 kB per photo, two photos, within a fifth of a second."""
    return make_service(small_bundle, limits=ServiceLimits(2, 20_000, 8_000, 0.2, 8))


def endless(piece: bytes = KILOBYTE) -> Iterator[bytes]:
    """Yield the start of a form, and a photo that does not end."""
    yield START
    yield from (piece for _ in count())


def test_a_photo_without_end_is_refused_while_it_comes(service: Service) -> None:
    """Chunked, without a Content-Length: after the bytes of one photo, not after those of memory."""
    answer = send(service.app, endless())
    assert (answer.status, answer.problem["status"]) == (413, 413)
    assert "8,000" in answer.problem["detail"]
    assert answer.taken < 40  # the limit, and what is thrown away so that the answer is seen


def test_many_small_parts_are_refused_by_their_sum(service: Service) -> None:
    """A preamble without end belongs to no photo."""
    answer = send(service.app, (b"-" * 1_000 for _ in count()))
    assert answer.status in (400, 413)
    assert answer.taken < 60


def test_a_declared_length_is_refused_before_the_body(service: Service) -> None:
    """None of it is needed for that."""
    answer = send(service.app, [START], {**FORM_HEADERS, "content-length": "20001"})
    assert answer.status == 413
    assert "20,000" in answer.problem["detail"]


def test_a_declared_length_that_is_too_small_is_not_believed(service: Service) -> None:
    """What comes is counted."""
    assert send(service.app, endless(), {**FORM_HEADERS, "content-length": "10"}).status == 413


def test_more_photos_than_allowed_are_refused(service: Service) -> None:
    """The third one of two."""
    answer = send(service.app, [form_body(*((f"{number}.jpg", b"x") for number in range(3)))])
    assert (answer.status, "2 photos" in answer.problem["detail"]) == (413, True)


def test_a_slow_body_is_refused(service: Service) -> None:
    """Within its time, however its pieces are spread."""
    answer = send(service.app, endless(b"x"), pause=lambda number: 0.05)
    assert (answer.status, "0.2 seconds" in answer.problem["detail"]) == (408, True)
    assert answer.headers["connection"] == "close"


def test_a_form_that_fits_is_read_in_any_pieces(small_bundle: Path) -> None:
    """Byte by byte too."""
    body = form_body(("a.jpg", jpeg(1, (20, 20))))
    service = make_service(small_bundle, limits=ServiceLimits(max_bytes=len(body), max_file_bytes=len(body)))
    with client_of(service) as client:
        answers = [client.post("/v1/tags", content=content, headers=FORM_HEADERS) for content in (single(body), body + b" ")]
    assert [answer.status_code for answer in answers] == [200, 413]


def single(body: bytes) -> Iterator[bytes]:
    """Yield a body byte by byte, without a Content-Length."""
    for at in range(len(body)):
        yield body[at : at + 1]


def test_the_end_of_the_connection_is_told() -> None:
    """It is not the end of the body."""

    async def read() -> list[bytes]:
        messages = iter([{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}])

        async def receive() -> Message:
            return next(messages)

        return [piece async for piece in body_chunks(receive, None, 10, 1)]

    with pytest.raises(Disconnected):
        asyncio.run(read())


@pytest.mark.parametrize(("status", "taken"), [(200, 0), (403, 5)])
def test_the_rest_of_a_refused_body_is_read(status: int, taken: int) -> None:
    """Up to its end; that of a body that was not needed for a good answer is the server's affair."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("", status)(scope, receive, send)

    assert send(DiscardUnread(app, 1_000_000), [KILOBYTE] * 5).taken == taken


def test_the_rest_is_read_within_limits() -> None:
    """Of bytes and of time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("", 403)(scope, receive, send)

    assert send(DiscardUnread(app, 10_000), endless()).taken <= 12
    assert send(DiscardUnread(app, 10_000, seconds=0.1), endless(b"x"), pause=lambda number: 0.03).status == 403
