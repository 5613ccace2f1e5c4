"""Requests for other hosts and from other origins are refused, and all responses have the security headers."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tagger.web.guard import Guard, local_hosts


def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.method)


APP = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])


@pytest.fixture
def client() -> TestClient:
    """A client of a guarded application on this machine's loopback."""
    return TestClient(Guard(APP, local_hosts("127.0.0.1")), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_own_hosts_are_served(client: TestClient, host: str) -> None:
    """Every name of the loopback is taken, with and without a port."""
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil@127.0.0.1", "127.0.0.1:8000:1", "127.0.0.1/x", "[::1", "", "*"]
)
def test_other_hosts_are_refused(client: TestClient, host: str) -> None:
    """A page whose name was made to resolve to this machine gets nothing."""
    response = client.get("/", headers={"host": host})
    assert (response.status_code, "does not serve the host" in response.text) == (421, True)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "https://127.0.0.1", "file://"])
def test_other_origins_change_nothing(client: TestClient, origin: str) -> None:
    """A request that changes something is refused where a page of another origin sent it."""
    assert client.post("/", headers={"origin": origin}).status_code == 403
    assert client.get("/", headers={"origin": origin}).status_code == 200  # whose answer the browser keeps from it


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_change_nothing(client: TestClient, site: str) -> None:
    """So is one that the browser marks as another site's."""
    assert client.post("/", headers={"sec-fetch-site": site}).status_code == 403


def test_own_pages_and_programs_may_change_things(client: TestClient) -> None:
    """Pages of this server are let through, and programs, which send no origin."""
    assert client.post("/", headers={"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}).text == "POST"
    assert client.post("/").text == "POST"


@pytest.mark.parametrize("path", ["/", "/missing"])
def test_every_response_has_the_headers(client: TestClient, path: str) -> None:
    """Errors and refusals have them too; no script or style but those of this server's files may run."""
    for headers in ({}, {"host": "evil.example"}):
        response = client.get(path, headers=headers)
        assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_any_host_can_be_allowed() -> None:
    """Behind a proxy that checks the host, `*` takes any well-formed one."""
    client = TestClient(Guard(APP, {"*"}))
    assert client.get("/", headers={"host": "shop.example"}).status_code == 200
    assert client.get("/", headers={"host": "a@b"}).status_code == 421
