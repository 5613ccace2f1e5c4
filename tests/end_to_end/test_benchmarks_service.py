"""The benchmark of servers: what its clients send and count, the plain handlers that it compares with, and its report."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, write_photos
from starlette.testclient import TestClient

from benchmarks.speed import photo_sets, service, service_clients, service_naive
from benchmarks.speed.photo_sets import PhotoSet
from benchmarks.speed.service import Load
from tagger import Tagger

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def sent(handler: Handler, photos: Path, clients: int, requests: int) -> list[service_clients.Answer]:
    """Return the answers of a server that handles each connection by a function."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0, limit=1_000_000)
    async with server:
        port = server.sockets[0].getsockname()[1]
        made = [service_clients.photo_request(port, "/tag", file) for file in sorted(photos.iterdir())]
        return (await service_clients.send_all(port, made, clients, requests))[1]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the body of a request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    return await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))


def loaded(per_second: float, **more: Any) -> Load:
    """Return a load of so many photos per second."""
    values = {"p50": 0.02, "p99": 0.1, "processor_ms": 15.0, "client_ms": 0.3, "errors": 0, "differing": 0, "statuses": {}}
    return Load(per_second=per_second, **(values | more))


# Clients -----------------------------------------------------------------------------------------------------------


def test_clients_send_all_photos_at_once_over_connections_that_are_kept(tmp_path: Path) -> None:
    """So many clients are connected at once, each with one connection, and all requests are answered, each a whole photo."""
    photos = write_photos(tmp_path / "photos", 3)
    bodies: list[bytes] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                bodies.append(await read_request(reader))
                writer.write(ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()

    answers = asyncio.run(sent(serve, photos, 4, 10))
    assert connections == 4
    assert [answer.status for answer in answers] == [200] * 10
    assert sorted(answer.name for answer in answers) == sorted(f"{number % 3:04d}.jpg" for number in range(10))
    assert all(any(file.read_bytes() in body for file in photos.iterdir()) for body in bodies)


def test_a_connection_that_is_closed_counts_as_an_error(tmp_path: Path) -> None:
    """A client whose connection is closed without an answer counts it, connects again and goes on."""
    photos = write_photos(tmp_path / "photos", 1)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        if connections > 1:
            writer.write(ANSWER.replace(b"200 OK", b"429 Full\r\nConnection: close"))
        writer.close()

    answers = asyncio.run(sent(serve, photos, 1, 3))
    assert [answer.status for answer in answers] == [0, 429, 429]
    assert connections == 3


# Servers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "async"])
def test_handlers_answer_the_tag_of_the_file(kind: str) -> None:
    """A plain handler answers what the library says of the same file."""
    photo = ROOT / "examples" / "catalog" / "pantalones" / "photo 0100.jpg"
    with TestClient(service_naive.create_app(kind)) as client:
        answer = client.post("/tag", files={"files": (photo.name, photo.read_bytes(), "image/jpeg")})
    assert answer.json() == service_naive.answer_of(next(Tagger().tag([photo])))


# Report ------------------------------------------------------------------------------------------------------------


def test_answers_are_counted_against_the_rows_of_a_run() -> None:
    """Refusals and timeouts are errors, another tag or confidence a row that differs, in either form of an answer."""
    rows = {"a.jpg": ("Coat", 0.9), "b.jpg": ("Bag", 0.8)}
    own = json.dumps({"rows": [{"tag": "Coat", "confidence": 0.9}]})
    answers = [
        ("a.jpg", 0.1, 200, own),
        ("b.jpg", 0.2, 200, json.dumps({"tag": "Bag", "confidence": 0.8001})),
        ("b.jpg", 0.3, 429, ""),
        ("a.jpg", 60.0, 0, ""),
    ]
    found = service.summarize({"seconds": 2.0, "processor_seconds": 0.004, "answers": answers}, 0.4, rows)
    assert (found.errors, found.differing, found.per_second) == (2, 1, 1.0)
    assert (found.p50, found.p99) == (0.3, 60.0)
    assert (found.processor_ms, found.client_ms) == (100, 1)
    assert found.statuses == {"200": 2, "429": 1, "0": 1}


def test_ratios_are_of_the_same_round() -> None:
    """The report has a row for each number of clients and server; ratios are medians of those of each round."""
    found = {
        "fmtag": [{16: loaded(100)}, {16: loaded(50)}, {16: loaded(120)}],
        "async": [{16: loaded(50)}, {16: loaded(25, errors=3)}, {16: loaded(40)}],
    }
    lines, values = service.report(found, {16: 480})
    assert [(row["clients"], row["server"], row["ratio"], row["errors"]) for row in values] == [
        (16, "fmtag", 1, 0),
        (16, "async", 2, 3),
    ]
    assert "2.00 (2.00-3.00)" in "\n".join(lines)


@pytest.mark.slow
def test_servers_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command starts each server, loads it and stops it; all answers are those of `fmtag run`, and none is an error."""
    monkeypatch.setattr(photo_sets, "SETS", {"1600-jpg": PhotoSet(400, "jpg", 6)})
    monkeypatch.setattr(photo_sets, "choose_quality", lambda files: 85)
    photo_sets.make_sets(write_photos(tmp_path / "photos", 2), tmp_path / "sets")
    options = ["--sets", tmp_path / "sets", "--environments", tmp_path, "--out", tmp_path, "--runs", "1", "--share", "0.02"]
    command = [sys.executable, "-m", "benchmarks.speed.service", *options, "--servers", "fmtag", "threads", "async"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "speed_service.json").read_text())["rows"]
    assert [row["clients"] for row in rows] == [number for number in service.LEVELS for _ in range(3)]
    assert {(row["errors"], row["differing"]) for row in rows} == {(0, 0)}
    assert min(row["per_second"] for row in rows) > 0
