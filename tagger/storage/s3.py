"""Make requests to Amazon S3, and to what speaks its protocol, through s3fs; attempts are repeated by `retries` alone."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from aiobotocore.session import AioSession
from botocore.loaders import Loader, create_loader
from s3fs import S3FileSystem

from tagger import __version__
from tagger.storage import settings
from tagger.storage.addresses import bucket_address
from tagger.storage.faults import Fault, fault_of
from tagger.storage.retries import attempt
from tagger.storage.running import LoopThread, run_request
from tagger.storage.states import state_of
from tagger.storage.stores import ListedObject, ObjectState, Page
from tagger.storage.traffic import Traffic

Answer = TypeVar("Answer")


def open_store(scheme: str) -> "S3Store":
    """Return the store, with the credentials and the endpoint of the environment."""
    for name in ("aiobotocore", "botocore", "s3fs"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is told by fmtag, without the ids of keys
    return S3Store()


class S3Store:
    """Requests to S3."""

    def __init__(self) -> None:
        config = {
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "connect_timeout": settings.CONNECT_SECONDS,
            "read_timeout": settings.READ_SECONDS,
            "max_pool_connections": settings.CONNECTIONS,
            "user_agent": f"fmtag/{__version__}",
            # Not every store that speaks the protocol knows the newer checksums; lengths are checked here.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        session = _session()
        self._thread = LoopThread()
        options = {"config_kwargs": config, "skip_instance_cache": True, "use_listings_cache": False, "session": session}
        options |= {"asynchronous": True, "loop": self._thread.loop}
        try:
            self._anonymous = run_request(self._thread.loop, session.get_credentials) is None
            self._files = S3FileSystem(anon=self._anonymous, **options)  # without credentials for public buckets
            # Requests that came at once would each make a client.
            self._client = run_request(self._thread.loop, self._files.set_session)
        except BaseException:
            self._thread.close()
            raise

    def page(self, folder: str, token: Any) -> Page:
        """Return up to a thousand objects; marks of folders, of no bytes, are left out."""
        _, bucket, prefix = bucket_address(folder)
        more = {"ContinuationToken": token} if token else {}
        answer = self._request(lambda s3: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more))
        objects = [
            ListedObject(one["Key"][len(prefix) :], one["Size"], state_of(one["ETag"], one["Size"]))
            for one in answer.get("Contents", ())
            if not (one["Key"].endswith("/") and not one["Size"])
        ]
        return objects, answer.get("NextContinuationToken") if answer.get("IsTruncated") else None

    def state(self, address: str) -> ObjectState:
        """Return size and entity tag of an object."""
        _, bucket, key = bucket_address(address)
        answer = self._request(lambda s3: s3.head_object(Bucket=bucket, Key=key))
        return _state(answer["ContentLength"], answer["ETag"])

    def get(self, address: str, max_bytes: int) -> tuple[bytes, ObjectState]:
        """Return an object; raises `Fault` where fewer bytes come than were announced, or there are too many."""
        _, bucket, key = bucket_address(address)
        return self._get({"Bucket": bucket, "Key": key}, max_bytes)

    def _get(self, about: dict[str, str], max_bytes: int) -> tuple[bytes, ObjectState]:
        async def whole(s3: Any) -> tuple[bytes, ObjectState]:
            answer = await s3.get_object(**about)
            size = answer["ContentLength"]
            async with answer["Body"] as body:  # closed, so that a body that ends early leaves no connection open
                if size > max_bytes:
                    body.close()
                    raise Fault("too_large", f"longer than {max_bytes:,} bytes")
                content = await body.read()
            if len(content) != size:
                raise Fault("temporary", "its server ended the answer early")
            return content, _state(size, answer["ETag"])

        return self._request(whole)

    def fetch(self, address: str, file: Path, traffic: Traffic) -> ObjectState:
        """Write an object into a file, a large one in parts, all of the same version."""
        _, bucket, key = bucket_address(address)
        state = attempt("head", traffic, lambda: self.state(address))
        size, about = state.size or 0, {"Bucket": bucket, "Key": key, "IfMatch": state.tag}
        with file.open("wb") as opened:
            for start in range(0, size, settings.PART_BYTES):
                part = {"Range": f"bytes={start}-{min(start + settings.PART_BYTES, size) - 1}"}
                opened.write(attempt("get", traffic, lambda: self._get(about | part, settings.PART_BYTES))[0])  # noqa: B023
        return state

    def put(self, file: Path, address: str, tag: str | None, traffic: Traffic) -> ObjectState:
        """Write an object: a small one by one request, a large one in parts, which become an object by the last request."""
        _, bucket, key = bucket_address(address)
        place = {"Bucket": bucket, "Key": key}
        condition = {} if tag is None else {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        size = file.stat().st_size
        if size > settings.PART_BYTES:
            return self._put_parts(file, place, condition, traffic)
        content = file.read_bytes()
        return self._write(
            address,
            ObjectState(size, None, _md5(content).hex()),
            lambda: attempt(
                "put", traffic, lambda: self._request(lambda s3: s3.put_object(**place, Body=content, **condition))
            ),
            traffic,
        )

    def _write(self, address: str, written: ObjectState, last: Callable[[], Any], traffic: Traffic) -> ObjectState:
        """Make the request that writes an object; one that was refused may have been made before, and its answer lost."""
        try:
            return _state(written.size or 0, last()["ETag"])
        except Fault as fault:
            if fault.kind not in ("changed", "missing"):
                raise
            with suppress(Fault):
                found = attempt("head", traffic, lambda: self.state(address))
                if (found.size, found.tag.strip('"')) == (written.size, written.tag):
                    return found
            raise

    def close(self) -> None:
        """End all connections."""
        run_request(self._thread.loop, self._client.close)
        self._thread.close()

    def _put_parts(self, file: Path, place: dict[str, str], condition: dict[str, str], traffic: Traffic) -> ObjectState:
        begun = attempt("put", traffic, lambda: self._request(lambda s3: s3.create_multipart_upload(**place)))
        upload = {**place, "UploadId": begun["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            digests = b""
            with file.open("rb") as opened:
                while part := opened.read(settings.PART_BYTES):
                    digests += _md5(part)
                    parts.append(self._put_part(upload, len(parts) + 1, part, traffic))
            whole = {**upload, "MultipartUpload": {"Parts": parts}, **condition}
            return self._write(
                f"s3://{place['Bucket']}/{place['Key']}",
                ObjectState(file.stat().st_size, None, f"{_md5(digests).hex()}-{len(parts)}"),
                lambda: attempt("put", traffic, lambda: self._request(lambda s3: s3.complete_multipart_upload(**whole))),
                traffic,
            )
        except BaseException:
            with suppress(Exception):  # parts that stay cost, but are no object
                self._request(lambda s3: s3.abort_multipart_upload(**upload))
            raise

    def _put_part(self, upload: dict[str, str], number: int, part: bytes, traffic: Traffic) -> dict[str, Any]:
        about = {**upload, "PartNumber": number, "Body": part}
        answer = attempt("put", traffic, lambda: self._request(lambda s3: s3.upload_part(**about)))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _request(self, request: Callable[[Any], Awaitable[Answer]]) -> Answer:
        """Make a request; raises what `faults.fault_of` understands."""
        try:
            return run_request(self._thread.loop, lambda: request(self._client))
        except Exception as error:
            if self._anonymous and (fault := fault_of(error)).kind == "denied":
                raise Fault("denied", f"{fault.why}, and the environment has no credentials") from error
            raise


def _session() -> AioSession:
    """Return a session that shares the definitions of S3 with the others of this process and of those forked from it.

    Times in answers are left as they come: none is used, and to parse them took a third of a listing's processor time.
    """
    session = AioSession()
    session.register_component("data_loader", _definitions(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


@lru_cache(maxsize=1)
def _definitions(search_path: str | None) -> Loader:
    """Return what reads the definitions of S3, most of what a client takes to start, and keeps them."""
    return create_loader(search_path)


def _state(size: int, tag: str) -> ObjectState:
    return ObjectState(size, state_of(tag, size), tag)


def _md5(content: bytes) -> bytes:
    """Return what S3 makes entity tags of; where it encrypts with keys of KMS it makes them of something else."""
    return hashlib.md5(content, usedforsecurity=False).digest()
