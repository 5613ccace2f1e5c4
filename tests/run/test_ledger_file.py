"""The file of a ledger: damaged, of another kind, locked, set aside."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from run_helpers import Night, query

from tagger.errors import LedgerError
from tagger.run.pipeline import RunCallbacks


@pytest.mark.parametrize("damage", ["zeros", "head", "middle", "cut", "table", "text"])
def test_a_damaged_ledger_is_set_aside_and_rebuilt(night: Night, tmp_path: Path, damage: str) -> None:
    """A warning names the file that it is kept as, and the output is what it should be."""
    night()
    before, place = (tmp_path / "tags.csv").read_bytes(), tmp_path / "tags.ledger"
    content = bytearray(place.read_bytes())
    if damage == "table":
        with closing(sqlite3.connect(place)) as sql:
            sql.execute("DROP TABLE contents")
    elif damage == "text":
        place.write_text("no database at all, but long enough to be one" * 100)
    else:
        at, end = {"zeros": (0, len(content)), "head": (0, 200), "middle": (4096, 30_000), "cut": (0, 0)}[damage]
        content[at:end] = bytes(end - at)
        place.write_bytes(content[:6000] if damage == "cut" else content)

    messages: list[str] = []
    summary = night(callbacks=RunCallbacks(warned=messages.append))

    assert (summary.photos, summary.scored) == (10, 8)
    aside = [path.name for path in tmp_path.glob("tags.ledger.damaged-*")]
    assert len(messages) == len(aside) == 1
    assert "is damaged" in messages[0]
    assert aside[0] in messages[0]
    assert (tmp_path / "tags.csv").read_bytes() == before
    assert night().files_read == 1


def test_a_file_of_another_kind_is_refused(night: Night, shop: Path, tmp_path: Path) -> None:
    """Another kind of file, or another program's database, given by mistake is neither written to nor set aside."""
    shutil.copy(shop / "0000.jpg", tmp_path / "noise")
    with (tmp_path / "noise").open("r+b") as file:
        file.write(b"none")
    with pytest.raises(LedgerError, match="is not a ledger"):
        night(ledger=tmp_path / "noise")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as sql:
        sql.execute("CREATE TABLE mine (x)")
    with pytest.raises(LedgerError, match="another program"):
        night(ledger=other)
    assert query(other, "SELECT name FROM sqlite_master") == [("mine",)]
