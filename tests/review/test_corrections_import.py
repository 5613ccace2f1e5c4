"""Decisions of files are recorded once, all or none, and never over later ones of the ledger."""

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from adaptation_helpers import write_table
from corrections_helpers import NAMES, Shop, copy_of
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import rows_of
from run_helpers import age

from tagger.errors import SourceError
from tagger.file_names import escape_surrogates
from tagger.review.corrections import Correction, read_corrections
from tagger.review.corrections import write_table as write_corrections
from tagger.review.corrections_import import Imported, import_answers
from tagger.review.label_studio import write_tasks
from tagger.review.ledger_reader import LedgerReader
from tagger.run.reviews import ReviewStore

LABELS = {name: ("Bag", "Coat", "", "Belt")[number % 4] for number, name in enumerate(NAMES)}


def listed(shop: Shop) -> list[Correction]:
    """Return the decisions of a ledger."""
    with LedgerReader(shop.ledger) as reader:
        return list(read_corrections(reader))


def take(shop: Shop, file: Path, **more: Any) -> Imported:
    """Record the decisions of a file."""
    return import_answers(shop.ledger, file, "me", **more)


def counts(done: Imported) -> tuple[int, int]:
    """Return how many decisions were recorded, and how many known."""
    return done.recorded, done.unchanged


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet", "label-studio.json"])
def test_a_round_trip_keeps_every_decision(shop: Shop, shop_template: Path, tmp_path: Path, suffix: str) -> None:
    """Out of one ledger and into a new one of the same photos: the same rows, and nothing the second time."""
    shop.decide(LABELS)
    out = tmp_path / f"c.{suffix}"
    if suffix == "label-studio.json":
        write_tasks(listed(shop), str(out), "/data/local-files/?d=shop/")
    else:
        write_corrections(listed(shop), str(out), suffix)  # type: ignore[arg-type]
    second = copy_of(shop_template, tmp_path / "second")
    assert counts(take(second, out)) == (len(NAMES), 0)
    assert listed(second) == listed(shop)
    assert counts(take(second, out)) == (0, len(NAMES))
    assert (second.reviews(), shop.reviews()) == (len(NAMES), len(NAMES))


def test_later_decisions_of_the_ledger_stay(shop: Shop, tmp_path: Path) -> None:
    """A file that is taken again undoes neither a decision nor a take-back that came after it."""
    age(table := write_table(tmp_path / "c.csv", [("@at.jpg", "Bag"), ("0.jpg", "Bag")]))
    assert counts(take(shop, table)) == (2, 0)
    shop.decide({"@at.jpg": "Coat"})
    with closing(ReviewStore(shop.ledger)) as store:
        store.undo([store.counting([shop.shown("0.jpg").sha256])[0].id], "Ada")
    done = take(shop, table)
    assert counts(done) == (0, 0)
    assert any("since then, left as they are (2)" in sentence for sentence in done.notes)
    assert shop.decided() == {"@at.jpg": ("Coat", "Ada")}


def test_an_edited_label_is_a_decision_of_who_takes_it(shop: Shop, tmp_path: Path) -> None:
    """A row that was exported and changed replaces the decision that it was exported from, once."""
    shop.decide({"@at.jpg": "Bag", "sub/0.jpg": "Bag"})
    out = tmp_path / "c.csv"
    write_corrections(listed(shop), str(out), "csv")
    out.write_text(out.read_text(encoding="utf-8").replace("@at.jpg,Bag", "@at.jpg,Coat"), encoding="utf-8")
    assert [counts(take(shop, out)) for _ in range(2)] == [(1, 1), (0, 2)]
    assert shop.decided() == {"@at.jpg": ("Coat", "me"), "sub/0.jpg": ("Bag", "Ada")}


def test_only_changed_rows_of_an_output_are_decisions(shop: Shop) -> None:
    """Of an output that somebody corrected: another tag, or a flag that was removed; not what the networks wrote."""
    rows = rows_of(shop.out)
    by_path = {row["path"]: row for row in rows}
    by_path["@at.jpg"]["tag"] = "Bag" if by_path["@at.jpg"]["tag"] != "Bag" else "Coat"
    by_path["-dash.jpg"]["low_confidence"] = "false"
    edited = write_table(shop.out.with_name("edited.csv"), [tuple(row.values()) for row in rows], tuple(rows[0]))
    done = take(shop, edited)
    assert counts(done) == (2, 0)
    assert shop.decided() == {path: (by_path[path]["tag"], "me") for path in ("@at.jpg", "-dash.jpg")}
    assert f"which are no decisions: {len(rows) - 2}." in done.notes[-1]


