"""Serve objects like S3 does, on this machine, with the latency and the faults that a benchmark or a test wants.

    python -m benchmarks.speed.s3_server [--folder FOLDER | --synthetic N] [--port 0] [--bucket photos] [--latency-ms 0]

Prints its port. One process, one thread, no framework: it shares the processors with what is measured. Addresses have the
path style, signatures are not checked, and what is written stays in memory. `POST /-/faults` takes a rule (`Fault`) as JSON and
`DELETE` removes all; `GET /-/requests` returns counts of requests and bytes, `GET /-/log` the last requests, which `DELETE`
resets; `POST /-/latency` sets the milliseconds. `serving` starts it for a block.
"""

import argparse
import asyncio
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from time import gmtime, strftime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from benchmarks.speed.s3_faults import STATUSES, Fault, Faults
from benchmarks.speed.s3_objects import Objects, Stored

ROOT = Path(__file__).resolve().parents[2]

BUCKET = "photos"

LOGGED = 100_000
"""Requests that the log has at most."""

PHRASES = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

SLOW_STEP_S = 0.02
"""Between two pieces of a body that is sent slowly."""


class Request(NamedTuple):
    """A request whose body has come."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    """Names in lower case."""
    body: bytes

    @property
    def kind(self) -> str:
        """The method, or LIST."""
        return "LIST" if self.method == "GET" and not self.key and self.bucket != "-" else self.method

    @property
    def subject(self) -> str:
        """The key, or the prefix of a listing."""
        return self.key or self.query.get("prefix", "")


class Response(NamedTuple):
    """An answer."""

    status: int
    headers: str = ""
    """Lines, each with its end."""
    body: bytes = b""
    length: int | None = None
    """That is announced, where it is not that of the body."""

    def head(self) -> bytes:
        """Return the head as it is sent."""
        length = len(self.body) if self.length is None else self.length
        return (
            f"HTTP/1.1 {self.status} {PHRASES[self.status]}\r\n{self.headers}Content-Length: {length}\r\nServer: s3\r\n\r\n"
        ).encode()


def failure(code: str, head: bool = False) -> Response:
    """Return the answer of an error of S3."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
    return Response(STATUSES.get(code, 400), "Content-Type: application/xml\r\n", b"" if head else body)


