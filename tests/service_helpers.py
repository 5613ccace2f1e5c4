"""What the tests of the service share: an application of a small bundle, requests piece by piece, a server of its own."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from helpers import ROOT, draw_photo
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from tagger.inference.tagger import Tagger
from tagger.web.fetching import Fetcher
from tagger.web.guard import local_hosts
from tagger.web.monitoring import ServiceLog
from tagger.web.service import Service, ServiceSettings, create_service

TOKEN = "the-token-of-the-tests"

BASE = "http://127.0.0.1:8000"


class Answer(NamedTuple):
    """The answer to a request that was sent piece by piece."""

    status: int
    headers: dict[str, str]
    body: bytes
    taken: int
    """Pieces of the body that the application took."""

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        return found


def make_service(bundle: Path | Tagger, fetcher: Fetcher | None = None, log: ServiceLog | None = None, **more: Any) -> Service:
    """Return the service of a bundle, at the loopback unless its `hosts` are others, with the settings `more`."""
    settings = ServiceSettings(**{"hosts": local_hosts("127.0.0.1"), **more})
    tagger = bundle if isinstance(bundle, Tagger) else Tagger(bundle, device="cpu")
    return create_service(tagger, settings, log or ServiceLog(quiet=True), fetcher)


@contextmanager
def client_of(service: Service) -> Iterator[TestClient]:
    """Yield a client of a service that runs meanwhile."""
    with TestClient(service.app, base_url=BASE) as client:
        yield client


def jpeg(seed: int, size: tuple[int, int] = (90, 120)) -> bytes:
    """Return a photo as the bytes of a file, another one for each seed."""
    file = BytesIO()
    draw_photo(seed, size).save(file, "JPEG")
    return file.getvalue()


def form(*photos: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Return photos as httpx takes the files of a form."""
    return [("files", photo) for photo in photos]


def form_body(*photos: tuple[str, bytes]) -> bytes:
    """Return the body of a form with the boundary `x`, written by hand, so that names are sent as they are."""
    head = 'Content-Disposition: form-data; name="files"; filename="{}"\r\n\r\n'
    parts = [b"--x\r\n" + head.format(name).encode("utf-8", "surrogateescape") + content + b"\r\n" for name, content in photos]
    return b"".join([*parts, b"--x--\r\n"])


FORM_HEADERS = {"content-type": "multipart/form-data; boundary=x"}


def send(
    app: ASGIApp,
    pieces: Iterable[bytes],
    headers: dict[str, str] = FORM_HEADERS,
    pause: Callable[[int], float] = lambda number: 0.0,
) -> Answer:
    """Send POST /v1/tags piece by piece, with a pause before each, straight to an application, and return its answer."""

    async def run() -> Answer:
        messages: list[Message] = []
        waiting, taken = iter(pieces), 0

        async def receive() -> Message:
            nonlocal taken
            await asyncio.sleep(pause(taken))
            piece = next(waiting, None)
            taken += piece is not None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

        async def sending(message: Message) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/tags",
            "raw_path": b"/v1/tags",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8000),
            "headers": [(b"host", b"127.0.0.1:8000"), *((key.encode(), value.encode()) for key, value in headers.items())],
        }
        await app(scope, receive, sending)
        start, *rest = messages
        found = {key.decode(): value.decode() for key, value in start["headers"]}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in rest), taken)

    return asyncio.run(run())


@contextmanager
def server(bundle: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `fmtag serve` on a free port in a process of its own; yield it and its address. It is ended with the block."""
    command = [sys.executable, "-m", "tagger", "serve", "--port", "0", "--model", str(bundle), "--device", "cpu", *options]
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://[^;\s\"]+", line)
            assert found is not None, line
            yield process, found[0]
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)


def paths_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the column `path` of rows."""
    return [row["path"] for row in rows]