def test_names_come_from_the_file_or_the_option(shop: Shop, tmp_path: Path) -> None:
    """Without a name in the file it is the default; the option counts for all."""
    rows = [("0.jpg", "Bag", "Bea"), ("@at.jpg", "Bag", "")]
    take(shop, write_table(tmp_path / "c.csv", rows, ("path", "label", "reviewer")))
    assert {shop.decided()[name][1] for name in ("0.jpg", "copy.jpg")} == {"Bea"}
    assert shop.decided()["@at.jpg"] == ("Bag", "me")
    take(shop, write_table(tmp_path / "d.csv", [("sub/0.jpg", "Bag", "Bea")], ("path", "label", "reviewer")), reviewer="Cy")
    assert shop.decided()["sub/0.jpg"] == ("Bag", "Cy")


def test_what_is_odd_is_told(shop: Shop, tmp_path: Path) -> None:
    """Unknown photos, labels of other spelling and of no bundle, two labels of one photo, rows without a label."""
    rows = [
        ("0.jpg", "bag"),
        ("copy.jpg", "Coat"),
        ("@at.jpg", "BAG"),
        ("-dash.jpg", "Belt"),
        ("gone.jpg", "Bag"),
        ("+plus.jpg", ""),
    ]
    done = take(shop, write_table(tmp_path / "c.csv", rows))
    assert counts(done) == (2, 0)
    assert {name: label for name, (label, _) in shop.decided().items()} == {"@at.jpg": "Bag", "-dash.jpg": "Belt"}
    text = " ".join(done.notes)
    for part in (
        "'BAG' as 'Bag'",
        "lacks (1): 'Belt'",
        "have, left out (1): gone.jpg",
        "labels, left out (1): 0.jpg",
        "over: 1.",
    ):
        assert part in text


def test_the_latest_answer_about_a_photo_counts(shop: Shop, tmp_path: Path) -> None:
    """Of several records of one task in Label Studio's short export."""
    record = {"image": "/data/local-files/?d=shop/%40at.jpg", "id": 1, "annotation_id": 1}
    answers = [("Bag", "2026-01-02T00:00:00Z"), ("Coat", "2026-01-03T00:00:00Z"), ("Dress", "2026-01-01T00:00:00Z")]
    tasks = [record | {"choice": label, "annotator": 3, "updated_at": time} for label, time in answers]
    (tmp_path / "min.json").write_text(json.dumps(tasks))
    assert counts(take(shop, tmp_path / "min.json")) == (1, 0)
    assert shop.decided() == {"@at.jpg": ("Coat", "user 3")}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("0.jpg", "Bag"), ("@at.jpg", "a\x1b[2Jb")], "the label holds characters"),
        ([("0.jpg", "Bag"), ("@at.jpg", "x" * 300)], "longer than 200"),
        ([("gone.jpg", "Bag")], "No photo of .* is among those of"),
        ([("0.jpg", "")], "labels no photo"),
    ],
)
def test_refused_files_record_nothing(shop: Shop, tmp_path: Path, rows: list[tuple[str, str]], sentence: str) -> None:
    """All or none: one sentence, and the ledger as it was."""
    with pytest.raises(SourceError, match=sentence):
        take(shop, write_table(tmp_path / "c.csv", rows))
    assert shop.reviews() == 0


def test_other_bytes_are_not_decided(shop: Shop, tmp_path: Path) -> None:
    """A hash that the ledger does not have leaves the photo of that path alone."""
    rows = [("0.jpg", "Bag", os.urandom(32).hex()), ("@at.jpg", "Bag", "")]
    done = take(shop, write_table(tmp_path / "c.csv", rows, ("path", "label", "sha256")))
    assert shop.decided() == {"@at.jpg": ("Bag", "me")}
    assert any("bytes have changed, left out (1): 0.jpg" in sentence for sentence in done.notes)


def test_paths_that_are_no_unicode_are_escaped_in_notes(shop: Shop, tmp_path: Path) -> None:
    """The ledger has them as bytes; a table has them escaped."""
    name = "bytes \udcff.jpg"
    take(shop, write_table(tmp_path / "c.csv", [(escape_surrogates(name), "Bag")]))
    assert [*shop.decided()] == [escape_surrogates(name)]
