"""What an address of a bucket is as a source, and where the photos of a table in a bucket lie."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagger.catalog import bucket
from tagger.catalog.bucket import open_bucket
from tagger.catalog.items import Source
from tagger.catalog.settings import SourceSettings
from tagger.errors import SourceError
from tagger.records import Failed, Item, RemoteFolder, RemotePhoto
from tagger.storage.objects import ListedObject, ObjectState
from tagger.storage.traffic import Traffic

FOLDER = "s3://shop/in/tables/"


class Objects:
    """A bucket by its keys, and the requests to it."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.requests: list[str] = []

    def list(self, folder: str, traffic: Traffic) -> Iterator[ListedObject]:
        self.requests.append(f"list {folder}")
        found = [key for key in self.keys if f"s3://shop/{key}".startswith(folder)]
        yield from (ListedObject(f"s3://shop/{key}".removeprefix(folder), 1, number) for number, key in enumerate(found))

    def state(self, address: str, traffic: Traffic, signature: str = "") -> ObjectState | None:
        self.requests.append(f"head {address}")
        return ObjectState(1, 2) if address.removeprefix("s3://shop/") in self.keys else None

    def download(self, address: str, file: Path, traffic: Traffic, signature: str = "") -> ObjectState:
        self.requests.append(f"get {address}")
        file.write_bytes(b"\xff\xd8\xff\xe0 a photo" if address.endswith("photo") else b"table")
        return ObjectState(1, 2)


def opened(monkeypatch: pytest.MonkeyPatch, objects: Objects, source: str, *rows: Item, **reading: Any) -> Source:
    """Open a source in a bucket; a table has these rows."""
    monkeypatch.setattr(bucket, "list_objects", objects.list)
    monkeypatch.setattr(bucket, "object_state", objects.state)
    monkeypatch.setattr(bucket, "download", objects.download)
    settings = SourceSettings(fetch=True, **reading)
    return open_bucket(source, settings, lambda copy: Source(_rows(copy, rows), copy.parent), lambda path, why: None, Traffic())


def _rows(copy: Path, rows: tuple[Item, ...]) -> Iterator[Item]:
    for row in rows:
        yield row if row.place is not None or row.problem is not None else row._replace(place=str(copy.parent / row.path))


@pytest.mark.parametrize(
    ("source", "requests"),
    [
        ("s3://shop/a", ["list s3://shop/a/"]),
        ("s3://shop/a/", ["list s3://shop/a/"]),
        ("s3://shop", ["list s3://shop/"]),
        ("s3://shop/v1.2", ["list s3://shop/v1.2/"]),
        ("s3://shop/old.jpg", ["head s3://shop/old.jpg", "list s3://shop/old.jpg/"]),
        ("s3://shop/old.jpg/", ["list s3://shop/old.jpg/"]),
        ("s3://shop/old.csv", ["head s3://shop/old.csv", "list s3://shop/old.csv/"]),
    ],
)
def test_a_folder_is_listed(monkeypatch: pytest.MonkeyPatch, source: str, requests: list[str]) -> None:
    """With or without a slash at its end, also where it is named as a photo or a table; no other request is made."""
    objects = Objects("a/1.jpg", "v1.2/1.jpg", "old.jpg/1.jpg", "old.csv/1.jpg")
    found = opened(monkeypatch, objects, source)
    folder = source if source.endswith("/") else f"{source}/"
    assert found.root == RemoteFolder(folder)
    first = next(found.items)
    assert first == Item(first.path, RemotePhoto(folder + first.path, 1, 0))
    assert objects.requests == requests


