"""Send photos to a server from many clients at once, and print the latencies, the answers and what the clients cost as JSON.

    python -m benchmarks.speed.service_clients PORT PATH PHOTOS --clients 16 --requests 480

Run by `service`. A client sends one photo, waits for its answer and sends the next, each over a connection of its own that is
kept. Requests are made before the first one is sent, and answers are only read; so that the clients take little of the
processors that they share with the server.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BOUNDARY = "fmtag-benchmark"

FIELD = "files"
"""The form's field that holds the photo, at all servers."""

TIMEOUT_S = 60.0
"""Seconds after which an answer counts as an error."""


class Photo(NamedTuple):
    """A photo and the request that sends it."""

    name: str
    request: bytes


class Answer(NamedTuple):
    """What became of a request."""

    name: str
    seconds: float
    status: int
    """0 where no answer came: the connection was closed, or the time was up."""
    body: bytes


def photo_request(port: int, path: str, file: Path) -> Photo:
    """Return the request that sends a photo as a form."""
    content = file.read_bytes()
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{FIELD}"; filename="{file.name}"\r\n'
    body = f"{part}Content-Type: image/jpeg\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return Photo(file.name, head.encode() + body)


async def send_all(port: int, photos: list[Photo], clients: int, requests: int) -> tuple[float, list[Answer]]:
    """Return the seconds until the last of so many requests was answered, and all answers."""
    waiting = (photos[number % len(photos)] for number in range(requests))
    begun = time.perf_counter()
    answers = await asyncio.gather(*(_client(port, waiting) for _ in range(clients)))
    return time.perf_counter() - begun, [answer for one in answers for answer in one]


async def _client(port: int, waiting: Iterator[Photo]) -> list[Answer]:
    """Send photos one after another until none is left."""
    answers: list[Answer] = []
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for photo in waiting:
        begun = time.perf_counter()
        try:
            if connection is None:
                connection = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = connection
            writer.write(photo.request)
            status, body, kept = await asyncio.wait_for(_answer(reader), TIMEOUT_S)
        except (OSError, EOFError, asyncio.TimeoutError):  # EOFError: the server closed the connection
            status, body, kept = 0, b"", False
        answers.append(Answer(photo.name, time.perf_counter() - begun, status, body))
        if not kept and connection is not None:
            await _close(connection[1])
            connection = None
    if connection is not None:
        await _close(connection[1])
    return answers


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Return an answer's status and body, and whether the connection is kept."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), body, headers.get("connection") != "close"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def main() -> None:
    """Send the requests and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("photos", type=Path, help="flat folder of photos")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1)
    options = parser.parse_args()
    photos = [photo_request(options.port, options.path, file) for file in sorted(options.photos.iterdir())]
    started = time.process_time()
    seconds, answers = asyncio.run(send_all(options.port, photos, options.clients, options.requests))
    cost = time.process_time() - started
    found = [(answer.name, answer.seconds, answer.status, answer.body.decode(errors="replace")) for answer in answers]
    json.dump({"seconds": seconds, "processor_seconds": cost, "answers": found}, sys.stdout)


if __name__ == "__main__":
    main()
