"""What a merge needs is stored by each finished run over a shard, and by no other."""

from pathlib import Path

import pytest
from run_helpers import Night, query

from tagger.errors import LedgerError
from tagger.run.shards import Shard

ROWS = "SELECT position, key FROM shard_rows ORDER BY position"


def test_each_shard_keeps_the_positions_of_the_whole(night: Night, tmp_path: Path) -> None:
    """The rows of all shards are those of the folder, each with its place there; counts are those of the whole."""
    night("whole.csv")
    rows = []
    for number in range(3):
        night(f"tags-{number}.csv", shard=Shard(number, 3))
        ledger = tmp_path / f"tags-{number}.ledger"
        assert query(ledger, "SELECT shard, shards, items, columns, schema FROM shards") == [(number, 3, 10, "[]", None)]
        rows += query(ledger, ROWS)
    whole = [line.split(",")[0] for line in (tmp_path / "whole.csv").read_text().splitlines()[1:]]
    assert sorted(rows) == [*enumerate(whole, 1)]


def test_a_run_over_the_whole_source_forgets_the_shard(night: Night, tmp_path: Path) -> None:
    """Without --shard nothing is stored, and what was there is removed; a killed run removes nothing."""
    night(shard=Shard(0, 2))
    stored = query(tmp_path / "tags.ledger", ROWS)
    assert stored
    with pytest.raises(KeyboardInterrupt):
        night(label_map=None, callbacks=_interrupting())
    assert query(tmp_path / "tags.ledger", ROWS) == stored
    night()
    assert query(tmp_path / "tags.ledger", "SELECT count(*) FROM shard_rows") == [(0,)]
    assert query(tmp_path / "tags.ledger", "SELECT count(*) FROM shards") == [(0,)]


def test_another_shard_needs_an_output_of_its_own(night: Night, tmp_path: Path) -> None:
    """Two shards with one output would replace each other's rows; the second is refused, and the first one's output stays."""
    night(shard=Shard(0, 2))
    before = (tmp_path / "tags.csv").read_bytes()
    with pytest.raises(LedgerError, match="that of shard 0/2, and this is 1/2; give each shard an output of its own"):
        night(shard=Shard(1, 2))
    assert (tmp_path / "tags.csv").read_bytes() == before


def test_an_empty_shard_has_a_header_only(night: Night, tmp_path: Path) -> None:
    """A shard that no item falls to is done all the same."""
    empty = next(number for number in range(1000) if not night(f"{number}.csv", shard=Shard(number, 1000)).photos)
    assert (tmp_path / f"{empty}.csv").read_text().count("\n") == 1
    assert query(tmp_path / f"{empty}.ledger", "SELECT items FROM shards") == [(10,)]


def _interrupting() -> object:
    from tagger.run.plan import RunCallbacks

    def interrupt(summary: object) -> None:
        raise KeyboardInterrupt

    return RunCallbacks(started=interrupt)
