"""Ledgers of every format are read, and are upgraded step by step."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from run_helpers import Night, query

from tagger.errors import LedgerError
from tagger.run import explain, migrations
from tagger.run.ledger import open_ledger
from tagger.run.ledger_values import ListedFile, RunKey

FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("ledger-*.sqlite"))


def test_each_format_has_a_fixture() -> None:
    """A ledger of every format so far is kept."""
    assert [path.name for path in FIXTURES] == [
        f"ledger-{number}.sqlite" for number in range(1, len(migrations.MIGRATIONS) + 1)
    ]


@pytest.mark.parametrize("file", FIXTURES, ids=lambda path: path.name)
def test_old_ledgers_are_read(file: Path, tmp_path: Path) -> None:
    """A ledger of each format explains its photos and takes a further run."""
    path = tmp_path / "t.ledger"
    shutil.copy(file, path)
    known = explain.explain("red.jpg", path)
    assert known["row"]["tag"] == "Trouser"
    assert [event["change"] for event in known["history"]] == ["new", "changed_flag"]
    with open_ledger(path) as ledger:
        assert ledger.begin(RunKey("s", "o", "v", "m", "f", ["a", "b"], 0.5)) == 3


def test_embeddings_of_old_ledgers_count(tmp_path: Path) -> None:
    """A bundle of the same eyes gets the embeddings of a ledger of format 2, and counts its photo without a product."""
    path = tmp_path / "t.ledger"
    shutil.copy(FIXTURES[1], path)
    with open_ledger(path) as ledger:
        ledger.begin(RunKey("s", "o", "v", "m", "f", ["a", "b"], 0.5, eyes="abcd+g2"))
        files = ["blue.jpg", 10], ["broken.jpg", 3], ["plain.jpg", 11], ["red.jpg", 12]
        assert ledger.list_files(ListedFile(name, size, 1_600_000_000_000_000_000) for name, size in files) == 4
        assert ledger.find_outdated() == (3, 2)
        (batch,) = ledger.embedding_batches(10, length=3)
        assert [one.embedding for one in batch] == [bytes([1, 2, 3]), bytes([4, 5, 6])]
        ledger.rescore(batch, np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
        assert ledger.find_unscored() == 1


def test_a_further_migration_is_applied_once(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further step is applied to files without it, once, and their content stays."""
    night()
    step = "CREATE TABLE later (x); INSERT INTO later SELECT count(*) FROM items"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    for _ in range(2):
        assert night().scored == 0
        assert query(tmp_path / "tags.ledger", "SELECT x FROM later") == [(10,)]


def test_a_ledger_from_a_newer_fmtag_is_refused(night: Night, tmp_path: Path) -> None:
    """It is refused, and its bytes stay."""
    night()
    with closing(sqlite3.connect(tmp_path / "tags.ledger")) as sql:
        sql.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    before = (tmp_path / "tags.ledger").read_bytes()
    with pytest.raises(LedgerError, match="from a newer fmtag"):
        night()
    assert (tmp_path / "tags.ledger").read_bytes() == before


def test_another_programs_database_is_refused_and_kept(tmp_path: Path) -> None:
    """A database with tables, a version or a mark of its own is not upgraded; an empty one becomes a ledger."""
    for statement in ("CREATE TABLE mine (x)", "PRAGMA user_version = 3", "PRAGMA application_id = 5"):
        with closing(sqlite3.connect(":memory:")) as sql:
            sql.execute(statement)
            with pytest.raises(LedgerError, match="another program"):
                migrations.migrate(sql, "t.ledger")
            assert not sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sql:
        migrations.migrate(sql, "t.ledger")
        assert sql.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"fmtg", "big"),)
        assert sql.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS),)


def test_released_migrations_never_change() -> None:
    """A new ledger has the very tables of the fixture of its format, comments included."""
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        migrations.migrate(new, "t.ledger")
        assert new.execute(schema).fetchall() == query(FIXTURES[-1], schema)
