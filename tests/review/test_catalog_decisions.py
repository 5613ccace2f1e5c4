"""The decisions about a catalog are found beside it, and only those about its present bytes are labels."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from corrections_helpers import NAMES, Shop, copy_of
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import draw_photo, write_photos

from tagger.catalog.label_table import photo_key
from tagger.catalog.source import open_source
from tagger.errors import LedgerError
from tagger.review.catalog_decisions import find_ledger, label_table_of
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is neither the catalog's nor above it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_ledger_is_found_where_outputs_lie(shop: Shop, elsewhere: Path, tmp_path: Path) -> None:
    """Above the catalog, in it, and in the working directory, by whatever spelling of the catalog."""
    shop.decide({"0.jpg": "Bag"})
    assert find_ledger(str(shop.folder)) == shop.ledger.resolve()
    inside = shop.ledger.rename(shop.folder / "tags.ledger")
    assert find_ledger(f"{shop.folder}/sub/..") == inside.resolve()
    inside.rename(elsewhere / "x.ledger")
    (tmp_path / "link").symlink_to(shop.folder)
    assert find_ledger(str(tmp_path / "link")) == Path("x.ledger")


def test_other_ledgers_are_passed_over(shop: Shop, elsewhere: Path) -> None:
    """Without decisions, of another catalog, damaged, of another program, and a folder of that name."""
    assert find_ledger(str(shop.folder)) is None
    shop.decide({"0.jpg": "Bag"})
    assert find_ledger(str(shop.folder / "sub")) is None
    with closing(sqlite3.connect(shop.ledger)) as sql, sql:
        sql.execute("UPDATE runs SET source = '/another'")
    (shop.out.parent / "damaged.ledger").write_bytes(b"SQLite format 3\0" + bytes(50))
    (shop.out.parent / "folder.ledger").mkdir()
    with closing(sqlite3.connect(shop.out.parent / "other.ledger")) as sql, sql:
        sql.execute("CREATE TABLE mine (x)")
    assert find_ledger(str(shop.folder)) is None


def test_an_older_ledger_is_left_as_it_is(shop: Shop, elsewhere: Path) -> None:
    """A ledger of before decisions has none, and looking for them does not change its format."""
    with closing(sqlite3.connect(shop.ledger)) as sql, sql:
        sql.executescript("ALTER TABLE contents DROP COLUMN review; PRAGMA user_version = 3")
    before = shop.ledger.read_bytes()
    assert find_ledger(str(shop.folder)) is None
    assert shop.ledger.read_bytes() == before


def test_of_two_ledgers_one_has_to_be_named(shop: Shop, elsewhere: Path) -> None:
    """None of them is guessed; one without decisions does not matter."""
    shutil.copy(shop.ledger, elsewhere / "empty.ledger")
    shop.decide({"0.jpg": "Bag"})
    assert find_ledger(str(shop.folder)) == shop.ledger.resolve()
    shutil.copy(shop.ledger, elsewhere / "second.ledger")
    with pytest.raises(LedgerError, match=r"Several ledgers .* --ledger"):
        find_ledger(str(shop.folder))


def test_decisions_are_labels(shop: Shop) -> None:
    """Of every path of the bytes, `-` for none of the labels, with a checksum that follows from what was decided."""
    assert label_table_of(shop.ledger) is None
    shop.decide(dict.fromkeys(NAMES, "Bag") | {"sub/0.jpg": ""})
    table = label_table_of(shop.ledger)
    assert table is not None
    assert {one.item.path for one in table.photos.values()} == {*NAMES, "copy.jpg"}
    assert table.photos[shop.folder.resolve() / "sub" / "0.jpg"].label == "-"
    assert all(key.is_file() for key in table.photos)
    assert (table.notes, [*table.checksums]) == ([], ["shop/tags.ledger"])
    shop.decide({"@at.jpg": "Coat"})
    again = label_table_of(shop.ledger)
    assert again is not None
    assert again.checksums != table.checksums


def test_other_bytes_are_no_longer_labelled(shop: Shop) -> None:
    """Photos that were replaced or are gone are named."""
    shop.decide({"@at.jpg": "Bag", "+plus.jpg": "Bag", "-dash.jpg": "Bag"})
    draw_photo(99, (120, 160)).save(shop.folder / "@at.jpg")
    (shop.folder / "+plus.jpg").unlink()
    table = label_table_of(shop.ledger)
    assert table is not None
    assert [one.item.path for one in table.photos.values()] == ["-dash.jpg"]
    assert "(2): +plus.jpg, @at.jpg." in table.notes[0]


def test_a_label_map_is_reversed(shop: Shop) -> None:
    """A name of one label becomes that label; names of several, and labels of one's own, stay."""
    with closing(sqlite3.connect(shop.ledger)) as sql, sql:
        sql.execute("""UPDATE decisions SET names = '{"Bag": "Tasche", "Coat": "Oben", "Dress": "Oben"}'""")
    shop.decide({"@at.jpg": "Tasche", "+plus.jpg": "Oben", "-dash.jpg": "Gürtel"})
    table = label_table_of(shop.ledger)
    assert table is not None
    labels = {one.item.path: one.label for one in table.photos.values()}
    assert labels == {"@at.jpg": "Bag", "+plus.jpg": "Oben", "-dash.jpg": "Gürtel"}


def test_photos_of_tables_are_those_of_the_table(photo_bundle: Path, tmp_path: Path, one_thread: None) -> None:
    """Of files that a CSV names, and of bytes in a Parquet table: the keys are those that `adapt` reads the table by."""
    import pandas as pd

    photos = write_photos(tmp_path / "photos", 3)
    (tmp_path / "list.csv").write_text("sku,image\n1,photos/0000.jpg\n2,photos/0001.jpg\n")
    pd.DataFrame({"image": [(photos / f"000{number}.jpg").read_bytes() for number in range(3)]}).to_parquet(
        tmp_path / "t.parquet"
    )
    for source in ("list.csv", "t.parquet"):
        run(RunSettings(source=str(tmp_path / source), out=str(tmp_path / f"{source}.out.csv"), model=str(photo_bundle)))
        tagged = Shop(photos, tmp_path / f"{source}.out.csv", tmp_path / f"{source}.out.ledger")
        items = [*open_source(str(tmp_path / source)).items]
        tagged.decide({items[1].path: "Bag"})
        assert find_ledger(str(tmp_path / source)) == tagged.ledger.resolve()
        table = label_table_of(tagged.ledger)
        assert table is not None
        assert [*table.photos] == [photo_key(items[1])]
        assert find_ledger("-") is None


def test_a_copy_of_the_catalog_is_another_one(shop: Shop, shop_template: Path, elsewhere: Path, tmp_path: Path) -> None:
    """Decisions belong to the catalog that was tagged."""
    shop.decide({"0.jpg": "Bag"})
    second = copy_of(shop_template, tmp_path / "second")
    assert find_ledger(str(second.folder)) is None
