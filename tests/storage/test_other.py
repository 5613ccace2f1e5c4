"""Stores that fsspec alone knows: objects in the order of their keys, with states, written whole."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tagger.records import Failed, RemotePhoto
from tagger.storage import objects, other, stores
from tagger.storage.objects import download, list_objects, object_state, read_object, upload
from tagger.storage.traffic import Traffic

KEYS = ("a.jpg", "a/1.jpg", "a/b/2.jpg", "a0.jpg", "größe.jpg", "x y#1.jpg")


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """The file system of fsspec in memory, in place of Google's."""
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    store = other.OtherStore(_Bare(memory))
    monkeypatch.setattr(objects, "store_of", lambda address: store)
    yield memory
    memory.store.clear()
    stores._opened.cache_clear()


class _Bare:
    """The file system with names as stores of objects have them, which begin with the bucket."""

    protocol = "gs"

    def __init__(self, memory: fsspec.AbstractFileSystem) -> None:
        self._memory = memory

    def ls(self, path: str, detail: bool) -> list[dict[str, object]]:
        return [self._named(entry) for entry in self._memory.ls(f"/{path}", detail=detail)]

    def info(self, path: str) -> dict[str, object]:
        return self._named(self._memory.info(f"/{path}"))

    def cat_file(self, path: str) -> bytes:
        return bytes(self._memory.cat_file(f"/{path}"))

    def get_file(self, path: str, file: str) -> None:
        Path(file).write_bytes(self.cat_file(path))

    def put_file(self, file: str, path: str) -> None:
        self._memory.pipe_file(f"/{path}", Path(file).read_bytes())

    def _named(self, entry: dict[str, object]) -> dict[str, object]:
        name = str(entry["name"])
        return entry | {"name": name.lstrip("/"), "etag": hash(self._memory.cat(name)) if entry["type"] == "file" else ""}


def test_objects_are_listed_in_order_and_read(files: fsspec.AbstractFileSystem) -> None:
    """Folder by folder, with the keys of a flat listing; what is listed is what is read."""
    for key in KEYS:
        files.pipe_file(f"/shop/in/{key}", key.encode())
    files.pipe_file("/shop/in2/x.jpg", b"x")
    listed = [*list_objects("gs://shop/in/", Traffic())]
    assert [one.key for one in listed] == sorted(KEYS, key=str.encode)
    for key, size, state in listed:
        found = read_object(RemotePhoto(f"gs://shop/in/{key}", size, state), 100, Traffic())
        assert not isinstance(found, Failed)
        assert (found[0], found[1].mtime_ns) == (key.encode(), state)


def test_what_is_wrong_with_one_object(files: fsspec.AbstractFileSystem) -> None:
    """It is not there, or too long."""
    files.pipe_file("/shop/1.jpg", b"x" * 101)
    assert object_state("gs://shop/none.jpg", Traffic()) is None
    assert object_state("gs://shop/", Traffic()) is None
    for key, reason in (("none.jpg", "missing"), ("1.jpg", "too_large")):
        found = read_object(RemotePhoto(f"gs://shop/{key}"), 100, Traffic())
        assert isinstance(found, Failed)
        assert found.reason == reason


def test_an_object_is_written_over_the_expected_one(files: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    """As far as such stores let it be known: right before."""
    (tmp_path / "f").write_bytes(b"new")
    address = "gs://shop/t.csv"
    state = upload(tmp_path / "f", address, Traffic(), expected=None)
    assert state == object_state(address, Traffic()) == download(address, tmp_path / "g", Traffic())
    assert (tmp_path / "g").read_bytes() == b"new"
    with pytest.raises(FileExistsError):
        upload(tmp_path / "f", address, Traffic(), expected=None)
    files.pipe_file("/shop/t.csv", b"another")
    with pytest.raises(FileExistsError):
        upload(tmp_path / "f", address, Traffic(), expected=state)
    assert files.cat("/shop/t.csv") == b"another"
