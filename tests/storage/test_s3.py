"""S3's requests, as a server that keeps S3's rules answers them."""

from pathlib import Path

import pytest
from bucket_helpers import Bucket, Fault

from tagger.errors import StorageError
from tagger.records import Failed, RemotePhoto
from tagger.storage import stores
from tagger.storage.objects import download, list_objects, object_state, read_object, upload
from tagger.storage.running import run_request
from tagger.storage.s3 import S3Store
from tagger.storage.traffic import Traffic

KEYS = (
    "a b.jpg",
    "a#b?c=1&d.jpg",
    "100%.jpg",
    "a%20b.jpg",
    "a+b.jpg",
    "größe.jpg",
    "x//y.jpg",
    "x/../y.jpg",
    "/slash.jpg",
    "./z.jpg",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_listed_and_read_as_it_is(bucket: Bucket, key: str) -> None:
    """Signed, requested and decoded again without a change."""
    bucket.write(f"in/{key}", key.encode())
    (listed,) = list_objects(bucket.address("in/"), Traffic())
    assert (listed.key, listed.size) == (key, len(key.encode()))
    found = read_object(RemotePhoto(bucket.address(f"in/{listed.key}"), listed.size, listed.state), 1_000, Traffic())
    assert not isinstance(found, Failed)
    assert (found[0], found[1].mtime_ns) == (key.encode(), listed.state)


def test_the_objects_of_a_folder_alone(bucket: Bucket) -> None:
    """In the order of their keys, whatever else begins with its name; marks of folders are none."""
    for key in ("in/b", "in/a/2", "in/a.1", "in/a/", "in/", "in.jpg", "in-two/1"):
        bucket.write(key, b"" if key.endswith("/") else b"x")
    assert [one.key for one in list_objects(bucket.address("in/"), Traffic())] == ["a.1", "a/2", "b"]


def test_an_object_that_is_replaced_has_another_state(bucket: Bucket, tmp_path: Path) -> None:
    """The same content has the same one; what is written tells its own."""
    (tmp_path / "f").write_bytes(b"one")
    first = upload(tmp_path / "f", bucket.address("f"), Traffic())
    assert object_state(bucket.address("f"), Traffic()) == first
    bucket.write("f", b"two")
    second = object_state(bucket.address("f"), Traffic())
    assert second is not None
    assert second.size == first.size
    assert second.state != first.state
    assert download(bucket.address("f"), tmp_path / "g", Traffic()) == second


def test_conditions_hold(bucket: Bucket, tmp_path: Path) -> None:
    """If-Match and If-None-Match, by the rules of S3."""
    (tmp_path / "f").write_bytes(b"new")
    bucket.write("f", b"old")
    before = object_state(bucket.address("f"), Traffic())
    bucket.write("f", b"changed")
    for expected in (None, before):
        with pytest.raises(FileExistsError):
            upload(tmp_path / "f", bucket.address("f"), Traffic(), expected=expected)
    assert bucket.read("f") == b"changed"
    upload(tmp_path / "f", bucket.address("f"), Traffic(), expected=object_state(bucket.address("f"), Traffic()))
    assert bucket.read("f") == b"new"
    upload(tmp_path / "f", bucket.address("g"), Traffic(), expected=None)
    assert bucket.read("g") == b"new"


def test_public_buckets_need_no_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has none, requests are not signed; one that is denied says that there are none."""
    bucket.write("1.jpg", b"x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    stores._opened.cache_clear()
    assert object_state(bucket.address("1.jpg"), Traffic()) is not None
    bucket.faults.append(Fault("GET", "403 Forbidden", "AccessDenied"))
    with pytest.raises(StorageError, match="access denied, and the environment has no credentials"):
        next(list_objects(bucket.address(""), Traffic()))
    stores._opened.cache_clear()


def test_a_profile_that_is_not_there(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong configuration is one sentence, too."""
    monkeypatch.setenv("AWS_PROFILE", "absent")
    stores._opened.cache_clear()
    with pytest.raises(StorageError, match="credentials are missing, not valid or have expired"):
        next(list_objects(bucket.address(""), Traffic()))
    stores._opened.cache_clear()


@pytest.mark.parametrize("source", ["keys", "token"])
def test_the_credentials_of_a_role(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    """Those that a profile or a pod takes over from another identity, which end at a time that the answer names."""
    bucket.write("1.jpg", b"x")
    role = "arn:aws:iam::123456789012:role/reader"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    if source == "keys":
        profiles = f"[profile reader]\nrole_arn = {role}\nsource_profile = keys\n"
        profiles += "[profile keys]\naws_access_key_id = test\naws_secret_access_key = test\n"
        (tmp_path / "config").write_text(profiles)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "reader")
    else:
        (tmp_path / "token").write_text("e30.e30.e30")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", role)
    stores._opened.cache_clear()
    found = read_object(RemotePhoto(bucket.address("1.jpg")), 10, Traffic())
    assert not isinstance(found, Failed)
    assert found[0] == b"x"
    store = stores.store_of(bucket.address(""))
    assert isinstance(store, S3Store)
    signing = run_request(store._thread.loop, store._client._request_signer._credentials.get_frozen_credentials)
    assert signing.access_key.startswith("ASIA")  # of credentials that end
    stores._opened.cache_clear()
