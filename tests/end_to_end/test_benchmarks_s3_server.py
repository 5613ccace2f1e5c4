"""The S3 stand-in of benchmarks and tests answers boto3 as S3 does, and fails as it is told to."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.s3_server import Server, serving

boto3 = pytest.importorskip("boto3")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError  # noqa: E402
from botocore.exceptions import ConnectionError as NoConnection  # noqa: E402

BROKEN = (HTTPClientError, IncompleteReadError, NoConnection, OSError)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """Return a server that all tests share."""
    with serving(objects={}) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """Return the server without objects, rules and counts."""
    running.begin_anew()
    return running


def client(server: Server) -> Any:
    """Return a client that does not try again."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}),
    )


def code_of(call: Any, *words: Any, **options: Any) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(ClientError) as raised:
        call(*words, **options)
    return str(raised.value.response["Error"]["Code"])


def test_objects_are_read_whole_and_in_part(server: Server) -> None:
    """GET and HEAD give content, MD5 and size; a range gives its bytes; a state that is another is refused."""
    s3 = client(server)
    key, content = "a b/ü+%&<1>.jpg", bytes(range(256)) * 10
    etag = s3.put_object(Bucket="photos", Key=key, Body=content)["ETag"]
    assert etag == f'"{hashlib.md5(content).hexdigest()}"'
    found = s3.get_object(Bucket="photos", Key=key)
    assert (found["Body"].read(), found["ETag"], found["LastModified"].year > 2000) == (content, etag, True)
    assert s3.head_object(Bucket="photos", Key=key)["ContentLength"] == 2560
    for wanted, part in (("bytes=5-9", content[5:10]), ("bytes=2550-", content[2550:]), ("bytes=-3", content[-3:])):
        assert s3.get_object(Bucket="photos", Key=key, Range=wanted)["Body"].read() == part
    assert s3.get_object(Bucket="photos", Key=key, IfMatch=etag)["Body"].read() == content
    assert code_of(s3.get_object, Bucket="photos", Key=key, IfMatch='"other"') == "PreconditionFailed"
    assert code_of(s3.get_object, Bucket="photos", Key="none") == "NoSuchKey"
    assert code_of(s3.head_bucket, Bucket="other") == "404"
    s3.head_bucket(Bucket="photos")


