"""Photos come over TLS only with a certificate of the host's name, although the connection is to an address."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tagger.records import Failed
from tagger.web.fetching import Fetcher

HOST = "cdn.shop.example"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates")


def certificate(folder: Path, name: str) -> Path:
    """Make a certificate of a name, and return the file with it and its key."""
    file = folder / f"{name}.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name}".split()
    more = ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run([*command, *more], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


def fetched(served: Path, trusted: Path | None) -> bytes | Failed:
    """Fetch a photo of `HOST` from a server with a certificate; certificates in `trusted` are believed, else the system's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nphoto")
        await writer.drain()
        writer.close()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def run() -> bytes | Failed:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(served)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own)
        async with server:
            host = f"{HOST}:{server.sockets[0].getsockname()[1]}"
            tls = None if trusted is None else ssl.create_default_context(cafile=str(trusted))
            found = await Fetcher([host], 99, resolve=resolve, permitted=lambda address: True, tls=tls).fetch(
                f"https://{host}/a"
            )
            await asyncio.sleep(0.05)  # for the server to see the end of the connection
            return found

    return asyncio.run(run())


def test_the_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    """One of another name is refused, believed or not; so is one without a known issuer."""
    own, other = certificate(tmp_path, HOST), certificate(tmp_path, "evil.example")
    assert fetched(own, own) == b"photo"
    for served, trusted in ((other, other), (own, other), (own, None)):
        found = fetched(served, trusted)
        assert isinstance(found, Failed)
        assert (found.reason, "certificate" in found.detail.lower()) == ("unreadable", True)
