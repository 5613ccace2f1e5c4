"""The application answers errors in the form that the request expects, with the security headers."""

import pytest
from review_web_helpers import TOKEN, Review
from starlette.testclient import TestClient


def test_the_root_leads_to_the_review(client: TestClient) -> None:
    """So that the address without a path works, too."""
    assert client.get("/", follow_redirects=False).headers["location"] == "/review"


def test_styles_and_script_need_no_token(review: Review) -> None:
    """They are the same for all, and the error page needs them."""
    with TestClient(review.app, base_url="http://127.0.0.1:8000") as unknown:
        for name in ("fmtag.css", "review.css", "review.js"):
            assert unknown.get(f"/static/{name}").status_code == 200


@pytest.mark.parametrize("path", ["/review", "/nowhere", "/review/since?after=x", "/static/review.js"])
def test_every_answer_has_a_strict_policy(client: TestClient, path: str) -> None:
    """No inline script, no style, no other origin."""
    policy = client.get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_pages_hold_nothing_inline(client: TestClient, review: Review) -> None:
    """The policy would keep a browser from using it."""
    pages = [client.get("/review").text, client.get(f"/review/photo/{review.open_rows()[0].item}").text]
    for page in pages:
        assert " style=" not in page
        assert "<style" not in page
        assert "onclick" not in page
        assert "<script src=" in page or "<script" not in page


def test_other_hosts_and_origins_are_refused(client: TestClient) -> None:
    """Even with the token."""
    assert client.get("/review", headers={"host": "evil.example"}).status_code == 421
    response = client.post("/review/undo", json={"reviews": []}, headers={"origin": "http://evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize(("method", "path"), [("PUT", "/review"), ("GET", "/review/decisions"), ("DELETE", "/review/undo")])
def test_other_methods_are_refused(client: TestClient, method: str, path: str) -> None:
    """With 405."""
    assert client.request(method, path).status_code == 405


def test_a_ledger_that_is_gone_is_told(client: TestClient, review: Review) -> None:
    """In a sentence, with 503; the server goes on."""
    for file in review.folder.glob("tags.ledger*"):
        file.rename(file.with_name(f"away-{file.name}"))
    response = client.get("/review")
    assert (response.status_code, "There is no ledger" in response.text) == (503, True)
    for file in review.folder.glob("away-*"):
        file.rename(file.with_name(file.name.removeprefix("away-")))
    assert client.get("/review", headers={"authorization": f"bearer {TOKEN}"}).status_code == 200
