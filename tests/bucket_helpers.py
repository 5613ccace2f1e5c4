"""Shared by the tests of outputs in buckets: an S3 server in this process, and what is in its bucket."""

import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

REGION = "us-east-1"


class Fault(NamedTuple):
    """How the server answers the requests of a method, such as `PUT`, or of all, whose path has an ending."""

    method: str
    status: str
    code: str
    ending: str = ""


class Bucket(NamedTuple):
    """A bucket on a server of S3's requests."""

    client: Any
    endpoint: str
    faults: list[Fault]
    """May be changed at any time."""
    name: str = "shop"

    def address(self, key: str) -> str:
        """Return the address of an object."""
        return f"s3://{self.name}/{key}"

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self) -> list[str]:
        """Return the keys of all objects, in their order."""
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def variables(self, cache: Path) -> dict[str, str]:
        """Return the environment that fmtag reaches the bucket with; working copies of ledgers lie in `cache`."""
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
        no_files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return credentials | no_files | {"AWS_ENDPOINT_URL": self.endpoint, "XDG_CACHE_HOME": str(cache)}

    def has(self, key: str) -> bool:
        """Return whether there is an object."""
        return key in self.keys()

    def begin_anew(self) -> None:
        """Remove everything from the server, and make the bucket."""
        self.faults.clear()
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()
        self.client.create_bucket(Bucket=self.name)


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    """Serve a bucket by moto, which keeps S3's rules, in a thread of this process."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    faults: list[Fault] = []
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )
        server._server.app = _with_faults(server._server.app, faults)  # type: ignore[union-attr]
        yield Bucket(client, endpoint, faults)
    finally:
        server.stop()


def _with_faults(application: Callable[..., Any], faults: list[Fault]) -> Callable[..., Any]:
    """Return the application of a server that answers with the first fault that fits, as S3 does: in XML, to HEAD without."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        method = environ["REQUEST_METHOD"]
        for fault in faults:
            if method.startswith(fault.method) and environ["PATH_INFO"].endswith(fault.ending):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                body = f"<Error><Code>{fault.code}</Code><Message>{fault.code} of the test</Message></Error>".encode()
                start_response(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
                return [] if method == "HEAD" else [body]
        return application(environ, start_response)

    return answer