class Bucket:
    """The one bucket: answers requests from its objects."""

    def __init__(self, name: str, objects: Objects, latency_ms: float = 0.0) -> None:
        """Take the name that it has in addresses, its objects, and the latency of each request."""
        self.name, self.objects = name, objects
        self.latency_s = latency_ms / 1000
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.log: deque[tuple[str, str, int]] = deque(maxlen=LOGGED)

    def answer(self, request: Request) -> Response:
        """Return the answer to a request of S3."""
        if request.bucket != self.name:
            return failure("NoSuchBucket", request.method == "HEAD")
        if not request.key:
            if request.method == "HEAD":
                return Response(200, "x-amz-bucket-region: us-east-1\r\n")
            return self._list(request.query) if request.method == "GET" else self._delete_several(request)
        if request.method in ("GET", "HEAD"):
            return self._get(request)
        if "uploadId" in request.query or "uploads" in request.query:
            return self._upload(request)
        if request.method == "DELETE":
            self.objects.delete(request.key)
            return Response(204)
        if refused := self._refused(request):
            return refused
        return Response(200, f'ETag: "{self.objects.put(request.key, request.body).etag}"\r\n')

    def control(self, request: Request) -> Response:
        """Return the answer to a request about the server itself."""
        if request.key == "faults" and request.method == "POST":
            self.faults.rules.append(Fault(**json.loads(request.body)))
        elif request.key == "faults":
            self.faults.rules.clear()
        elif request.key == "latency":
            self.latency_s = json.loads(request.body) / 1000
        elif request.method == "DELETE":
            self.counts.clear(), self.log.clear()
        else:
            return Response(200, "", json.dumps([*self.log] if request.key == "log" else self.counts).encode())
        return Response(200)

    def _get(self, request: Request) -> Response:
        head = request.method == "HEAD"
        found = self.objects.get(request.key)
        if found is None:
            return failure("NoSuchKey", head)
        etag = f'"{found.etag}"'
        about = (
            f"ETag: {etag}\r\nLast-Modified: {formatdate(found.modified, usegmt=True)}\r\n"
            "Accept-Ranges: bytes\r\nContent-Type: binary/octet-stream\r\n"
        )
        if not _matches(request.headers.get(b"if-match"), etag, absent=True):
            return failure("PreconditionFailed", head)
        if _matches(request.headers.get(b"if-none-match"), etag, absent=False):
            return Response(304, about)
        start, end = 0, found.size
        if wanted := re.fullmatch(rb"bytes=(\d*)-(\d*)", request.headers.get(b"range", b"")):
            start, end = _range(wanted[1], wanted[2], found.size)
            if start >= end:
                return Response(416, f"Content-Range: bytes */{found.size}\r\n")
            about += f"Content-Range: bytes {start}-{end - 1}/{found.size}\r\n"
        status = 206 if wanted else 200
        if head:
            return Response(status, about, length=end - start)
        content = found.read()
        return Response(status, about, content[start:end] if wanted else content)

    def _refused(self, request: Request) -> Response | None:
        """Return the answer to a write whose condition does not hold."""
        found = self.objects.get(request.key)
        if request.headers.get(b"if-none-match") == b"*" and found:
            return failure("PreconditionFailed")
        if (match := request.headers.get(b"if-match")) is None:
            return None
        if found is None:
            return failure("NoSuchKey")
        return None if _matches(match, f'"{found.etag}"', absent=True) else failure("PreconditionFailed")

    def _upload(self, request: Request) -> Response:
        """Answer what belongs to an upload in parts."""
        upload = request.query.get("uploadId", "")
        if "uploads" in request.query:
            begun = f"<UploadId>{self.objects.begin_upload()}</UploadId>"
            names = f"<Bucket>{self.name}</Bucket><Key>{escape(request.key)}</Key>"
            return _xml(f"<InitiateMultipartUploadResult>{names}{begun}</InitiateMultipartUploadResult>")
        if request.method == "PUT":
            etag = self.objects.put_part(upload, int(request.query["partNumber"]), request.body)
            return Response(200, f'ETag: "{etag}"\r\n') if etag else failure("NoSuchUpload")
        if request.method == "DELETE":
            return Response(204) if self.objects.abort(upload) else failure("NoSuchUpload")
        if refused := self._refused(request):
            return refused
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", request.body)]
        stored = self.objects.complete(upload, request.key, numbers)
        if stored is None:
            return failure("InvalidPart")
        names = f"<Bucket>{self.name}</Bucket><Key>{escape(request.key)}</Key>"
        return _xml(f'<CompleteMultipartUploadResult>{names}<ETag>"{stored.etag}"</ETag></CompleteMultipartUploadResult>')

    def _delete_several(self, request: Request) -> Response:
        """Answer `POST /bucket?delete`."""
        for key in re.findall(r"<Key>(.*?)</Key>", request.body.decode()):
            self.objects.delete(key.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        return _xml("<DeleteResult></DeleteResult>")

    def _list(self, query: Mapping[str, str]) -> Response:
        """Answer ListObjectsV2, and GetBucketLocation."""
        if "location" in query:
            return _xml("<LocationConstraint></LocationConstraint>")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = min(1000, int(query.get("max-keys", "1000")))
        page = self.objects.listed(prefix, delimiter, query.get("start-after", ""), query.get("continuation-token", ""), most)
        encoded = query.get("encoding-type") == "url"
        shown = quote if encoded else escape
        lines = [f"<Name>{self.name}</Name><Prefix>{shown(prefix)}</Prefix><MaxKeys>{most}</MaxKeys>"]
        lines.append("<EncodingType>url</EncodingType>" if encoded else "")
        lines.append(f"<KeyCount>{len(page.objects) + len(page.prefixes)}</KeyCount>")
        lines.append(f"<IsTruncated>{'true' if page.token else 'false'}</IsTruncated>")
        lines.append(f"<NextContinuationToken>{page.token}</NextContinuationToken>" if page.token else "")
        lines += [_entry(shown(key), stored) for key, stored in page.objects]
        lines += [f"<CommonPrefixes><Prefix>{shown(one)}</Prefix></CommonPrefixes>" for one in page.prefixes]
        name = "ListBucketResult"
        return _xml(f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(lines)}</{name}>')


def _entry(key: str, stored: Stored) -> str:
    """Return an object of a listing."""
    modified = strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(stored.modified))
    return (
        f'<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>"{stored.etag}"</ETag>'
        f"<Size>{stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _xml(text: str) -> Response:
    return Response(
        200,
        "Content-Type: application/xml\r\n",
        f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode("utf-8", "surrogatepass"),
    )


def _matches(condition: bytes | None, etag: str, absent: bool) -> bool:
    """Return whether an If-Match or If-None-Match names an ETag; `absent` where there is no condition."""
    if condition is None:
        return absent
    return condition == b"*" or etag.strip('"') in {one.strip().strip('"') for one in condition.decode().split(",")}


def _range(first: bytes, last: bytes, size: int) -> tuple[int, int]:
    """Return where a range of bytes begins and ends, the end not included."""
    if not first:
        return max(0, size - int(last or 0)), size
    return int(first), min(size, int(last) + 1) if last else size


class Connection(asyncio.Protocol):
    """A connection, whose requests are answered one after the other."""

    def __init__(self, bucket: Bucket) -> None:
        """Take the bucket that answers."""
        self._bucket = bucket
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()
        self._busy = False
        self._transport: Any = None
        self._promised = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        self._received += data
        self._next()

    def _next(self) -> None:
        """Answer the next request, where the one before is answered and all of it has come."""
        if self._busy or (end := self._received.find(b"\r\n\r\n")) < 0:
            return
        start, *lines = bytes(self._received[:end]).split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        taken = _body(self._received, end + 4, headers)
        if taken is None:
            if headers.get(b"expect", b"").lower() == b"100-continue" and not self._promised:
                self._promised = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, used = taken
        del self._received[:used]
        self._busy, self._promised = True, False
        request = _parsed(start, headers, body)
        latency = 0.0 if request.bucket == "-" else self._bucket.latency_s
        if latency:
            self._loop.call_later(latency, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        """Send the answer to a request, or what a fault makes of it."""
        if self._transport.is_closing():
            return
        bucket = self._bucket
        if request.bucket == "-":
            self._send(bucket.control(request))
            return
        fault = bucket.faults.find(request.kind, request.subject)
        if fault and fault.kind == "error":
            response = failure(fault.code, request.method == "HEAD")
        elif fault and fault.kind == "reset":
            response = Response(500)
        else:
            response = bucket.answer(request)
        bucket.counts[request.kind.lower()] += 1
        bucket.counts["received_bytes"] += len(request.body)
        bucket.counts["sent_bytes"] += len(response.body)
        bucket.log.append((request.kind, request.subject, response.status))
        if fault is None or fault.kind == "error":
            self._send(response)
        elif fault.kind == "reset":
            self._reset()
        elif fault.kind == "slow":
            self._transport.write(response.head())
            self._send_slowly(response.body, max(1, int(fault.bytes_per_second * SLOW_STEP_S)))
        else:
            self._transport.writelines((response.head(), response.body[: len(response.body) // 2]))
            if fault.kind == "short":
                self._transport.close()
            else:  # what was sent has to be on its way, as a reset throws away what is not
                self._loop.call_later(0.02, self._reset)

    def _send(self, response: Response) -> None:
        self._transport.write(response.head())
        if response.body:
            self._transport.write(response.body)
        self._done()

    def _done(self) -> None:
        self._busy = False
        if self._received:
            self._next()

    def _send_slowly(self, rest: bytes, step: int) -> None:
        self._transport.write(rest[:step])
        if len(rest) > step and not self._transport.is_closing():
            self._loop.call_later(SLOW_STEP_S, self._send_slowly, rest[step:], step)
        else:
            self._done()

    def _reset(self) -> None:
        """Reset the connection: closed without lingering, it sends RST in place of FIN."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _parsed(start: bytes, headers: dict[bytes, bytes], body: bytes) -> Request:
    """Return the request of a first line, headers and body."""
    method, target, _ = start.decode("latin-1").split(" ", 2)
    path, _, query = target.partition("?")
    bucket, _, key = path.lstrip("/").partition("/")
    return Request(method, bucket, unquote(key), dict(parse_qsl(query, keep_blank_values=True)) if query else {}, headers, body)


def _body(received: bytearray, start: int, headers: Mapping[bytes, bytes]) -> tuple[bytes, int] | None:
    """Return the body of a request and where it ends; None where not all of it has come."""
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        taken = _chunks(received, start)
        if taken is None:
            return None
        body, end = taken
    else:
        end = start + int(headers.get(b"content-length", 0))
        if len(received) < end:
            return None
        body = bytes(received[start:end])
    if b"aws-chunked" in headers.get(b"content-encoding", b""):
        inner = _chunks(bytearray(body), 0)
        body = inner[0] if inner else body
    return body, end


def _chunks(received: bytearray, at: int) -> tuple[bytes, int] | None:
    """Return a body that is sent in chunks, and where it ends behind its trailers; None where not all of it has come."""
    parts = []
    while (line := received.find(b"\r\n", at)) >= 0:
        size = int(received[at:line].partition(b";")[0], 16)
        if size == 0:
            end = received.find(b"\r\n\r\n", line)
            return None if end < 0 else (b"".join(parts), end + 4)
        parts.append(bytes(received[line + 2 : line + 2 + size]))
        at = line + 2 + size + 2
        if at > len(received):
            return None
    return None


async def serve(bucket: Bucket, port: int) -> None:
    """Serve until the process is told to end; prints the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(bucket), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    endpoint: str
    bucket: str
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Address of the bucket."""
        return f"s3://{self.bucket}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which clients of S3 find the server, and no other configuration."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def fault(self, kind: str, **rule: Any) -> None:
        """Make requests fail; the rule is that of `Fault`."""
        self._call("POST", "/-/faults", json.dumps({"kind": kind} | rule).encode())

    def clear_faults(self) -> None:
        """Remove all rules."""
        self._call("DELETE", "/-/faults")

    def latency(self, milliseconds: float) -> None:
        """Set the latency of each request from now on."""
        self._call("POST", "/-/latency", json.dumps(milliseconds).encode())

    def requests(self) -> dict[str, int]:
        """Return the requests since the last reset as `list`, `head`, `get`, `put`, ..., and `sent_bytes`, `received_bytes`."""
        return Counter(json.loads(self._call("GET", "/-/requests")))

    def log(self) -> list[tuple[str, str, int]]:
        """Return kind, key and status of the last requests."""
        return [tuple(one) for one in json.loads(self._call("GET", "/-/log"))]

    def reset(self) -> None:
        """Forget the requests so far."""
        self._call("DELETE", "/-/requests")

    def begin_anew(self) -> None:
        """Remove all objects, rules, latency and counts; the bucket has a thousand objects at most."""
        self.clear_faults()
        self.latency(0)
        for key in self.listed():
            self.delete(key)
        self.reset()

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._call("PUT", f"/{self.bucket}/{quote(key)}", content)

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        return self._call("GET", f"/{self.bucket}/{quote(key)}")

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("DELETE", f"/{self.bucket}/{quote(key)}")

    def listed(self, prefix: str = "") -> list[str]:
        """Return the first thousand keys that begin with `prefix`."""
        listed = self._call("GET", f"/{self.bucket}?list-type=2&encoding-type=url&prefix={quote(prefix)}").decode()
        return [unquote(key) for key in re.findall("<Key>(.*?)</Key>", listed)]

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.endpoint + path, body, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return bytes(answer.read())


@contextmanager
def serving(
    folder: Path | None = None,
    objects: Mapping[str, bytes] | None = None,
    synthetic: int = 0,
    latency_ms: float = 0.0,
    bucket: str = BUCKET,
    cores: Sequence[int] | None = None,
) -> Iterator[Server]:
    """Run the server as a process of its own while the block lasts.

    Args:
        folder: whose files are objects at the start; None for none.
        objects: that are written before the block begins, by key.
        synthetic: number of objects that are made when they are read.
        latency_ms: of each request, in milliseconds.
        bucket: name of the one bucket.
        cores: that the server may use; None for all.
    """
    command = [sys.executable, "-m", "benchmarks.speed.s3_server", "--port", "0", "--bucket", bucket]
    command += ["--synthetic", str(synthetic), "--latency-ms", str(latency_ms)]
    command += ["--folder", str(folder.resolve())] if folder else []
    command = ["taskset", "-c", ",".join(map(str, cores)), *command] if cores else command
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise SystemExit("the S3 stand-in did not start; its message is above")
        server = Server(f"http://127.0.0.1:{int(line)}", bucket, process)
        for key, content in (objects or {}).items():
            server.put(key, content)
        server.reset()
        yield server
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="whose files are the objects")
    parser.add_argument("--synthetic", type=int, default=0, help="number of objects that are made when they are read")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", default=BUCKET)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of each request")
    parser.add_argument("--faults", type=json.loads, default=[], help="rules as a JSON list")
    given = parser.parse_args()
    bucket = Bucket(given.bucket, Objects(given.folder, given.synthetic), given.latency_ms)
    bucket.faults.rules += [Fault(**rule) for rule in given.faults]
    asyncio.run(serve(bucket, given.port))


if __name__ == "__main__":
    main()
