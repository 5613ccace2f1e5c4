"""Every request is counted, logged and answered; new ones are refused while the server stops."""

import asyncio
from io import StringIO
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tagger.web.accounting import Accounting
from tagger.web.monitoring import Metrics, ServiceLog


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, fail before or fail within the answer, by the path."""
    if scope["path"] == "/fails":
        raise ValueError("secret \x1b[31m")
    scope["state"]["photos"] = 2
    await PlainTextResponse("ok")(scope, receive, send)
    if scope["path"] == "/late":
        raise ValueError("late")


@pytest.fixture
def log() -> StringIO:
    """The text that is logged."""
    return StringIO()


@pytest.fixture
def accounting(log: StringIO) -> Accounting:
    """The accounting of an application."""
    return Accounting(Metrics(), ServiceLog(file=log))


@pytest.fixture
def client(accounting: Accounting) -> Any:
    """A client of it."""
    return TestClient(accounting.around(app, {"/x"}), raise_server_exceptions=False)


def test_requests_are_counted_and_logged(client: TestClient, accounting: Accounting, log: StringIO) -> None:
    """With the photos that they had; paths that do not exist are one."""
    for path in ("/x", "/y", "/health/live"):
        assert client.get(path).status_code == 200
    value = accounting._metrics.registry.get_sample_value
    assert value("fmtag_requests_total", {"path": "/x", "status": "200"}) == 1
    assert value("fmtag_requests_total", {"path": "other", "status": "200"}) == 2
    assert "GET /x 200 2 photos" in log.getvalue()
    assert accounting.in_flight == 0


def test_a_failure_is_answered_and_logged(client: TestClient, accounting: Accounting, log: StringIO) -> None:
    """The client learns nothing of it; the log has the traceback, escaped, and no line break within it."""
    answer = client.get("/fails")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    first, second = log.getvalue().splitlines()
    assert first.startswith("Error: ValueError(")
    assert "in app" in first
    assert "\x1b" not in first
    assert " GET /fails 500 " in second
    assert accounting.in_flight == 0


def test_a_failure_within_an_answer_ends_it(client: TestClient, accounting: Accounting) -> None:
    """The server has to cut the connection, so it must learn of it."""
    strict = TestClient(accounting.around(app))
    with pytest.raises(ValueError, match="late"):
        strict.get("/late")


def test_new_requests_are_refused_while_it_stops(client: TestClient, accounting: Accounting) -> None:
    """With the time to come again; health and metrics are answered."""
    accounting.stopping = True
    answer = client.get("/x")
    assert (answer.status_code, answer.headers["connection"], answer.headers["retry-after"]) == (503, "close", "5")
    assert client.get("/metrics").status_code == 200


def test_requests_in_progress_are_told(accounting: Accounting) -> None:
    """Until they are answered; not those for health, which programs send at all times."""
    seen = []

    async def looking(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(accounting.in_flight)
        await PlainTextResponse("")(scope, receive, send)

    counted = TestClient(accounting.around(looking))
    counted.get("/x")
    counted.get("/health/live")
    assert seen == [1, 0]


def test_other_kinds_of_connections_pass(accounting: Accounting) -> None:
    """The start and end of the application."""
    seen = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    asyncio.run(accounting.around(noting)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
