"""Errors are problem documents that no terminal acts on."""

import json

from tagger.web.problems import MEDIA_TYPE, RequestError, problem_response, title_of


def test_a_problem_tells_status_title_and_detail() -> None:
    """With its headers, and controls escaped."""
    response = problem_response(429, "Wait \x9b a bit, caf\udce9.", {"Retry-After": "3"})
    assert (response.status_code, response.media_type, response.headers["retry-after"]) == (429, MEDIA_TYPE, "3")
    document = json.loads(bytes(response.body))
    assert document == {"status": 429, "title": "Too Many Requests", "detail": "Wait \x9b a bit, caf\udce9."}
    assert "\x9b" not in bytes(response.body).decode()


def test_every_status_has_a_title() -> None:
    """Its number where the standard has none."""
    assert (title_of(421), title_of(499)) == ("Misdirected Request", "499")


def test_a_refusal_is_its_sentence() -> None:
    """For logs."""
    assert str(RequestError(400, "No.")) == "No."
