"""Items go through the files of a manifest unchanged, whatever their places and names are."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tagger.cluster import manifest
from tagger.cluster.manifest import read_items, write_manifest
from tagger.records import EmbeddedPhoto, Failed, Item, RemotePhoto

ITEMS = [
    Item("a/b.jpg", "photos/a/b.jpg"),
    Item("\udcff.jpg", "photos/\udcff.jpg"),
    Item("a\nb \u00e4\U0001f600", "photos/x"),
    Item("", None, problem=Failed("bad_row", "row 5 has no path \udcff")),
    Item("gone.jpg", "photos/gone.jpg", problem=Failed("missing", "")),
    Item("table#3", EmbeddedPhoto("table#3", "t.parquet", 3, "image", ("bytes", 0), 1234, -(2**63))),
    Item("k.jpg", RemotePhoto("s3://bucket/k%20.jpg", 10, -5, "X-Amz-Signature=1")),
    Item("https://host/k.jpg", RemotePhoto("https://host/k.jpg")),
]


def read_all(files: list[Path]) -> Iterator[tuple[int, Item]]:
    """Yield the numbers and items of all files."""
    for file in files:
        yield from read_items(pq.read_table(file))


def test_items_come_back_as_they_were(tmp_path: Path) -> None:
    files = write_manifest(ITEMS, tmp_path)
    assert [*read_all(files)] == [*enumerate(ITEMS)]


def test_items_are_divided_among_files_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "ROWS_PER_FILE", 3)
    files = write_manifest(iter(ITEMS), tmp_path)
    assert len(files) == 3
    assert files == sorted(files)
    assert [*read_all(files)] == [*enumerate(ITEMS)]


def test_no_items_make_no_files(tmp_path: Path) -> None:
    assert write_manifest([], tmp_path) == []


def test_items_are_taken_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "ROWS_PER_FILE", 4)
    ahead = []

    def counted() -> Iterator[Item]:
        for number in range(100):
            ahead.append(number - 4 * len([*tmp_path.iterdir()]))
            yield Item(str(number), "x")

    write_manifest(counted(), tmp_path)
    assert max(ahead) <= 4
