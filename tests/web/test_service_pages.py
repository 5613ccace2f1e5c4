"""The pages need nothing of another server, run no script but their own, and show the interface as it is described."""

import re
from pathlib import Path
from typing import Any

import pytest
from service_helpers import TOKEN, client_of, make_service
from starlette.testclient import TestClient

from tagger.web.service_pages import STATIC, operations, schemas
from tagger.web.tokens import Tokens


@pytest.fixture(scope="module")
def client(small_bundle: Path) -> Any:
    """A client of a service with tokens."""
    with client_of(make_service(small_bundle, tokens=Tokens([TOKEN]))) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_need_nothing_of_another_server(client: TestClient, path: str) -> None:
    """No address but their own, no script or style within the page, the strict policy."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert not re.search(r'(src|href)="(?!/|#|data:,")', answer.text)
    assert not re.search(r"<style|<script(?! src)| style=| on[a-z]+=", answer.text)
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    for target in re.findall(r'(?:src|href)="(/[^"]*)"', answer.text):
        assert client.get(target).status_code == 200


def test_the_token_is_wanted_where_it_is_needed(client: TestClient, small_bundle: Path) -> None:
    """In a field that is not stored."""
    assert 'id="token" type="password" autocomplete="off"' in client.get("/").text
    with client_of(make_service(small_bundle)) as other:
        assert 'id="token"' not in other.get("/").text


def test_the_script_sets_text_alone() -> None:
    """Nothing that comes from a file's name or from the server is taken for HTML or code, or stored."""
    script = (STATIC / "service.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|localStorage|sessionStorage|cookie", script
    )


def test_the_page_shows_the_interface(client: TestClient) -> None:
    """Each operation with its parameters, and each kind of document."""
    page = client.get("/docs").text
    description = client.get("/openapi.json").json()
    for one in operations(description):
        assert f"{one.method} {one.path}" in page
        assert all(f"<code>{parameter.name}</code>" in page for parameter in one.parameters)
    assert {name for name, _, _ in schemas(description)} >= {"Tags", "Row", "Problem", "Picture"}


def test_types_are_told_in_words() -> None:
    """Bounds, alternatives and lists too."""
    parameters = [
        {"name": "a", "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1}},
        {"name": "b", "schema": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        {"name": "c", "schema": {"enum": ["", "x"]}},
        {"name": "d", "schema": {"type": "array", "items": {"type": "string", "format": "binary"}}},
        {"name": "e", "schema": {"type": ["string", "null"]}},
    ]
    description = {"paths": {"/x": {"get": {"parameters": parameters, "responses": {}}}}}
    assert [one.kind for one in operations(description)[0].parameters] == [
        "integer from 1 to 9, by default 1",
        "number or null",
        'one of "", "x"',
        "list of bytes of a file",
        "string or null",
    ]
