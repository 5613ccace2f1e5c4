"""`fmtag explain` on the terminal."""

import json
from collections.abc import Callable
from pathlib import Path

from helpers import RunCli, assert_one_sentence


def test_a_photo_is_explained_as_text_and_as_json(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """Both forms name the photo, and JSON is one document; an unknown photo is one sentence."""
    assert cli("run", photos(2), "--out", tmp_path / "tags.csv", "--quiet").code == 0
    ledger = ("--ledger", tmp_path / "tags.ledger")
    text = cli("explain", "0001.jpg", *ledger)
    assert (text.code, text.err) == (0, "")
    assert "0001.jpg" in text.out
    known = json.loads(cli("explain", "0001.jpg", *ledger, "--json").out)
    assert known["path"] == "0001.jpg"
    assert known["file"]["size"] == (tmp_path / "photos" / "0001.jpg").stat().st_size
    assert_one_sentence(cli("explain", "0009.jpg", *ledger), 1, "0009.jpg")
    assert_one_sentence(cli("explain", "0001.jpg"), 2, "--ledger")
    assert_one_sentence(cli("explain", "0001.jpg", "--ledger", tmp_path / "none"), 1, "none")
