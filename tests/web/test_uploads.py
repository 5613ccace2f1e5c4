"""Photos come out of forms, and addresses out of JSON, as they were sent; what is malformed is told."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from service_helpers import form_body

from tagger.web.problems import RequestError
from tagger.web.uploads import Upload, read_addresses, read_form

FORM = "multipart/form-data; boundary=x"


async def pieces(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    """Yield a body piece by piece."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def uploads_of(body: bytes, content_type: str = FORM, held: list[int] | None = None) -> list[Upload]:
    """Return the photos of a form of at most 3 photos of 50 bytes."""
    held = [] if held is None else held
    return asyncio.run(read_form(pieces(body), content_type, 3, 50, held.append))


def addresses_of(body: object) -> list[str]:
    """Return the addresses of a JSON body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(read_addresses(pieces(text), 3, lambda count: None))


def refusal_of_form(body: bytes, content_type: str = FORM) -> RequestError:
    """Return how a form is refused."""
    with pytest.raises(RequestError) as caught:
        uploads_of(body, content_type)
    return caught.value


def test_photos_come_in_order_with_their_names() -> None:
    """And with their very bytes, line ends and boundaries within too; each piece is counted."""
    photos = [("a.jpg", b"\r\n--y\r\n"), ("a.jpg", b""), ("\u00fc.png", bytes(range(50)))]
    body, held = form_body(*photos), list[int]()
    assert uploads_of(body, held=held) == [Upload(*photo) for photo in photos]
    assert sum(held) == len(body)


def test_a_photo_without_a_name_has_an_empty_one() -> None:
    """As curl sends what it reads from a pipe."""
    assert uploads_of(form_body(("a", b"1")).replace(b'; filename="a"', b"")) == [Upload("", b"1")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"nonsense", 400),
        (form_body(("a", b"1"))[:-6], 400),
        (b"--x--\r\n", 422),
        (form_body(("a", b"1")).replace(b'name="files"', b'name="photo"'), 422),
        (form_body(("a", b"1")).replace(b"form-data", b"form-data; pad=" + b"y" * 9_000), 400),
        (form_body(*[("a", b"1")] * 4), 413),
        (form_body(("a", b"1" * 51)), 413),
    ],
)
def test_malformed_and_large_forms_are_refused(body: bytes, status: int) -> None:
    """Each with its status."""
    assert refusal_of_form(body).status == status


def test_a_form_without_a_boundary_is_refused() -> None:
    """The header must name it."""
    assert refusal_of_form(form_body(("a", b"1")), "multipart/form-data").status == 400
    assert refusal_of_form(form_body(("a", b"1")), f"{FORM}{'x' * 300}").status == 400


def test_addresses_come_in_order() -> None:
    """As they were sent."""
    assert addresses_of({"addresses": ["https://b/1", "https://a/2"]}) == ["https://b/1", "https://a/2"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        ([], 422),
        ({}, 422),
        ({"addresses": []}, 422),
        ({"addresses": "https://a"}, 422),
        ({"addresses": [1]}, 422),
        ({"addresses": ["https://a"], "more": 1}, 422),
        ({"addresses": ["https://a/" + "x" * 3_000]}, 422),
        ({"addresses": ["https://a"] * 4}, 413),
    ],
)
def test_other_json_is_refused(body: object, status: int) -> None:
    """Each with its status."""
    with pytest.raises(RequestError) as caught:
        addresses_of(body)
    assert caught.value.status == status
