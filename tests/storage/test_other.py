"""Stores of Google and Azure, through a file system of fsspec that stands in for theirs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tagger.errors import StorageError
from tagger.records import Failed, RemotePhoto
from tagger.storage import objects, settings, stores
from tagger.storage.objects import download, list_objects, object_state, read_object, upload
from tagger.storage.other import OtherStore
from tagger.storage.traffic import Traffic


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """Names without a leading slash, and a generation that each write increases, as gcsfs has them."""

    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012 (of the base class)
    pseudo_dirs: list[str] = [""]  # noqa: RUF012
    failing = 0
    """Requests that fail from now on."""

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        self._fail()
        return [self._named(one) for one in super().ls(path, detail=True, **more)]

    def info(self, path: str, **more: Any) -> Any:
        self._fail()
        return self._named(super().info(path, **more))

    def cat_file(self, path: str, *place: Any, **more: Any) -> Any:
        self._fail()
        return super().cat_file(path, *place, **more)

    def put_file(self, lpath: str, rpath: str, *place: Any, **more: Any) -> Any:
        self._fail()
        return super().put_file(lpath, rpath, *place, **more)

    def _fail(self) -> None:
        if Bucket.failing:
            Bucket.failing -= 1
            raise ConnectionResetError("its own words")

    def _named(self, one: dict[str, Any]) -> dict[str, Any]:
        generation = {"generation": str(self.store[one["name"]].created)} if one["type"] == "file" else {}
        return one | generation | {"name": one["name"].lstrip("/")}


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty store, which all addresses of Google lead to."""
    monkeypatch.setattr(settings, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(Bucket, "failing", 0)
    Bucket.store.clear()
    Bucket.pseudo_dirs[:] = [""]
    found = Bucket()
    store = OtherStore(found)
    monkeypatch.setattr(stores, "_opened", lambda scheme, process: store)
    objects._buckets._counts.clear()
    yield found
    objects._buckets._counts.clear()


def put(files: Bucket, *keys: str, content: bytes = b"photo") -> None:
    for key in keys:
        files.pipe_file(f"/shop/{key}", content)


def test_folders_are_listed_in_the_order_of_keys(files: Bucket) -> None:
    """As S3 would list them: a folder stands where its name and the slash do, not where its name alone does."""
    keys = ["in/a-b.jpg", "in/a.jpg", "in/a/1.jpg", "in/a/b/2.jpg", "in/a/c.jpg", "in/a0.jpg", "in/ä.jpg", "in/\U0001f457.jpg"]
    put(files, *reversed(keys), "in.jpg", "in2/x.jpg")
    traffic = Traffic()
    listed = [*list_objects("gs://shop/in/", traffic)]
    assert [f"in/{one.key}" for one in listed] == keys
    assert traffic.requests == {"list": 3}
    for one in listed:
        assert object_state(f"gs://shop/in/{one.key}", traffic) == (one.size, one.state, _generation(files, f"in/{one.key}"))


def _generation(files: Bucket, key: str) -> str:
    return str(files.store[f"/shop/{key}"].created)


def test_a_page_that_fails_is_listed_again(files: Bucket) -> None:
    """No key comes twice and none is left out."""
    put(files, "in/1.jpg", "in/a/2.jpg", "in/b/3.jpg")
    traffic = Traffic()
    listing = list_objects("gs://shop/in/", traffic)
    found = [next(listing).key]
    Bucket.failing = 2
    found += [one.key for one in listing]
    assert found == ["1.jpg", "a/2.jpg", "b/3.jpg"]
    assert (traffic.requests["list"], traffic.retries) == (5, 2)


def test_an_object_is_read_or_a_failed_photo(files: Bucket) -> None:
    """Its state is the one that was listed; what is missing or too large is a value."""
    put(files, "1.jpg")
    (listed,) = list_objects("gs://shop/", Traffic())
    photo = RemotePhoto("gs://shop/1.jpg", listed.size, listed.state)
    Bucket.failing = 1
    found = read_object(photo, 5, Traffic())
    assert not isinstance(found, Failed)
    assert (found[0], found[1].size, found[1].mtime_ns) == (b"photo", 5, listed.state)
    for known, address, reason in ((photo, photo.address, "too_large"), (None, "gs://shop/9.jpg", "missing")):
        failed = read_object(known or RemotePhoto(address), 4, Traffic())
        assert isinstance(failed, Failed)
        assert (failed.reason, address in failed.detail) == (reason, True)
    assert object_state("gs://shop/9.jpg", Traffic()) is None


def test_objects_are_written_and_received(files: Bucket, tmp_path: Path) -> None:
    """Over the expected one only; attempts that fail are repeated."""
    (tmp_path / "f").write_bytes(b"new")
    Bucket.failing = 2
    first = upload(tmp_path / "f", "gs://shop/t.csv", Traffic(), None)
    assert upload(tmp_path / "f", "gs://shop/t.csv", Traffic(), first).size == 3
    with pytest.raises(FileExistsError):
        upload(tmp_path / "f", "gs://shop/t.csv", Traffic(), first)
    with pytest.raises(FileExistsError):
        upload(tmp_path / "f", "gs://shop/t.csv", Traffic(), None)
    traffic = Traffic()
    assert download("gs://shop/t.csv", tmp_path / "g", traffic) == object_state("gs://shop/t.csv", traffic)
    assert ((tmp_path / "g").read_bytes(), traffic.received) == (b"new", 3)


def test_a_store_that_stays_away_is_an_error(files: Bucket, tmp_path: Path) -> None:
    """In one sentence without its own words."""
    put(files, "1.jpg")
    Bucket.failing = 100
    with pytest.raises(
        StorageError, match=r"^gs://shop/ cannot be listed: the connection to its server failed, again and again"
    ):
        next(list_objects("gs://shop/", Traffic()))
    for number in range(1, settings.GIVE_UP_BUCKET + 1):
        Bucket.failing = settings.ATTEMPTS
        if number < settings.GIVE_UP_BUCKET:
            assert isinstance(read_object(RemotePhoto("gs://shop/1.jpg"), 9, Traffic()), Failed)
        else:
            with pytest.raises(StorageError, match="cannot be read"):
                read_object(RemotePhoto("gs://shop/1.jpg"), 9, Traffic())
