"""Take the photos out of a form, or the addresses out of a JSON body, while it comes; names of files are never paths."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tagger.web.problems import RequestError

FIELD = "files"
"""Name of the form's field that holds the photos."""

MAX_HEADER_BYTES = 8_192
"""Bytes of the headers of one part of a form."""

MAX_ADDRESS = 2_048
"""Characters of an address."""


@dataclass(frozen=True)
class Upload:
    """A photo that was sent: its name, as the client gave it, and the bytes of its file."""

    name: str
    content: bytes


@dataclass
class _Part:
    """A part of a form, as far as it has come."""

    headers: list[tuple[bytearray, bytearray]] = field(default_factory=list)
    header_bytes: int = 0
    name: str = ""
    pieces: list[bytes] = field(default_factory=list)
    length: int = 0


class _Form:
    """Collects the photos of a form: the callbacks of `python_multipart.MultipartParser`, which get pieces of the body."""

    def __init__(self, max_files: int, max_file_bytes: int) -> None:
        self._max_files = max_files
        self._max_file_bytes = max_file_bytes
        self._part = _Part()
        self.uploads: list[Upload] = []
        self.ended = False

    def callbacks(self) -> dict[str, Callable[..., None]]:
        names = "part_begin part_data part_end header_begin header_field header_value headers_finished end"
        return {f"on_{name}": getattr(self, f"_on_{name}") for name in names.split()}

    def _on_part_begin(self) -> None:
        self._part = _Part()

    def _on_header_begin(self) -> None:
        self._part.headers.append((bytearray(), bytearray()))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._add_to_header(0, data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._add_to_header(1, data[start:end])

    def _add_to_header(self, part: int, piece: bytes) -> None:
        self._part.header_bytes += len(piece)
        if self._part.header_bytes > MAX_HEADER_BYTES:
            raise RequestError(400, f"The headers of a part of the form are longer than {MAX_HEADER_BYTES:,} bytes.")
        if not self._part.headers:
            self._on_header_begin()
        self._part.headers[-1][part].extend(piece)

    def _on_headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        headers = {bytes(name).lower(): bytes(value) for name, value in self._part.headers}
        _, options = parse_options_header(headers.get(b"content-disposition", b"").decode("latin-1"))
        if options.get(b"name") != FIELD.encode():
            raise RequestError(422, f"Each part of the form is a photo in the field {FIELD!r}; this one is in another field.")
        if len(self.uploads) >= self._max_files:
            raise too_many(self._max_files)
        # The bytes of the header, which are UTF-8 as a rule; others are kept as a run keeps them in names of files.
        self._part.name = options.get(b"filename", b"").decode("utf-8", "surrogateescape")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part.length += end - start
        if self._part.length > self._max_file_bytes:
            raise RequestError(413, f"A photo is longer than {self._max_file_bytes:,} bytes; send smaller ones.")
        self._part.pieces.append(data[start:end])

    def _on_part_end(self) -> None:
        self.uploads.append(Upload(self._part.name, b"".join(self._part.pieces)))
        self._part = _Part()

    def _on_end(self) -> None:
        self.ended = True


async def read_form(
    chunks: AsyncIterator[bytes], content_type: str, max_files: int, max_file_bytes: int, hold: Callable[[int], None]
) -> list[Upload]:
    """Return the photos of a form (multipart/form-data, RFC 7578), in their order.

    Args:
        chunks: pieces of the body.
        content_type: the request's header, which names the boundary.
        max_files: photos at most.
        max_file_bytes: bytes of one photo at most.
        hold: called with the bytes of each piece; may raise.

    Raises:
        RequestError: 400, the form is malformed; 413, too many photos or too large a one; 422, another field, or no photo.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RequestError(400, "The Content-Type multipart/form-data lacks its boundary.")
    form = _Form(max_files, max_file_bytes)
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        async for piece in chunks:
            hold(len(piece))
            parser.write(piece)
        parser.finalize()
    except FormParserError:
        raise RequestError(400, "The form is malformed: it does not follow multipart/form-data (RFC 7578).") from None
    if not form.ended:
        raise RequestError(400, "The form ends before its last boundary: a part of it is missing.")
    if not form.uploads:
        raise RequestError(422, f"The form holds no photo; send at least one in the field {FIELD!r}.")
    return form.uploads


async def read_addresses(chunks: AsyncIterator[bytes], max_files: int, hold: Callable[[int], None]) -> list[str]:
    """Return the addresses of a JSON body `{"addresses": [...]}`; arguments as those of `read_form`.

    Raises:
        RequestError: 400, it is no JSON; 413, too many addresses; 422, another value than a list of addresses.
    """
    body = bytearray()
    async for piece in chunks:
        hold(len(piece))
        body += piece
    try:
        value: Any = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise RequestError(400, "The body is not JSON in UTF-8.") from None
    addresses = value.get("addresses") if isinstance(value, dict) and value.keys() == {"addresses"} else None
    if not isinstance(addresses, list) or not addresses or not all(isinstance(one, str) for one in addresses):
        raise RequestError(422, 'The body is not of the form {"addresses": ["https://...", ...]}.')
    if len(addresses) > max_files:
        raise too_many(max_files)
    if any(len(address) > MAX_ADDRESS for address in addresses):
        raise RequestError(422, f"An address is longer than {MAX_ADDRESS:,} characters.")
    return addresses


def too_many(max_files: int) -> RequestError:
    """Return the refusal of a request with more photos than one may have."""
    return RequestError(413, f"More than {max_files} photos in one request; send them in several.")
