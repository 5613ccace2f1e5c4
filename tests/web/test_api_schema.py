"""The description in OpenAPI is that of the answers, and all errors are of one kind."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from service_helpers import TOKEN, client_of, form, jpeg, make_service

from tagger.catalog.rows import COLUMNS
from tagger.records import FAILED_REASONS
from tagger.web.api_schema import SCHEMAS, STATUSES, problems, tags_body
from tagger.web.limits import ServiceLimits
from tagger.web.tokens import Tokens

TAGS = "/v1/tags"


@pytest.fixture(scope="module")
def schema(small_bundle: Path) -> dict[str, Any]:
    """The description of a service with tokens."""
    with client_of(make_service(small_bundle, tokens=Tokens([TOKEN]))) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_error_is_a_problem(schema: dict[str, Any]) -> None:
    """Each status that the service answers is described, with the one schema; 429 and 401 with their headers."""
    answers = schema["paths"][TAGS]["post"]["responses"]
    assert {int(status) for status in answers} == {200, *STATUSES}
    for status, one in answers.items():
        if status != "200":
            assert one["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert set(answers["429"]["headers"]) == {"Retry-After"}
    assert set(answers["401"]["headers"]) == {"WWW-Authenticate"}


def test_all_references_resolve(schema: dict[str, Any]) -> None:
    """To schemas that are there."""
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema)))
    assert named
    assert named <= set(schema["components"]["schemas"])


def test_tokens_are_described(schema: dict[str, Any], small_bundle: Path) -> None:
    """Where they are needed, and only there."""
    assert schema["paths"][TAGS]["post"]["security"]
    with client_of(make_service(small_bundle)) as client:
        open_to_all = client.get("/openapi.json").json()["paths"][TAGS]["post"]
    assert "security" not in open_to_all
    assert "401" not in open_to_all["responses"]


def test_rows_have_the_columns_that_are_described(small_bundle: Path) -> None:
    """All of them, in their types, with several tags, for photos that are read and that are not."""
    with client_of(make_service(small_bundle)) as client:
        rows = client.post(f"{TAGS}?top_k=2", files=form(("a", jpeg(1)), ("b", b"x"))).json()["rows"]
    row = SCHEMAS["Row"]
    assert row["required"] == [*COLUMNS, "model"]
    for one in rows:
        assert set(row["required"]) <= set(one)
        assert all(name in row["properties"] or any(map(name.startswith, ("tag_", "confidence_"))) for name in one)
        assert one["reason"] in row["properties"]["reason"]["enum"]
    assert set(FAILED_REASONS) | {"", "low_confidence", "not_recognised"} <= set(row["properties"]["reason"]["enum"])


def test_json_is_described_where_addresses_are_fetched() -> None:
    """With the hosts that are allowed."""
    content = tags_body(ServiceLimits(max_files=3), ["cdn.shop.example"], ["https"])["requestBody"]["content"]
    addresses = content["application/json"]["schema"]["properties"]["addresses"]
    assert addresses["maxItems"] == 3
    assert re.search(addresses["items"]["pattern"], "https://cdn.shop.example/a.jpg")
    assert not re.search(addresses["items"]["pattern"], "https://cdnxshop.example/a.jpg")
    assert "application/json" not in tags_body(ServiceLimits(), (), ["https"])["requestBody"]["content"]


def test_problems_of_some_statuses() -> None:
    """As FastAPI takes them."""
    assert set(problems(405, 421)) == {405, 421}
