"""The files that a run reads and writes."""

from pathlib import Path

import pytest
from run_helpers import Night

from tagger.errors import OutputError


def test_outputs_have_different_paths(night: Night, tmp_path: Path) -> None:
    """Output, report, changes and ledger are four files, each in an existing folder."""
    for more in ({"changes": str(tmp_path / "tags.csv")}, {"ledger": tmp_path / "tags.csv"}, {"report": tmp_path / "tags.csv"}):
        with pytest.raises(OutputError, match="is what --out names"):
            night(**more)
    with pytest.raises(OutputError, match="there is no folder"):
        night(report=tmp_path / "none" / "run.json")


def test_the_ledger_is_beside_the_output_whatever_its_format(night: Night, shop: Path, tmp_path: Path) -> None:
    """tags.csv and tags.json share tags.ledger, and --ledger names another file."""
    (shop / "broken.jpg").unlink()
    night("tags.csv")
    assert night("tags.json").files_read == 0
    assert night("tags.csv", ledger=tmp_path / "elsewhere.db").files_read == 9
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "elsewhere.db",
        "tags.csv",
        "tags.json",
        "tags.ledger",
    ]
