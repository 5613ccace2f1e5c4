"""A ledger is read from many threads, without a lock or a snapshot that outlives a call."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from helpers import ROOT
from queue_helpers import Catalog
from run_helpers import query

from tagger.errors import LedgerError
from tagger.review.ledger_reader import MAX_IDLE, LedgerReader
from tagger.run.ledger import open_ledger


@pytest.fixture
def reader(tagged: Catalog) -> Iterator[LedgerReader]:
    """A reader of a ledger that a run has left."""
    with LedgerReader(tagged.ledger) as opened:
        yield opened


def test_nothing_can_be_written(reader: LedgerReader, tagged: Catalog) -> None:
    """A query that would change the ledger fails, and changes nothing."""
    with pytest.raises(LedgerError, match="readonly"):
        reader.rows("DELETE FROM items")
    assert reader.rows("SELECT count(*) FROM items") == [(12,)]


def test_the_state_changes_with_every_commit_and_only_then(reader: LedgerReader, tagged: Catalog) -> None:
    """What is kept until the ledger changes is right after each decision, of whatever process, and is kept in between."""
    before = reader.state()
    reader.rows("SELECT * FROM items")
    assert reader.state() == before
    for number in range(3):
        with closing(sqlite3.connect(tagged.ledger)) as sql, sql:
            sql.execute("UPDATE items SET tries = ?", (number,))
        assert reader.state() != before
        before = reader.state()
    tagged.ledger.rename(tagged.ledger.with_suffix(".aside"))
    with open_ledger(tagged.ledger):
        pass
    assert reader.state() != before


def test_threads_share_connections(reader: LedgerReader) -> None:
    """Forty threads at once, as a server has them, read what is there; few connections stay open."""
    with ThreadPoolExecutor(40) as pool:
        counts = list(pool.map(lambda _: reader.rows("SELECT count(*) FROM items, items more")[0][0], range(400)))
    assert set(counts) == {144}
    assert len(reader._idle) <= MAX_IDLE


def test_another_database_is_read_beside_the_ledger(reader: LedgerReader, tmp_path: Path) -> None:
    """It is another one for each query, and one that is gone since does no harm to queries without it."""
    for number in range(3):
        path = tmp_path / f"extra {number} ?#%.sqlite"
        with closing(sqlite3.connect(path)) as sql, sql:
            sql.execute("CREATE TABLE numbers (number)")
            sql.execute("INSERT INTO numbers VALUES (?)", (number,))
        assert reader.rows("SELECT number FROM extra.numbers", attached=path) == [(number,)]
        path.unlink()
    assert reader.rows("SELECT count(*) FROM items") == [(12,)]


def test_a_ledger_of_before_gets_its_new_tables(tmp_path: Path) -> None:
    """A ledger that no run of this fmtag has seen can be reviewed at once."""
    shutil.copy(ROOT / "tests" / "fixtures" / "ledger-1.sqlite", tmp_path / "old.ledger")
    with LedgerReader(tmp_path / "old.ledger") as reader:
        assert reader.rows("SELECT * FROM reviews") == []
    assert query(tmp_path / "old.ledger", "PRAGMA user_version")[0][0] >= 4


def test_odd_paths_are_opened(tmp_path: Path) -> None:
    """Characters that have a meaning in an address of SQLite have none in the path of a ledger."""
    path = tmp_path / "50% of #1?mode=memory.ledger"
    with open_ledger(path):
        pass
    with LedgerReader(path) as reader:
        assert reader.rows("SELECT count(*) FROM items") == [(0,)]


def test_a_closed_reader_says_so(tagged: Catalog) -> None:
    """A request that is still under way when the server stops gets an error of fmtag's."""
    reader = LedgerReader(tagged.ledger)
    reader.close()
    with pytest.raises(LedgerError, match="has been closed"):
        reader.rows("SELECT 1")


def test_a_ledger_that_has_gone_is_one_sentence(reader: LedgerReader, tagged: Catalog) -> None:
    """A removed ledger is told, not read from a file that has no name any more."""
    tagged.ledger.unlink()
    with pytest.raises(LedgerError, match="There is no ledger"):
        reader.rows("SELECT 1")
    with pytest.raises(LedgerError, match="There is no ledger"):
        reader.state()
