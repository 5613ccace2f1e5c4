"""Make requests to Amazon S3, and to what speaks its protocol, through s3fs; attempts are repeated by `retries` alone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fsspec.asyn import sync
from s3fs import S3FileSystem

from tagger import __version__
from tagger.errors import Interrupted
from tagger.storage import settings
from tagger.storage.addresses import bucket_address
from tagger.storage.faults import Fault, fault_of
from tagger.storage.states import state_of
from tagger.storage.stores import ListedObject, ObjectState, Page

Answer = TypeVar("Answer")


def open_store(scheme: str) -> "S3Store":
    """Return the store, with the credentials and the endpoint of the environment."""
    for name in ("aiobotocore", "botocore", "s3fs"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is told by fmtag, without the ids of keys
    return S3Store()


class S3Store:
    """Requests to S3."""

    def __init__(self) -> None:
        from aiobotocore.session import AioSession

        config = {
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "connect_timeout": settings.CONNECT_SECONDS,
            "read_timeout": settings.READ_SECONDS,
            "max_pool_connections": settings.CONNECTIONS,
            "user_agent_extra": f"fmtag/{__version__}",
            # Not every store that speaks the protocol knows the newer checksums; lengths are checked here.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        options = {"config_kwargs": config, "skip_instance_cache": True, "use_listings_cache": False}
        self._files = S3FileSystem(**options)
        if sync(self._files.loop, AioSession().get_credentials) is None:
            self._files = S3FileSystem(anon=True, **options)  # public buckets

    def page(self, folder: str, token: str | None) -> Page:
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

    def get(self, address: str, max_bytes: int) -> tuple[bytes, ObjectState | None]:
        """Return an object; raises `Fault` where fewer bytes come than were announced, or there are too many."""
        _, bucket, key = bucket_address(address)

        async def whole(s3: Any) -> tuple[bytes, ObjectState]:
            answer = await s3.get_object(Bucket=bucket, Key=key)
            if answer["ContentLength"] > max_bytes:
                answer["Body"].close()
                raise Fault("too_large", f"longer than {max_bytes:,} bytes")
            return await _body(answer), _state(answer["ContentLength"], answer["ETag"])

        return self._request(whole)

    def part(self, address: str, first: int, tag: str) -> bytes:
        """Return a part of an object; raises `Fault` where it has another tag by now, or fewer bytes come than announced."""
        _, bucket, key = bucket_address(address)
        of_part = {"Range": f"bytes={first}-{first + settings.PART_BYTES - 1}", "IfMatch": tag}

        async def request(s3: Any) -> bytes:
            return await _body(await s3.get_object(Bucket=bucket, Key=key, **of_part))

        return self._request(request)

    def put(self, file: Path, address: str, tag: str | None) -> ObjectState:
        """Write an object: a small one by one request, a large one in parts, which become an object by the last request."""
        _, bucket, key = bucket_address(address)
        place = {"Bucket": bucket, "Key": key}
        condition = {} if tag is None else {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        size = file.stat().st_size
        if size > settings.PART_BYTES:
            answer = self._put_parts(file, place, condition)
        else:
            answer = self._request(lambda s3: s3.put_object(**place, Body=file.read_bytes(), **condition))
        return _state(size, answer["ETag"])

    def _put_parts(self, file: Path, place: dict[str, str], condition: dict[str, str]) -> Any:
        upload = {**place, "UploadId": self._request(lambda s3: s3.create_multipart_upload(**place))["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with file.open("rb") as opened:
                while part := opened.read(settings.PART_BYTES):
                    parts.append(self._put_part(upload, len(parts) + 1, part))
            return self._request(
                lambda s3: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
            )
        except BaseException:
            with suppress(Exception):  # parts that stay cost, but are no object
                self._request(lambda s3: s3.abort_multipart_upload(**upload))
            raise

    def _put_part(self, upload: dict[str, str], number: int, part: bytes) -> dict[str, Any]:
        answer = self._request(lambda s3: s3.upload_part(**upload, PartNumber=number, Body=part))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _request(self, request: Callable[[Any], Awaitable[Answer]]) -> Answer:
        """Make a request in the loop of fsspec's thread; raises `Fault`."""

        async def limited() -> Answer:
            s3 = await self._files.set_session()
            return await asyncio.wait_for(request(s3), settings.ANSWER_SECONDS)

        try:
            answer: Answer = sync(self._files.loop, limited)
        except Interrupted:
            raise
        except Exception as error:
            raise fault_of(error) from error
        return answer


async def _body(answer: Any) -> bytes:
    content: bytes = await answer["Body"].read()
    if len(content) != answer["ContentLength"]:
        raise Fault("temporary", "its server ended the answer early")
    return content


def _state(size: int, tag: str) -> ObjectState:
    return ObjectState(size, state_of(tag, size), tag)
