"""The columns of the output are there to search in and to show, read in the background and again after a run."""

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers import rows_of
from queue_helpers import Catalog, all_rows, tag, write_table

from tagger.review import columns as columns_module
from tagger.review.columns import LEFT_SECONDS, LOCK, PREFIX, Columns, output_of
from tagger.review.queue import Filters, ReviewQueue


def test_an_items_columns_are_those_of_its_rows(tagged: Catalog) -> None:
    """Each row of the output gives its own cells, as text, by the path that the ledger has."""
    with Columns(tagged.out) as columns:
        assert columns.wait()
        assert columns.names == ("image", "sku", "name", "source_tag")
        assert columns.problem == ""
        for row in tagged.rows:
            assert columns.values(row["path"]) == ({name: row[name] for name in columns.names},)
        assert columns.values("no such path") == ()


def test_rows_that_share_a_photo_each_have_their_columns(tmp_path: Path, photo_bundle: Path) -> None:
    """A product in three sizes with one photo is found by each SKU, and shows all three."""
    table = write_table(tmp_path / "catalog")
    table.write_text("image,sku\n" + "".join(f"a/0003.jpg,S-{size}\n" for size in "SML"), encoding="utf-8")
    tag(table, tmp_path / "tags.csv", photo_bundle)
    with Columns(tmp_path / "tags.csv") as columns, ReviewQueue(tmp_path / "tags.ledger", columns) as queue:
        assert queue.left(Filters(column="sku", text="s-m")) == 1
        assert [row["sku"] for row in columns.values("a/0003.jpg")] == ["S-S", "S-M", "S-L"]


def test_a_search_waits_for_the_columns(tagged: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search right after the start finds what it would find later; pages without one do not wait."""
    read = columns_module.read_output
    counted: list[int] = []

    def slow(path: Path) -> object:
        counted.append(queue.left(Filters()))
        return read(path)

    with ReviewQueue(tagged.ledger) as queue:
        monkeypatch.setattr(columns_module, "read_output", slow)
        with Columns(tagged.out) as columns, ReviewQueue(tagged.ledger, columns) as searching:
            assert searching.left(Filters(column="sku", text="SKU")) == counted[0] > 0


def test_columns_follow_the_output_of_the_next_run(tagged: Catalog, photo_bundle: Path) -> None:
    """Once a run has replaced the output, its new rows and cells are found, without a restart."""
    with Columns(tagged.out) as columns, ReviewQueue(tagged.ledger, columns) as queue:
        assert columns.wait()
        assert queue.left(Filters(column="sku", text="NEW")) == 0
        shutil.copy(tagged.table.parent / "a" / "0003.jpg", tagged.table.parent / "a" / "late.jpg")
        with tagged.table.open("a", encoding="utf-8") as file:
            file.write("a/late.jpg,NEW-1,late,\n")
        tag(tagged.table, tagged.out, photo_bundle)
        columns.values("a/late.jpg")
        columns.join()
        assert columns.values("a/late.jpg")[0]["sku"] == "NEW-1"
        assert [row.key for row in all_rows(queue, Filters(column="sku", text="NEW"))] == ["a/late.jpg"]
        assert len(list(columns.database.parent.glob("*.sqlite"))) == 1 if columns.database else False


@pytest.mark.parametrize("content", [None, b"sku,name\n1,2\n", b"PAR1 damaged"])
def test_an_output_that_cannot_be_read_is_no_columns(tagged: Catalog, content: bytes | None) -> None:
    """The queue works without it; a sentence says why there is nothing to search in."""
    tagged.out.unlink() if content is None else tagged.out.write_bytes(content)
    with Columns(tagged.out) as columns, ReviewQueue(tagged.ledger, columns) as queue:
        assert columns.wait()
        assert columns.names == ()
        assert columns.problem.endswith(".")
        assert str(tagged.out) in columns.problem
        assert queue.left(Filters()) > 0
        assert queue.left(Filters(column="sku", text="1")) == 0
        details = queue.details(all_rows(queue)[0].item)
        assert details is not None
        assert details.columns == ()


def test_a_folder_has_no_columns(tmp_path: Path, photo_bundle: Path) -> None:
    """The output of a folder has fmtag's own columns alone; there is nothing to index."""
    table = write_table(tmp_path / "catalog")
    tag(table.parent / "a", tmp_path / "tags.csv", photo_bundle)
    with Columns(tmp_path / "tags.csv") as columns:
        assert columns.wait()
        assert columns.names == ()
        assert columns.problem == ""
    with Columns(None) as columns:
        assert columns.wait()
        assert columns.problem.startswith("The last run wrote no file")


def test_the_index_is_removed(tagged: Catalog, tmp_path: Path) -> None:
    """Nothing is left in the folder of temporary files, also where it is closed while the output is read."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    with Columns(tagged.out, folder) as columns:
        assert columns.wait()
    Columns(tagged.out, folder).close()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="locks of files")
def test_what_a_killed_server_left_is_removed(tagged: Catalog, tmp_path: Path) -> None:
    """The next review removes its index, but neither that of one that is running, nor one that is being made."""
    killed, new = tmp_path / f"{PREFIX}killed", tmp_path / f"{PREFIX}new"
    for folder in (killed, new):
        folder.mkdir()
        (folder / LOCK).touch()
        (folder / "columns-1.sqlite").write_bytes(b"index")
    with Columns(tagged.out, tmp_path) as running:
        assert running.wait()
        assert running.database is not None
        long_ago = time.time() - 2 * LEFT_SECONDS
        for lock in (killed / LOCK, running.database.parent / LOCK):
            os.utime(lock, (long_ago, long_ago))
        Columns(None, tmp_path).close()
        assert {path.name for path in tmp_path.glob(f"{PREFIX}*")} == {new.name, running.database.parent.name}


def test_the_output_is_the_one_that_the_last_run_wrote(
    tagged: Catalog, photo_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger tells it, also where the command had a path from another folder; standard output is none."""
    assert output_of(tagged.ledger) == tagged.out
    monkeypatch.chdir(tagged.out.parent)
    tag(tagged.table, Path("tags.csv"), photo_bundle)
    monkeypatch.chdir(tmp_path)
    found = output_of(Path(os.path.relpath(tagged.ledger)))
    assert found is not None
    assert rows_of(found) == rows_of(tagged.out)
    tag(tagged.table, Path("-"), photo_bundle, "--ledger", str(tagged.ledger))
    assert output_of(tagged.ledger) is None
