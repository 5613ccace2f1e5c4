"""Photos that are sent get the rows that `fmtag run` writes; requests that must be refused are."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, run_cli
from service_helpers import BASE, TOKEN, client_of, form, form_body, jpeg, make_service, paths_of
from starlette.testclient import TestClient

from tagger.catalog.rows import format_json
from tagger.photos.settings import DecodeSettings
from tagger.web.limits import ServiceLimits
from tagger.web.tokens import Tokens

EXAMPLES = ROOT / "examples" / "catalog"

HTML = '<script>alert("1")</script>.jpg'


@pytest.fixture(scope="module")
def client(photo_bundle: Path) -> Any:
    """A client of a service without tokens."""
    with client_of(make_service(photo_bundle)) as opened:
        yield opened


@pytest.fixture(scope="module")
def private(photo_bundle: Path) -> Any:
    """A client, without the token, of a service that needs one."""
    with client_of(make_service(photo_bundle, tokens=Tokens([TOKEN]))) as opened:
        yield opened


def run_document(tmp_path: Path, bundle: Path, source: Path, *options: str) -> dict[str, Any]:
    """Return what `fmtag run` writes as JSON."""
    out = tmp_path / "tags.json"
    run_cli("run", source, "--out", out, "--model", bundle, "--device", "cpu", *options)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("bundle", [pytest.param("photo_bundle", marks=pytest.mark.slow), "fused_bundle"])
def test_rows_are_those_of_a_run(tmp_path: Path, request: pytest.FixtureRequest, bundle: str) -> None:
    """The examples, broken ones too, in one request: the very document, with three tags each, whatever the threshold."""
    folder: Path = request.getfixturevalue(bundle)
    expected = run_document(tmp_path, folder, EXAMPLES, "--top-k", "3", "--min-confidence", "0.7")
    photos = form(*((path, (EXAMPLES / path).read_bytes()) for path in paths_of(expected["rows"])))
    with client_of(make_service(folder)) as client:
        answer = client.post("/v1/tags", files=photos, params={"top_k": 3, "min_confidence": 0.7})
    assert answer.status_code == 200
    assert len(expected["rows"]) == 32
    assert format_json(answer.json()) == format_json(expected)


def test_copies_name_the_first_photo_with_their_bytes(client: TestClient, photo_bundle: Path, tmp_path: Path) -> None:
    """As in a run, also those of a file that cannot be read."""
    photos = {"a.jpg": jpeg(1), "b.jpg": jpeg(1), "c.jpg": jpeg(2), "d.jpg": b"broken", "e.jpg": b"broken"}
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, content in photos.items():
        (folder / name).write_bytes(content)
    expected = run_document(tmp_path, photo_bundle, folder)
    rows = client.post("/v1/tags", files=form(*photos.items())).json()["rows"]
    assert rows == expected["rows"]
    assert [row["duplicate_of"] for row in rows][:3] == ["", "a.jpg", ""]


def test_requests_at_once_each_get_their_own_rows(client: TestClient) -> None:
    """Forty photos in as many requests at once: each answer has the tag that its photo has alone."""
    photos = [jpeg(seed) for seed in range(10)]
    alone = [client.post("/v1/tags", files=form(("x", photo)), params={"top_k": 10}).json()["rows"][0] for photo in photos]
    assert len({format_json(row) for row in alone}) == len(photos)

    def ask(number: int) -> dict[str, Any]:
        files = form((f"{number}.jpg", photos[number % 10]))
        row: dict[str, Any] = client.post("/v1/tags", files=files, params={"top_k": 10}).json()["rows"][0]
        return row

    with ThreadPoolExecutor(20) as threads:
        rows = list(threads.map(ask, range(40)))
    assert rows == [{**alone[number % 10], "path": f"{number}.jpg"} for number in range(40)]


def test_a_decompression_bomb_is_a_row(photo_bundle: Path) -> None:
    """A small file of many pixels is refused by its header: `too_large`, with status 200, as in a run."""
    bomb = bytearray(jpeg(1))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = (60_000).to_bytes(2, "big") * 2
    with client_of(make_service(photo_bundle, decoding=DecodeSettings(max_pixels=1_000_000))) as client:
        rows = client.post("/v1/tags", files=form(("bomb.jpg", bytes(bomb)), ("a.jpg", jpeg(1)))).json()["rows"]
    assert [row["reason"] == "too_large" for row in rows] == [True, False]
    assert rows[0]["tag"] == ""


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..%2f..%2fx",
        "a\\..\\b",
        "\x1b[31mred",
        HTML,
        "",
        "ナイキ.jpg",
        "\u202egpj.exe",
        "\x9bA",
    ],
)
def test_names_are_text(client: TestClient, name: str) -> None:
    """A name comes back as it was sent and opens nothing; the answer holds no character that a terminal acts on."""
    answer = send_to(client, form_body((name, jpeg(3))))
    row = json.loads(answer)["rows"][0]
    assert (row["path"], bool(row["tag"])) == (name, True)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", answer.decode())


def test_a_name_that_is_not_utf8_is_kept(client: TestClient) -> None:
    """As a run writes it: with the bytes that are not UTF-8 as lone surrogates."""
    assert json.loads(send_to(client, form_body(("caf\udce9.jpg", jpeg(3)))))["rows"][0]["path"] == "caf\udce9.jpg"


def send_to(client: TestClient, body: bytes) -> bytes:
    """Send a form written by hand and return the answer's bytes."""
    answer = client.post("/v1/tags", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200
    return answer.content


def test_what_the_networks_saw_comes_if_it_is_wanted(fused_bundle: Path) -> None:
    """For each photo its pictures, none for one that cannot be read; the rows are the same."""
    files = form(("a.jpg", jpeg(1)), ("b.jpg", b"broken"))
    with client_of(make_service(fused_bundle)) as client:
        plain, seen = (client.post("/v1/tags", files=files, params={"seen": wanted}).json() for wanted in (False, True))
    assert seen.pop("seen")[1] == []
    assert seen == plain


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/tags"), ("GET", "/metrics")])
def test_a_missing_or_wrong_token_is_refused(private: TestClient, headers: dict[str, str], method: str, path: str) -> None:
    """With the scheme to use; nothing is read of the photos."""
    answer = private.request(method, path, headers=headers, files=form(("a.jpg", jpeg(1))))
    assert answer.status_code == answer.json()["status"] == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_opens(private: TestClient) -> None:
    """So do health checks and pages without it, as they tell nothing."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert private.post("/v1/tags", headers=headers, files=form(("a.jpg", jpeg(1)))).status_code == 200
    assert private.get("/metrics", headers=headers).status_code == 200
    assert {private.get(path).status_code for path in ("/", "/docs", "/openapi.json", "/health/live", "/health/ready")} == {200}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"host": "rebound.example"}, 421), ({"origin": "http://evil.example"}, 403), ({"sec-fetch-site": "cross-site"}, 403)],
)
def test_other_hosts_and_origins_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    """DNS rebinding, and pages of other sites: with a problem document."""
    answer = client.post("/v1/tags", headers=headers, files=form(("a.jpg", jpeg(1))))
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("value", ["top_k=0", "top_k=x", "min_confidence=1.1", "min_confidence=nan", "seen=perhaps"])
def test_wrong_parameters_are_refused(client: TestClient, value: str) -> None:
    """By name, as a problem."""
    answer = client.post(f"/v1/tags?{value}", files=form(("a.jpg", jpeg(1))))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(value.partition("=")[0])


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"content-type": "application/json"}, {}])
def test_other_bodies_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    """JSON too, as this service fetches no addresses."""
    assert client.post("/v1/tags", headers=headers, content=b'{"addresses": ["https://a.example/1.jpg"]}').status_code == 415


def test_an_encoded_body_is_refused(client: TestClient) -> None:
    """It would be a way around the limits of bytes."""
    headers = {"content-type": "multipart/form-data; boundary=x", "content-encoding": "gzip"}
    assert client.post("/v1/tags", headers=headers, content=b"").status_code == 415


def test_the_rate_is_limited(photo_bundle: Path) -> None:
    """The third request in a minute is told when to come again; health checks are not counted."""
    with client_of(make_service(photo_bundle, limits=ServiceLimits(rate=2))) as client:
        answers = [client.post("/v1/tags", files=form(("a.jpg", jpeg(1)))) for _ in range(3)]
        assert client.get("/health/live").status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_unknown_paths_and_methods_are_problems(client: TestClient) -> None:
    """As all errors are."""
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.get("/v1/tags"), 405),
        (client.get("/static/../service.py"), 404),
    ):
        assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_a_failure_of_the_server_tells_nothing(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no code foresees is a problem document without its details."""
    service = make_service(photo_bundle)
    monkeypatch.setattr("tagger.web.service.decide_results", lambda *given: 1 / 0)
    with TestClient(service.app, base_url=BASE, raise_server_exceptions=False) as client:
        answer = client.post("/v1/tags", files=form(("a.jpg", jpeg(1))))
    assert answer.status_code == 500
    assert "division" not in answer.text
