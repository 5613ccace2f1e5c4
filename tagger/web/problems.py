"""Answer a request that cannot be served with a problem document (RFC 9457), the same for all errors."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response

from tagger.escaping import for_json

MEDIA_TYPE = "application/problem+json"

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RequestError(Exception):
    """A request cannot be served: status of the answer, one sentence that says what is wrong and what to do, headers."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem_response(status: int, detail: str, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Return the answer of an error: `status`, `title` (the status in words) and `detail` (one sentence) as a JSON object."""
    document = {"status": status, "title": title_of(status), "detail": detail}
    text = for_json(json.dumps(document, ensure_ascii=False))
    return Response(text.encode(errors="backslashreplace"), status, dict(headers), MEDIA_TYPE)


def title_of(status: int) -> str:
    """Return a status in words, as RFC 9110 has them; its number where it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)
