"""Only who has the address that the command printed gets into a review."""

import pytest
from review_web_helpers import TOKEN, Review
from starlette.testclient import TestClient

from tagger.web.review_access import new_token

PATHS = ("/review", "/review/cards", "/review/photo/1", "/review/picture/1/00/small", "/review/since?after=0", "/")


def unknown(review: Review) -> TestClient:
    return TestClient(review.app, base_url="http://127.0.0.1:8000", follow_redirects=False)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_token(review: Review, path: str) -> None:
    """Each page and picture answers 401 with a sentence that says what to do."""
    with unknown(review) as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": "fmtag_review_8000=x"}):
            response = client.get(path, headers=headers)
            assert (response.status_code, "Open the whole address" in response.text) == (401, True)


def test_nothing_is_decided_without_the_token(review: Review) -> None:
    """Requests that change something are refused before they are read."""
    with unknown(review) as client:
        for path in ("/review/decisions", "/review/undo"):
            assert client.post(path, json={}).status_code == 401
    assert review.state.store.last() == 0


def test_the_address_opens_the_review(review: Review) -> None:
    """The token of the address becomes a cookie that scripts cannot read, and leaves the address."""
    with unknown(review) as client:
        response = client.get(f"/?token={TOKEN}")
        assert (response.status_code, response.headers["location"]) == (303, "/review")
        cookie = response.headers["set-cookie"]
        assert all(part in cookie for part in ("fmtag_review_8000=", "HttpOnly", "SameSite=lax"))
        assert client.get("/review").status_code == 200


def test_the_cookie_of_another_port_opens_nothing(review: Review) -> None:
    """Browsers send the cookies of a host to all of its ports, so that the name tells them apart."""
    with unknown(review) as client:
        assert client.get("/review", headers={"cookie": f"fmtag_review_9000={TOKEN}"}).status_code == 401


def test_a_wrong_token_opens_nothing(review: Review) -> None:
    """A token that is nearly right, not ASCII, or in a request that changes something, gets no cookie."""
    with unknown(review) as client:
        for token in (TOKEN[:-1], TOKEN + "x", "%C3%A4", ""):
            response = client.get(f"/?token={token}")
            assert response.status_code == 401
            assert "set-cookie" not in response.headers
        assert client.post(f"/review/undo?token={TOKEN}").status_code == 401


def test_tokens_cannot_be_guessed() -> None:
    """They are long and new each time."""
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) == 32
