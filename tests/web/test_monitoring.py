"""The numbers add up, and the log is a line per event that no terminal acts on."""

import json
from io import StringIO
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_helpers import TOKEN, client_of, form, jpeg, make_service

from tagger.inference.decision import failed, not_recognised
from tagger.records import Failed, Tag
from tagger.web.limits import ServiceLimits
from tagger.web.monitoring import Metrics, ServiceLog
from tagger.web.tokens import Tokens

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(text: str) -> Samples:
    """Return all samples of Prometheus' text by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str) -> float:
    """Return the sum of all samples of a name."""
    return sum(value for (found, _), value in samples.items() if found == name)


def test_the_numbers_of_requests_and_photos_add_up(photo_bundle: Path) -> None:
    """Photos by outcome are those of the answers, reasons those of the rows, requests those that were made."""
    service = make_service(photo_bundle, limits=ServiceLimits(max_files=5), tokens=Tokens([TOKEN]))
    with client_of(service) as client:
        assert client.post("/v1/tags").status_code == 401
        client.headers["authorization"] = f"Bearer {TOKEN}"
        sizes = [3, 1, 5]
        contents = [[b"broken", *(jpeg(seed) for seed in range(1, size))] for size in sizes]
        answers = [client.post("/v1/tags", files=form(*((f"{at}", one) for at, one in enumerate(some)))) for some in contents]
        assert client.post("/v1/tags", files=form(*[("a", b"a")] * 6)).status_code == 413
        assert client.get("/nowhere").status_code == 404
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        samples = samples_of(client.get("/metrics").text)
    rows = [row for answer in answers for row in answer.json()["rows"]]
    outcomes = {dict(labels)["outcome"]: value for (name, labels), value in samples.items() if name == "fmtag_photos_total"}
    assert sum(outcomes.values()) == len(rows) == sum(sizes)
    assert outcomes["failed"] == len(sizes)
    assert outcomes.get("tagged", 0) == sum(not row["low_confidence"] for row in rows)
    assert total(samples, "fmtag_reasons_total") == sum(bool(row["reason"]) for row in rows)
    assert total(samples, "fmtag_batch_photos_sum") == total(samples, "fmtag_photo_seconds_count") == len(rows)
    assert samples[("fmtag_photo_bytes_total", ())] == sum(len(one) for some in contents for one in some)
    requests = {labels: value for (name, labels), value in samples.items() if name == "fmtag_requests_total"}
    assert requests == {
        (("path", "/v1/tags"), ("status", "200")): 3,
        (("path", "/v1/tags"), ("status", "401")): 1,
        (("path", "/v1/tags"), ("status", "413")): 1,
        (("path", "other"), ("status", "404")): 1,
        (("path", "other"), ("status", "421")): 1,
    }
    assert total(samples, "fmtag_request_seconds_count") == 7
    assert (samples[("fmtag_queue_photos", ())], samples[("fmtag_requests_in_flight", ())]) == (0, 0)
    assert service.metrics.registry is not make_service(photo_bundle).metrics.registry


def test_tags_are_counted_by_outcome() -> None:
    """Flagged ones are those that could be read and should be checked."""
    metrics = Metrics()
    tags = [Tag((("Bag", 0.9),), False, ""), Tag((("Bag", 0.2),), True, "low_confidence"), not_recognised()]
    metrics.count_tags([*tags, failed(Failed("truncated", ""))], 1, 10)
    value = metrics.registry.get_sample_value
    assert [value("fmtag_photos_total", {"outcome": outcome}) for outcome in ("tagged", "flagged", "failed")] == [1, 2, 1]
    assert value("fmtag_reasons_total", {"reason": "not_recognised"}) == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_request_is_a_line(as_json: bool) -> None:
    """Its path is escaped, so that no terminal acts on it and no line is forged."""
    file = StringIO()
    log = ServiceLog(as_json, file=file)
    log.request("GET", "/\x1b[2J\n/x\u202e", 404, 0.12345, "127.0.0.1", None)
    log.request("POST", "/v1/tags", 200, 1, "::1", 1)
    first, second = file.getvalue().splitlines()
    assert not {"\x1b", "\u202e"} & set(first)
    if as_json:
        found = json.loads(second)
        assert found.pop("time")
        assert (found["event"], found["path"], found["status"], found["photos"]) == ("request", "/v1/tags", 200, 1)
    else:
        assert (first, second) == (r"127.0.0.1 GET /\x1b[2J\n/x\u202e 404 0.123 s", "::1 POST /v1/tags 200 1 photo 1.000 s")


def test_a_quiet_log_tells_failures_of_the_server_alone() -> None:
    """Neither requests that were answered nor photos that could not be read."""
    file = StringIO()
    log = ServiceLog(quiet=True, file=file)
    log.request("GET", "/", 404, 0, "-", None)
    log.failed("truncated", "a.jpg")
    log.request("GET", "/", 500, 0, "-", None)
    assert len(file.getvalue().splitlines()) == 1
