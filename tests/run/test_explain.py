"""The explanation of one row."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from run_helpers import Command, Night

from tagger.errors import LedgerError
from tagger.run import explain


def test_explain_has_everything_about_a_photo(night: Night, shop: Path, tmp_path: Path, command: Command) -> None:
    """Bytes, bundle, probabilities, row, reason, copies and every run, of a photo that was added, removed and added again."""
    night(min_confidence=0.0)
    kept = (shop / "0005.jpg").read_bytes()
    (shop / "0005.jpg").unlink()
    night(min_confidence=0.0)
    (shop / "0005.jpg").write_bytes(kept)
    shutil.copy(shop / "0005.jpg", shop / "also.jpg")
    summary = night(min_confidence=0.0)
    night(min_confidence=1.0)
    known = explain.explain(str(shop / "0005.jpg"), tmp_path / "tags.ledger")

    assert known["path"] == "0005.jpg"
    assert known["file"]["sha256"] == hashlib.sha256(kept).hexdigest()
    assert known["model"] == summary.model
    assert known["scored"]["run"] == 1
    assert len(known["probabilities"]) == 11
    assert sum(known["probabilities"].values()) == pytest.approx(1, abs=0.002)
    assert known["row"]["tag"] == next(iter(known["probabilities"]))
    assert known["copies"] == ["also.jpg"]
    assert [listed["run"] for listed in known["nights"]] == [1, 3, 4]
    assert [event["change"] for event in known["history"]][:3] == ["new", "vanished", "new"]
    assert "below the threshold of 1.0000" in known["why"]
    code, text, _ = command("explain", "0005.jpg", "--ledger", tmp_path / "tags.ledger")
    assert code == 0
    assert known["file"]["sha256"] in text
    _, values, _ = command("explain", "broken.jpg", "--ledger", tmp_path / "tags.ledger", "--json")
    assert json.loads(values)["failure"]["reason"] == "truncated"


def test_explain_refuses_unknown_paths(night: Night, tmp_path: Path) -> None:
    """An unknown path is one sentence with the paths of the same name; a missing ledger is one sentence too."""
    night()
    with pytest.raises(LedgerError, match=r"photos of that name: more/copy\.jpg"):
        explain.explain("copy.jpg", tmp_path / "tags.ledger")
    with pytest.raises(LedgerError, match="There is no ledger"):
        explain.explain("copy.jpg", tmp_path / "nothing.ledger")