def test_writes_keep_their_conditions(server: Server) -> None:
    """If-None-Match refuses what is there, If-Match what has changed; the object stays as it was."""
    s3 = client(server)
    first = s3.put_object(Bucket="photos", Key="tags.csv", Body=b"1", IfNoneMatch="*")["ETag"]
    assert code_of(s3.put_object, Bucket="photos", Key="tags.csv", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    s3.put_object(Bucket="photos", Key="tags.csv", Body=b"3", IfMatch=first)
    assert code_of(s3.put_object, Bucket="photos", Key="tags.csv", Body=b"4", IfMatch=first) == "PreconditionFailed"
    assert server.get("tags.csv") == b"3"
    s3.delete_object(Bucket="photos", Key="tags.csv")
    assert server.listed() == []


def test_uploads_in_parts_are_whole_or_nothing(server: Server) -> None:
    """Parts are no object until they are completed, in the order of their numbers; an aborted upload leaves nothing."""
    s3 = client(server)
    upload = s3.create_multipart_upload(Bucket="photos", Key="big")["UploadId"]
    parts = []
    for number in (2, 1):
        part = s3.upload_part(Bucket="photos", Key="big", UploadId=upload, PartNumber=number, Body=b"%d" % number * 9)
        parts.insert(0, {"PartNumber": number, "ETag": part["ETag"]})
    assert server.listed() == []
    done = s3.complete_multipart_upload(Bucket="photos", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert (server.get("big"), done["ETag"][-3:]) == (b"1" * 9 + b"2" * 9, '-2"')
    upload = s3.create_multipart_upload(Bucket="photos", Key="none")["UploadId"]
    s3.abort_multipart_upload(Bucket="photos", Key="none", UploadId=upload)
    assert code_of(s3.abort_multipart_upload, Bucket="photos", Key="none", UploadId=upload) == "NoSuchUpload"
    assert server.listed() == ["big"]


def test_listings_have_pages_prefixes_and_their_order(server: Server) -> None:
    """Pages joined are all keys in the order of their bytes; a delimiter folds them, and a start leaves the first ones out."""
    s3 = client(server)
    keys = ["a.jpg", "b/1 +.jpg", "b/2&.jpg", "b/c/3.jpg", "b!.jpg", "z/é.jpg", "z/😀.jpg", "z/\uffee.jpg"]
    for key in keys:
        server.put(key, key.encode())
    paginator = s3.get_paginator("list_objects_v2")

    def listed(**options: Any) -> tuple[list[str], list[str]]:
        pages = [*paginator.paginate(Bucket="photos", PaginationConfig={"PageSize": 2}, **options)]
        entries = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return entries, [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]

    ordered = sorted(keys, key=lambda key: key.encode())
    assert listed() == (ordered, [])
    assert listed(Delimiter="/") == (["a.jpg", "b!.jpg"], ["b/", "z/"])
    assert listed(Prefix="b/", Delimiter="/") == (["b/1 +.jpg", "b/2&.jpg"], ["b/c/"])
    assert listed(StartAfter="b/2&.jpg") == (ordered[ordered.index("b/2&.jpg") + 1 :], [])
    assert listed(Prefix="none") == ([], [])


def test_files_and_numbered_objects_are_served(tmp_path: Path) -> None:
    """The files of a folder are objects; numbered ones are listed by pages, each with bytes of its own that its MD5 names."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "1.jpg").write_bytes(b"photo")
    with serving(tmp_path, synthetic=2_500, latency_ms=30) as server:
        s3 = client(server)
        started = time.perf_counter()
        pages = [*s3.get_paginator("list_objects_v2").paginate(Bucket="photos")]
        assert time.perf_counter() - started > 0.09
        assert [len(page["Contents"]) for page in pages] == [1000, 1000, 501]
        entries = [entry for page in pages for entry in page["Contents"]]
        assert (entries[-1]["Key"], server.get("shop/1.jpg")) == ("shop/1.jpg", b"photo")
        folders = s3.list_objects_v2(Bucket="photos", Delimiter="/")["CommonPrefixes"]
        assert [folder["Prefix"] for folder in folders] == ["0000000/", "0000001/", "0000002/", "shop/"]
        contents = {server.get(entry["Key"]) for entry in entries[::500]}
        assert {f'"{hashlib.md5(content).hexdigest()}"' for content in contents} == {one["ETag"] for one in entries[::500]}
        assert s3.list_objects_v2(Bucket="photos", Prefix="0000002/", MaxKeys=1)["Contents"][0]["Key"] == entries[2000]["Key"]
        assert server.requests()["list"] == 5


def test_requests_fail_as_they_are_told_to(server: Server) -> None:
    """Errors have S3's code and status for the next requests, each k-th, of a method and a key; then all is well again."""
    s3 = client(server)
    server.put("a/1", b"x" * 1000)
    server.fault("error", code="SlowDown", method="GET", key="a/*", times=2)
    codes = [code_of(s3.get_object, Bucket="photos", Key="a/1") for _ in range(2)]
    assert (codes, s3.head_object(Bucket="photos", Key="a/1")["ContentLength"]) == (["SlowDown"] * 2, 1000)
    assert s3.get_object(Bucket="photos", Key="a/1")["Body"].read() == b"x" * 1000
    server.fault("error", code="ExpiredToken", every=2, times=None)
    s3.list_objects_v2(Bucket="photos")
    assert code_of(s3.list_objects_v2, Bucket="photos") == "ExpiredToken"
    server.clear_faults()
    for rule in (("reset", {}), ("reset_body", {"method": "GET"}), ("short", {"method": "GET"})):
        server.fault(rule[0], **rule[1])
        with pytest.raises(BROKEN):
            s3.get_object(Bucket="photos", Key="a/1")["Body"].read()
        assert s3.get_object(Bucket="photos", Key="a/1")["Body"].read() == b"x" * 1000
    server.fault("slow", bytes_per_second=10_000)
    started = time.perf_counter()
    assert s3.get_object(Bucket="photos", Key="a/1")["Body"].read() == b"x" * 1000
    assert time.perf_counter() - started > 0.05
    assert [status for kind, _, status in server.log() if kind == "GET"][:2] == [503, 503]
