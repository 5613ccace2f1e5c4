"""The explanation of one row."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from run_helpers import Command, Night

from tagger.errors import LedgerError
from tagger.photos.settings import DecodeSettings
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


def test_a_path_may_be_given_as_the_output_or_the_shell_has_it(
    night: Night, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key, a full path and a path from the current folder lead to the same photo."""
    night()
    monkeypatch.chdir(tmp_path)
    for path in ("more/copy.jpg", str(shop / "more" / "copy.jpg"), "shop/more/copy.jpg", "shop/../shop/more/copy.jpg"):
        assert explain.explain(path, tmp_path / "tags.ledger")["path"] == "more/copy.jpg"


def test_at_most_five_paths_are_suggested(night: Night, shop: Path, tmp_path: Path) -> None:
    """Of many photos with the same name five are named; without any the sentence says which paths to give."""
    for number in range(7):
        (shop / str(number)).mkdir()
        shutil.copy(shop / "0000.jpg", shop / str(number) / "same.jpg")
    night()
    with pytest.raises(LedgerError) as caught:
        explain.explain("same.jpg", tmp_path / "tags.ledger")
    assert str(caught.value).count("same.jpg") == 6
    with pytest.raises(LedgerError, match="give a path as the output has it"):
        explain.explain("none.jpg", tmp_path / "tags.ledger")


def test_each_reason_has_its_sentence(night: Night, shop: Path, tmp_path: Path) -> None:
    """The reason in the row is explained with the numbers that decided it."""
    Image.new("RGB", (200, 200), "white").save(shop / "blank.png")
    night(min_confidence=1.0, decoding=DecodeSettings(allow_truncated=True))

    def why(path: str) -> str:
        return str(explain.explain(path, tmp_path / "tags.ledger")["why"])

    assert why("0000.jpg").startswith("flagged: its confidence 0.")
    assert why("0000.jpg").endswith("is below the threshold of 1.0000")
    assert why("blank.png") == "flagged: no product stands out from the background"
    assert why("broken.jpg") == "flagged: its file ends early or is damaged inside"
    night(min_confidence=0.0)
    assert why("0000.jpg").startswith("not flagged: its confidence 0.")
    assert why("0000.jpg").endswith("reaches the threshold of 0.0000")
    assert why("broken.jpg") == "flagged: it could not be read (truncated)"
    (shop / "0001.jpg").unlink()
    night(min_confidence=0.0)
    assert why("0001.jpg") == "it is not in the last output"


def test_the_text_names_series_of_runs(night: Night, shop: Path, tmp_path: Path) -> None:
    """Consecutive runs with the photo in their output are one line, from the first to the last."""
    night()
    night()
    (shop / "0005.jpg").rename(tmp_path / "0005.jpg")
    night()
    (tmp_path / "0005.jpg").rename(shop / "0005.jpg")
    night()
    text = explain.as_text(explain.explain("0005.jpg", tmp_path / "tags.ledger"))
    lines = text.splitlines()
    start = lines.index("  in the output of 3 runs:")
    assert re.fullmatch(r" +run 1 \(.*\) to run 2 \(.*\)", lines[start + 1])
    assert re.fullmatch(r" +run 4 \([^()]*\)", lines[start + 2])
    assert lines[start + 3] == "  history:"
    assert [line.split("): ")[1].split(" (")[0] for line in lines[start + 4 :]] == ["new", "vanished", "new"]
