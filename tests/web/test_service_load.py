"""A service that is full refuses further photos at once and answers those that it took."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service_helpers import FORM_HEADERS, client_of, form, form_body, jpeg, make_service

from tagger.photos.loader import LoadedPhoto, load_bytes
from tagger.web.limits import ServiceLimits


def test_a_full_queue_refuses_and_recovers(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with the time to come again; those that were accepted are answered, and then there is room again."""
    go, taken = threading.Event(), threading.Semaphore(0)

    def waiting(*given: Any) -> LoadedPhoto:
        taken.release()
        go.wait(20)
        return load_bytes(*given)

    monkeypatch.setattr("tagger.web.batching.load_bytes", waiting)
    service = make_service(photo_bundle, limits=ServiceLimits(queue=4, max_files=3), workers=4)
    queue = lambda: service.metrics.registry.get_sample_value("fmtag_queue_photos")  # noqa: E731
    with client_of(service) as client, ThreadPoolExecutor(2) as threads:
        accepted = [
            threads.submit(client.post, "/v1/tags", files=form(*[(str(at), jpeg(at)) for at in range(2)])) for _ in range(2)
        ]
        for _ in range(4):
            assert taken.acquire(timeout=20)
        assert queue() == 4
        refused = [client.post("/v1/tags", files=form(("a", jpeg(1)))) for _ in range(3)]
        assert client.get("/health/ready").status_code == 200
        go.set()
        assert [len(one.result().json()["rows"]) for one in accepted] == [2, 2]
        assert queue() == 0
        assert client.post("/v1/tags", files=form(("a", jpeg(1)))).status_code == 200
    assert [answer.status_code for answer in refused] == [429] * 3
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)


def test_photos_of_a_client_that_has_gone_are_given_up(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its places are free again, and no thread computes for nobody."""
    loaded = []

    def loading(*given: Any) -> LoadedPhoto:
        loaded.append(given)
        time.sleep(0.05)
        return load_bytes(*given)

    monkeypatch.setattr("tagger.web.batching.load_bytes", loading)
    service = make_service(photo_bundle, workers=1)

    async def run() -> int:
        messages = [
            {"type": "http.request", "body": form_body(*[("a", jpeg(1))] * 20), "more_body": False},
            {"type": "http.disconnect"},
        ]
        waiting, sent = iter(messages), list[Any]()

        async def receive() -> Any:
            await asyncio.sleep(0.02)
            return next(waiting)

        async def keep(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1"), *((key.encode(), value.encode()) for key, value in FORM_HEADERS.items())]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/tags",
            "query_string": b"",
            "headers": headers,
            "client": ("::1", 1),
        }
        await service.app(scope, receive, keep)
        return int(sent[0]["status"])

    with client_of(service):
        assert asyncio.run(run()) == 499
    assert len(loaded) < 5
    assert service.metrics.registry.get_sample_value("fmtag_queue_photos") == 0


def test_a_request_that_does_not_fit_as_a_whole_is_refused(photo_bundle: Path) -> None:
    """Where fewer places are free than it has photos, which may fit later."""
    service = make_service(photo_bundle, limits=ServiceLimits(queue=2, max_files=3))
    with client_of(service) as client:
        assert client.post("/v1/tags", files=form(*[("a", jpeg(1))] * 3)).status_code == 429
        assert client.post("/v1/tags", files=form(*[("a", jpeg(1))] * 2)).status_code == 200
