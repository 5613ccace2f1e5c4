"""What the ledger is told of the files of a source."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.catalog.items import Source
from tagger.records import EmbeddedPhoto, Failed, Item
from tagger.run.ledger import open_ledger
from tagger.run.ledger_values import LATEST_NS, ListedFile, RunKey
from tagger.run.listing import listed_files
from tagger.run.summary import RunSummary

OLD_NS = 1_600_000_000 * 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an old photo, a link to it, and one that was written just now."""
    (tmp_path / "old.jpg").write_bytes(b"abc")
    os.utime(tmp_path / "old.jpg", ns=(OLD_NS, OLD_NS))
    (tmp_path / "link.jpg").symlink_to("old.jpg")
    (tmp_path / "new.jpg").write_bytes(b"")
    os.utime(tmp_path / "new.jpg", ns=(time.time_ns(),) * 2)
    return tmp_path


def listed(root: Path, *items: Item, settle: float = 0.0) -> list[ListedFile]:
    """Return what is listed of the items of a source."""
    return [*listed_files(Source(iter(items), root), settle, RunSummary())]


def test_size_and_time_are_those_of_the_file(folder: Path) -> None:
    """A link has those of its file; a missing one none, but what the source knows of it."""
    problem = Failed("missing", "gone.jpg: no such file")
    items = [Item(name, str(folder / name)) for name in ("old.jpg", "link.jpg")]
    found = listed(folder, *items, Item("gone.jpg", folder / "gone.jpg", problem=problem))
    assert found[:2] == [ListedFile("old.jpg", 3, OLD_NS), ListedFile("link.jpg", 3, OLD_NS)]
    assert found[2] == ListedFile("gone.jpg", detail=problem.detail)


def test_files_written_just_now_are_left_out_where_that_is_wanted(folder: Path) -> None:
    """With --settle the new file is marked, and the old one is not."""
    items = [Item(name, str(folder / name)) for name in ("old.jpg", "new.jpg")]
    assert [file.left_out for file in listed(folder, *items, settle=60)] == [False, True]
    assert [file.left_out for file in listed(folder, *items)] == [False, False]


def test_a_place_is_told_where_it_is_not_the_path(folder: Path) -> None:
    """Columns of a table are told too; a row without a file has the reason that the source gives."""
    photo = EmbeddedPhoto("t.parquet#3", "t.parquet", 3, "image", (), 7, 11)
    items = [
        Item("x/../old.jpg", folder / "old.jpg", {"sku": 1}),
        Item("", None, {"sku": 2}, Failed("no_image", "a row without an image")),
        Item(photo.name, photo),
        Item("a", None),
    ]
    moved, without, embedded, unknown = listed(folder, *items)
    assert moved == ListedFile("x/../old.jpg", 3, OLD_NS, columns={"sku": 1}, place=str(folder / "old.jpg"))
    assert (without.failure, without.columns) == ("no_image", {"sku": 2})
    assert embedded == ListedFile("t.parquet#3", 7, 11, place=photo)
    assert (unknown.failure, unknown.detail) == ("bad_row", "a: no file")


def test_times_that_sqlite_cannot_store_are_the_latest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged disk's time is cut to the range, and the file is no other one in the next run."""
    real = (folder / "old.jpg").stat()

    class Far:
        st_size, st_mtime_ns = real.st_size, 2**70

    monkeypatch.setattr("tagger.run.listing.os.stat", lambda name: Far)
    assert listed(folder, Item("old.jpg", str(folder / "old.jpg"))) == [ListedFile("old.jpg", 3, LATEST_NS)]


def test_any_mixture_of_files_is_stored_in_order() -> None:
    """Chunks of files that are stored by three values, and those in which more is known of one, keep all of it."""
    names = [f"{number:04d}.jpg" for number in range(1_000)]
    odd = {400: {"columns": {"sku": 400}}, 500: {"left_out": True}, 999: {"place": "elsewhere.jpg"}}
    paths = {number: name if number != 700 else os.fsdecode(b"caf\xe9.jpg") for number, name in enumerate(names)}

    def files() -> Iterator[ListedFile]:
        for number, path in paths.items():
            yield ListedFile(path, number, number, **odd.get(number, {}))  # type: ignore[arg-type]

    with open_ledger(None) as ledger:
        ledger.begin(RunKey("source", "out", "version", "model", "fingerprint", ["a"], 0.5))
        assert ledger.list_files(files()) == 999
        [batch] = ledger.unscored_batches(2_000)
    assert [(one.path, one.size, one.mtime_ns) for one in batch] == [(p, n, n) for n, p in paths.items() if n != 500]
    assert [one.place for one in batch if one.place] == ["elsewhere.jpg"]
