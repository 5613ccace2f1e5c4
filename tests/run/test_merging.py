"""Merges go on from the last one: changes, what people decided, and merges that were stopped."""

import csv
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import draw_photo, rows_of
from run_helpers import age, query
from shard_helpers import merge, run_shards, write_catalog

from tagger.run import merging
from tagger.run.merging import source_of
from tagger.run.reviews import ReviewStore, Shown

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A folder with copies and damaged files."""
    return write_catalog(tmp_path / "catalog")


def changes(path: Path) -> set[tuple[str, str]]:
    """Return kind and path of each change."""
    with path.open(newline="") as file:
        return {(row["change"], row["path"]) for row in csv.DictReader(file)}


def test_the_next_night_tells_what_changed(catalog: Path, small_bundle: Path, tmp_path: Path) -> None:
    """New, vanished and changed photos of all shards are those since the last merge; without news there are none."""
    out, told = tmp_path / "tags.csv", tmp_path / "changes.csv"
    shards = run_shards(catalog, tmp_path / "shards", small_bundle, 3)
    assert merge(shards, out, small_bundle, "--changes", told).code == 3
    draw_photo(50, (96, 128)).save(catalog / "new.jpg")
    (catalog / "0007.jpg").unlink()
    draw_photo(51, (96, 128)).save(catalog / "broken.jpg")
    age(catalog / "new.jpg", catalog / "broken.jpg")
    run_shards(catalog, tmp_path / "shards", small_bundle, 3)
    assert merge(shards, out, small_bundle, "--changes", told).code == 3
    assert changes(told) == {("new", "new.jpg"), ("vanished", "0007.jpg"), ("recovered", "broken.jpg")}
    assert merge(shards, out, small_bundle, "--changes", told).code == 3
    assert changes(told) == set()


def decide(ledger: Path, key: str, label: str) -> None:
    """Record a decision about a photo."""
    ((item, sha256),) = query(
        ledger, f"SELECT items.id, sha256 FROM items JOIN contents ON contents.id = content WHERE key = '{key}'"
    )
    with closing(ReviewStore(ledger)) as store:
        store.record([Shown(item, sha256)], label, "Ada")


def holding(shards: list[Path], key: str) -> Path:
    """Return the ledger of the shard that has a photo."""
    ledgers = [shard.with_suffix(".ledger") for shard in shards]
    return next(one for one in ledgers if query(one, f"SELECT 1 FROM items WHERE key = '{key}'"))


def test_decisions_of_people_are_kept(catalog: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Those in the ledger of the whole and those in that of a shard, for copies in other shards too, each once."""
    shards, out = run_shards(catalog, tmp_path / "shards", small_bundle, 2), tmp_path / "tags.csv"
    merge(shards, out, small_bundle)
    decide(out.with_suffix(".ledger"), "0000.jpg", "Bag")
    decide(holding(shards, "0001.jpg"), "0001.jpg", "Coat")
    run_shards(catalog, tmp_path / "shards", small_bundle, 2)
    for _ in range(2):
        merge(shards, out, small_bundle)
        found = {row["path"]: (row["tag"], row["reason"]) for row in rows_of(out)}
        assert found["0000.jpg"] == found["more/copy 0.jpg"] == ("Bag", "reviewed")
        assert found["0001.jpg"] == found["more/copy 1.jpg"] == ("Coat", "reviewed")
        assert query(out.with_suffix(".ledger"), "SELECT count(*) FROM reviews") == [(2,)]


def test_a_merge_that_was_stopped_is_done_again(
    catalog: Path, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the results were taken, it leaves the old output; the next one gives that of a first merge."""
    shards, out = run_shards(catalog, tmp_path / "shards", small_bundle, 2), tmp_path / "tags.csv"
    out.write_text("before")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merging, "publish", stop)
        assert merge(shards, out, small_bundle).code == 130
    assert out.read_text() == "before"
    assert merge(shards, out, small_bundle).code == 3
    assert merge(shards, tmp_path / "first.csv", small_bundle).code == 3
    assert out.read_bytes() == (tmp_path / "first.csv").read_bytes()


def test_a_damaged_ledger_of_the_whole_is_set_aside(catalog: Path, small_bundle: Path, tmp_path: Path) -> None:
    """The merge begins a new one, as a run does, and its output is the same."""
    shards, out = run_shards(catalog, tmp_path / "shards", small_bundle, 2), tmp_path / "tags.csv"
    merge(shards, out, small_bundle)
    before = out.read_bytes()
    ledger = out.with_suffix(".ledger")
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * 40_000)
    done = merge(shards, out, small_bundle)
    assert (done.code, "a new one is begun" in done.err) == (3, True), done.err
    assert out.read_bytes() == before
    assert list(tmp_path.glob("tags.ledger.damaged-*"))


def test_the_source_is_told_by_a_shard(catalog: Path, small_bundle: Path, tmp_path: Path) -> None:
    """By the first that has one; `-` where none has."""
    shards = run_shards(catalog, tmp_path / "shards", small_bundle, 2)
    assert source_of([tmp_path / "none.csv", *shards]) == str(catalog)
    shutil.rmtree(tmp_path / "shards")
    assert source_of(shards) == "-"
