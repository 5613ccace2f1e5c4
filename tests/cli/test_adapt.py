"""`fmtag adapt` on the terminal: what is printed of a result, and refusals."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from adaptation_helpers import write_table
from corrections_helpers import NAMES, Shop
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import assert_one_sentence, draw_photo, run_cli

from tagger.adaptation.adapt import AdaptationResult
from tagger.adaptation.validation import AccuracyGain, SuspectLabel
from tagger.cli.adapt import LISTED_SUSPECTS, print_adapted


def test_the_result_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes, accuracy by label with intervals, the first suspects and a count of the rest; how to use the bundle on stderr."""
    monkeypatch.setenv("COLUMNS", "120")
    gain = AccuracyGain("Hose", 12, (0.5, 0.4, 0.6), (0.75, 0.7, 0.8))
    suspects = [SuspectLabel(f"{number}.jpg", "Hose", "Rock", 0.91) for number in range(LISTED_SUSPECTS + 2)]
    adapted = AdaptationResult(1_000, labelled=24, gains=[gain], suspects=suspects, notes=["A note."], changed=0.125)
    adapted.written = SimpleNamespace(model="mine@1")
    print_adapted(adapted, "mine")
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["A", "note."]
    assert ["Hose", "12", "0.500", "(0.400-0.600)", "0.750", "(0.700-0.800)"] in lines
    assert sum(words[1:] == ["Hose", "Rock", "0.91"] for words in lines) == LISTED_SUSPECTS
    assert ["...", "and", "2", "more."] in lines
    assert err == "1,000 photos, 24 labelled; 12.5% of the tags change. mine@1: fmtag run ... --model mine\n"


def test_nothing_written_is_nothing_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a bundle there is no line on how to use one."""
    print_adapted(AdaptationResult(60), "mine")
    assert capsys.readouterr() == ("", "")


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing options, an unknown bundle and the name of a shipped one are one sentence, before any photo is read."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    draw_photo(1).save(tmp_path / "a.png")
    assert_one_sentence(run_cli("adapt", tmp_path), 2, "--out")
    assert_one_sentence(run_cli("adapt", "--out", "mine"), 2, "CATALOG")
    assert_one_sentence(run_cli("adapt", tmp_path, "--out", "mine", "--other-labels", "rename"), 2, "--other-labels")
    assert_one_sentence(run_cli("adapt", tmp_path, "--out", "mine", "--from", "nobody"), 1, "There is no bundle 'nobody'")
    assert_one_sentence(run_cli("adapt", tmp_path, "--out", "catalog"), 1, "comes with fmtag")
    assert not (tmp_path / "models").exists()


def test_decisions_are_taken_without_being_told(shop: Shop, photo_bundle: Path, tmp_path: Path) -> None:
    """A review, then `adapt`: its decisions are the labels, the card says so, and a line how to leave them out."""
    shop.decide(dict.fromkeys(NAMES[:6], "Bag") | dict.fromkeys(NAMES[6:10], "Gürtel") | {"sub/0.jpg": ""})
    given = (shop.folder, "--from", photo_bundle, "--out", tmp_path / "mine", "--force")
    done = run_cli("adapt", *given)
    assert done.code == 0, done.err
    assert "decisions of people about 12 photos, from" in done.err
    assert "13 photos, 12 labelled" in done.err
    card = json.loads((tmp_path / "mine" / "card.json").read_text(encoding="utf-8"))
    assert "Gürtel" in card["labels"]
    assert "Trouser" in card["labels"]
    assert "shop/tags.ledger" in card["data"]
    without = run_cli("adapt", *given, "--no-reviews")
    assert "13 photos, 0 labelled" in without.err
    assert "shop/tags.ledger" not in json.loads((tmp_path / "mine" / "card.json").read_text(encoding="utf-8"))["data"]


def test_a_table_counts_before_decisions(shop: Shop, photo_bundle: Path, tmp_path: Path) -> None:
    """Both are used; where they differ the table's label counts, and the photo is named."""
    shop.decide(dict.fromkeys(NAMES[:4], "Bag"))
    table = write_table(
        tmp_path / "labels.csv", [("0.jpg", "Coat"), ("a,b;c.jpg", "bag"), ("@at.jpg", "Coat"), ("sub/0.jpg", "Coat")]
    )
    done = run_cli("adapt", shop.folder, "--from", photo_bundle, "--out", tmp_path / "mine", "--labels", table, "--force")
    assert done.code == 0, done.err
    assert "13 photos, 7 labelled" in done.err
    assert "where the table counts (1): 0.jpg." in " ".join(done.out.split())


@pytest.mark.parametrize("label", ["", "Bag", "Gürtel"])
def test_few_decisions_stop_no_adaptation(shop: Shop, photo_bundle: Path, tmp_path: Path, label: str) -> None:
    """One label alone, of the bundle, of one's own or none of them, needs no further option: the bundle's labels stay."""
    shop.decide({"0.jpg": label, "@at.jpg": label})
    done = run_cli("adapt", shop.folder, "--from", photo_bundle, "--out", tmp_path / "mine", "--force")
    assert done.code == 0, done.err
    assert "13 photos, 3 labelled" in done.err