@pytest.mark.parametrize("source", ["s3://shop/a/1.jpg", "s3://shop/photo"])
def test_a_photo_is_one(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """By its name, or as nothing else is there."""
    found = opened(monkeypatch, Objects("a/1.jpg", "photo"), source)
    assert [*found.items] == [Item(source, RemotePhoto(source, 1, 2))]
    assert found.root == Path()
    with pytest.raises(SourceError, match="is one file; omit them"):
        opened(monkeypatch, Objects("a/1.jpg", "photo"), source, exclude=("x",))


def test_an_object_of_another_name_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its content is that of a photo."""
    found = opened(monkeypatch, Objects("in/tables/export"), f"{FOLDER}export", Item("1.jpg", None))
    assert [item.place for item in found.items] == [RemotePhoto(f"{FOLDER}1.jpg")]
    found = opened(monkeypatch, Objects(), "https://h/export?id=5", Item("1.jpg", None))
    assert [item.place for item in found.items] == [RemotePhoto("https://h/1.jpg")]
    for source in ("https://h/", "https://h", "https://h/in/?page=2"):
        with pytest.raises(SourceError, match="cannot be listed"):
            opened(monkeypatch, Objects(), source)


@pytest.mark.parametrize(
    "source", ["s3://shop/none", "s3://shop/none/", "s3://shop/none.jpg", "s3://shop/none.csv", "s3://shop"]
)
def test_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """With what is expected there."""
    with pytest.raises(SourceError, match=rf"There is nothing at {source}; give a folder, a photo or a table"):
        opened(monkeypatch, Objects(), source)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("1.jpg", f"{FOLDER}1.jpg"),
        ("sub/1.jpg", f"{FOLDER}sub/1.jpg"),
        ("sub\\1.jpg", f"{FOLDER}sub/1.jpg"),
        ("/1.jpg", f"{FOLDER}1.jpg"),
        ("./1.jpg", f"{FOLDER}1.jpg"),
        ("sub/../1.jpg", f"{FOLDER}1.jpg"),
        ("../1.jpg", "s3://shop/in/1.jpg"),
        ("../../1.jpg", "s3://shop/1.jpg"),
        ("a//b#1?.jpg", f"{FOLDER}a//b#1?.jpg"),
        ("100%20.jpg", f"{FOLDER}100%20.jpg"),
        (' "1.jpg" ', f"{FOLDER}1.jpg"),
        ("../../../1.jpg", None),
    ],
)
def test_paths_of_a_table_start_from_its_folder(monkeypatch: pytest.MonkeyPatch, path: str, address: str | None) -> None:
    """They may lead up, but not out of the bucket; a key without `..` is literal."""
    objects = Objects("in/tables/t.csv")
    (item,) = opened(monkeypatch, objects, f"{FOLDER}t.csv", Item(path, None)).items
    assert item.path == path
    assert item.place == (None if address is None else RemotePhoto(address))
    assert (item.problem and item.problem.reason) == (None if address else "bad_row")


def test_other_items_of_a_table_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Photos at addresses, files that are on this machine, and rows without a photo."""
    (tmp_path / "here.jpg").write_bytes(b"x")
    rows = (
        Item("https://h/1.jpg", RemotePhoto("https://h/1.jpg")),
        Item("here", str(tmp_path / "here.jpg")),
        Item("", None, {}, Failed("bad_row", "no path")),
    )
    found = opened(monkeypatch, Objects("in/tables/t.csv"), f"{FOLDER}t.csv", *rows)
    assert tuple(found.items) == rows
    assert found.root == RemoteFolder(FOLDER)


def test_a_missing_file_is_looked_for_in_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute path that is none here too."""
    row = Item("/no/such.jpg", "/no/such.jpg", {}, Failed("missing", "/no/such.jpg does not exist"))
    (item,) = opened(monkeypatch, Objects("in/tables/t.csv"), f"{FOLDER}t.csv", row).items
    assert item == Item("/no/such.jpg", RemotePhoto(f"{FOLDER}no/such.jpg"), {})


def test_paths_of_a_table_on_a_web_server_are_those_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """As browsers understand them."""
    rows = [Item(path, None) for path in ("1.jpg", "../1.jpg", "a b.jpg")]
    found = opened(monkeypatch, Objects(), "https://h/in/t.csv?sig=1&v=2", *rows)
    assert [item.place for item in found.items] == [
        RemotePhoto("https://h/in/1.jpg"),
        RemotePhoto("https://h/1.jpg"),
        RemotePhoto("https://h/in/a b.jpg"),
    ]


def test_the_copy_of_a_table_lasts_as_long_as_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its items are read lazily."""
    copies: list[Path] = []
    monkeypatch.setattr(bucket, "object_state", Objects("t.csv").state)
    monkeypatch.setattr(bucket, "download", Objects().download)

    def read_table(copy: Path) -> Source:
        copies.append(copy)
        return Source(iter([]), copy.parent)

    source = open_bucket("s3://shop/t.csv", SourceSettings(fetch=True), read_table, lambda path, why: None, Traffic())
    assert copies[0].exists()
    del source
    assert not copies[0].parent.exists()
