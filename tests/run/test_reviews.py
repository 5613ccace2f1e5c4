"""What people decide is in the ledger at once, outranks the networks, and is open again only for other bytes."""

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from run_helpers import Command, Night, query

from tagger.data.labels import LABELS
from tagger.errors import LedgerError
from tagger.records import Failed
from tagger.review.corrections import read_corrections
from tagger.review.ledger_reader import LedgerReader
from tagger.run.ledger import open_ledger
from tagger.run.pipeline import RunCallbacks
from tagger.run.review_values import Decision, Shown
from tagger.run.reviews import LONGEST_TEXT, ReviewStore

Rows = dict[str, dict[str, str]]


@pytest.fixture
def ledger(night: Night, tmp_path: Path) -> Path:
    """The ledger of one run over the catalog."""
    night()
    return tmp_path / "tags.ledger"


@pytest.fixture
def store(ledger: Path) -> Iterator[ReviewStore]:
    """The decisions of that ledger."""
    with closing(ReviewStore(ledger)) as opened:
        yield opened


def shown(ledger: Path, *names: str) -> list[Shown]:
    """Return photos of the ledger as a page shows them."""
    found = {key: Shown(item, sha) for key, item, sha in query(ledger, _ITEMS)}
    return [found[name] for name in names]


_ITEMS = "SELECT key, items.id, sha256 FROM items JOIN contents ON contents.id = content"


def rows(path: Path) -> Rows:
    """Return the rows of a CSV output by path."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def cells(path: Path, name: str) -> tuple[str, ...]:
    """Return tag, confidence, flag, reason and group confidence of a photo in a CSV output."""
    row = rows(path)[name]
    return tuple(row[column] for column in ("tag", "confidence", "low_confidence", "reason", "group", "group_confidence"))


def test_a_decision_outranks_the_networks(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """The next run gives the label with confidence 1 and the reason `reviewed`, to copies too, without reading a photo."""
    before = rows(tmp_path / "tags.csv")
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    store.record(shown(ledger, "0002.jpg"), "Belt", "Ada")
    summary = night()
    assert summary.files_read == 1  # the damaged one, which is tried again
    for name in ("0001.jpg", "more/copy.jpg"):
        assert cells(tmp_path / "tags.csv", name) == ("Bag", "1.0000", "false", "reviewed", "accessory", "1.0000")
    assert cells(tmp_path / "tags.csv", "0002.jpg") == ("Belt", "1.0000", "false", "reviewed", "", "")
    others = {"0001.jpg", "more/copy.jpg", "0002.jpg"}
    after = rows(tmp_path / "tags.csv")
    assert {key: row for key, row in after.items() if key not in others} == {
        key: row for key, row in before.items() if key not in others
    }


def test_none_of_the_labels_leaves_no_tag(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """Its row has no tag, is never safe to publish, and is not among those that wait for a person."""
    store.record(shown(ledger, "0003.jpg"), "", "Ada")
    night()
    assert cells(tmp_path / "tags.csv", "0003.jpg") == ("", "", "true", "reviewed", "", "")
    night(only=("flagged",))
    assert "0003.jpg" not in rows(tmp_path / "tags.csv")


def test_a_damaged_photo_can_be_decided(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """A person may recognise what a file that is cut off shows; it is no failure then, and no message names it."""
    store.record(shown(ledger, "broken.jpg"), "Shirt", "Ada")
    named: list[Failed] = []
    summary = night(callbacks=RunCallbacks(failed=named.append))
    assert cells(tmp_path / "tags.csv", "broken.jpg")[:4] == ("Shirt", "1.0000", "false", "reviewed")
    assert (summary.failed.total(), named) == (0, [])


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_decisions_are_in_every_format(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path, suffix: str) -> None:
    """Outputs that are made from the stored results, with further tags too, have the decision alone."""
    import pandas as pd

    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    night(f"tags{suffix}", ledger=ledger, top_k=2)
    out = tmp_path / f"tags{suffix}"
    table = (
        pd.read_parquet(out)
        if suffix == ".parquet"
        else pd.DataFrame(json.loads(out.read_text())["rows"])
        if suffix == ".json"
        else pd.read_json(out, lines=True)
    )
    row = table.set_index("path").loc["0001.jpg"]
    assert (row["tag"], row["confidence"], bool(row["low_confidence"]), row["reason"]) == ("Bag", 1.0, False, "reviewed")
    assert pd.isna(row["tag_2"])


def test_other_bytes_are_open_again(night: Night, store: ReviewStore, ledger: Path, shop: Path, tmp_path: Path) -> None:
    """A photo whose bytes change gets the networks' tag again, and the bytes that were decided keep their label elsewhere."""
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    shutil.copy(shop / "0001.jpg", shop / "renamed.jpg")
    shutil.copy(shop / "0002.jpg", shop / "0001.jpg")
    night()
    assert cells(tmp_path / "tags.csv", "0001.jpg")[3] != "reviewed"
    assert cells(tmp_path / "tags.csv", "renamed.jpg")[3] == "reviewed"


def test_decisions_outlive_bundles_and_fresh_runs(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """Neither another threshold nor scoring all photos again loses a decision; a label map renames its label."""
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    names = dict.fromkeys(LABELS, "Kleidung") | {"Bag": "Tasche"}
    (tmp_path / "names.csv").write_text("label,name\n" + "".join(f"{label},{name}\n" for label, name in names.items()))
    night(fresh=True, min_confidence=0.9, label_map=tmp_path / "names.csv")
    assert cells(tmp_path / "tags.csv", "0001.jpg")[:4] == ("Tasche", "1.0000", "false", "reviewed")


def test_an_undo_restores_what_counted_before(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """The earlier decision counts again, then none; the row is that of the networks again."""
    before = cells(tmp_path / "tags.csv", "0001.jpg")
    first, second = (store.record(shown(ledger, "0001.jpg"), label, "Ada").reviews[0].id for label in ("Bag", "Coat"))
    assert store.undo([first], "Ada").others[0].label == "Coat"
    assert [one.label for one in store.undo([second], "Ada").reviews] == [None]
    night()
    assert cells(tmp_path / "tags.csv", "0001.jpg")[0] == "Bag"
    store.undo([first], "Ada")
    night()
    assert cells(tmp_path / "tags.csv", "0001.jpg") == before
    assert [one.label for one in store.since(0)] == ["Bag", "Coat", None, None]


def test_the_networks_row_is_kept_beside_later_decisions(
    night: Night, store: ReviewStore, ledger: Path, tmp_path: Path
) -> None:
    """A photo that is decided again after a run has written the first decision is still one of its predicted tag."""
    before = cells(tmp_path / "tags.csv", "0001.jpg")
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    night()
    store.record(shown(ledger, "0001.jpg"), "Coat", "Ada")
    rows = query(ledger, "SELECT tag, confidence, reason FROM reviews ORDER BY id")
    assert rows == [(before[0], before[1], before[3])] * 2


def test_two_people_see_each_other(store: ReviewStore, ledger: Path) -> None:
    """An accept of a page leaves out what another has decided and names it; a decision of its own counts, and both are kept."""
    with closing(ReviewStore(ledger)) as other:
        other.record(shown(ledger, "0001.jpg"), "Bag", "Bea")
        accepted = store.record(shown(ledger, "0001.jpg", "0002.jpg"), "Coat", "Ada", only_open=True)
        assert [(one.reviewer, one.label) for one in accepted.others] == [("Bea", "Bag")]
        assert len(accepted.reviews) == 1
        replaced = store.record(shown(ledger, "0001.jpg"), "Dress", "Ada").replaced
        assert [(one.reviewer, one.label) for one in replaced] == [("Bea", "Bag")]
        assert [(one.reviewer, one.label, one.counts) for one in other.since(0)] == [
            ("Bea", "Bag", False),
            ("Ada", "Coat", True),
            ("Ada", "Dress", True),
        ]
        assert other.last() == 3


def test_what_is_shown_no_more_is_not_decided(store: ReviewStore, ledger: Path) -> None:
    """A photo that has other bytes by now, or is unknown, gets no decision, and copies in one request get one."""
    one, copy = shown(ledger, "0001.jpg", "more/copy.jpg")
    outcome = store.record([Shown(one.item, b"other"), Shown(999, one.sha256)], "Bag", "Ada")
    assert (outcome.reviews, len(outcome.unknown)) == ([], 2)
    assert len(store.record([one, copy], "Bag", "Ada").reviews) == 1


@pytest.mark.parametrize("label", [" ", "x" * (LONGEST_TEXT + 1), "a\nb", "a\x1b[2J", "\udcff"])
def test_labels_are_one_line_of_plain_text(store: ReviewStore, ledger: Path, label: str) -> None:
    """Anything else is refused before it reaches the ledger."""
    with pytest.raises(ValueError, match="the label"):
        store.record(shown(ledger, "0001.jpg"), label, "Ada")
    assert store.last() == 0


def test_a_run_and_a_review_go_on_together(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """A decision that comes while a run holds the ledger waits for it, is kept, and is in the next output."""
    decision = threading.Thread(target=lambda: store.record(shown(ledger, "0004.jpg"), "Bag", "Ada"))

    @contextmanager
    def publishing() -> Iterator[None]:
        decision.start()
        yield

    night(callbacks=RunCallbacks(ignore=publishing), fresh=True)
    decision.join()
    night()
    assert cells(tmp_path / "tags.csv", "0004.jpg")[:4] == ("Bag", "1.0000", "false", "reviewed")


def test_what_is_acknowledged_outlives_a_kill(ledger: Path) -> None:
    """After `kill -9` every decision that was acknowledged is in the ledger."""
    program = f"""
import sys
from pathlib import Path
from tagger.run.review_values import Shown
from tagger.run.reviews import ReviewStore
store = ReviewStore(Path({str(ledger)!r}))
one = Shown({shown(ledger, "0001.jpg")[0].item}, {shown(ledger, "0001.jpg")[0].sha256!r})
while True:
    print(store.record([one], "Bag", "Ada").reviews[0].id, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(20):
            last = process.stdout.readline()
        process.kill()
        acknowledged = [int(line) for line in [last, *process.stdout.read().split()] if line.strip()]
    assert query(ledger, "SELECT count(*) FROM reviews")[0][0] >= max(acknowledged)


def test_reviewed_photos_are_told_with_their_rows(store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """Each path of decided bytes comes once, with the row of before."""
    tag, confidence, _, reason, *_ = cells(tmp_path / "tags.csv", "0001.jpg")
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    with LedgerReader(ledger) as reader:
        found = list(read_corrections(reader))
    assert [one.path for one in found] == ["0001.jpg", "more/copy.jpg"]
    assert {(one.label, one.reviewer, one.tag_before, one.confidence_before, one.reason_before) for one in found} == {
        ("Bag", "Ada", tag, confidence, reason)
    }


def test_explain_tells_who_decided_what(store: ReviewStore, night: Night, ledger: Path, command: Command) -> None:
    """It names the decision before a run has written it, and after."""
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    _, text, _ = command("explain", "0001.jpg", "--ledger", ledger)
    assert "why: a person decided about it since its row was made" in text
    assert "Ada decided: Bag (" in text
    night()
    _, text, _ = command("explain", "0001.jpg", "--ledger", ledger)
    assert "why: a person decided on it" in text


def test_only_ledgers_are_opened(tmp_path: Path) -> None:
    """A missing ledger is not made, and another program's database is refused."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        ReviewStore(tmp_path / "x.ledger")
    assert not (tmp_path / "x.ledger").exists()
    with closing(sqlite3.connect(tmp_path / "y.ledger")) as sql:
        sql.execute("CREATE TABLE mine (x)")
    with pytest.raises(LedgerError, match="another program"):
        ReviewStore(tmp_path / "y.ledger")


def test_each_night_is_counted(night: Night, ledger: Path, shop: Path, fresh_rows: Callable[..., bytes]) -> None:
    """The counts of all rows and of the new ones add up to the rows, and an interrupted night has none."""
    shutil.copy(shop / "0003.jpg", shop / "new.jpg")
    night()
    totals = "SELECT run, uploads, sum(photos) FROM night_counts GROUP BY run, uploads ORDER BY run, uploads"
    assert query(ledger, totals) == [(1, 0, 10), (1, 1, 10), (2, 0, 11), (2, 1, 1)]
    bins = query(ledger, "SELECT DISTINCT confidence_bin FROM night_counts WHERE uploads = 1")
    assert all(-1 <= number <= 19 for (number,) in bins)


def test_a_new_ledger_is_opened_by_both(tmp_path: Path) -> None:
    """The store takes the ledger of a run that has not ended."""
    with open_ledger(tmp_path / "t.ledger"), closing(ReviewStore(tmp_path / "t.ledger")) as store:
        assert store.last() == 0


def test_decisions_outlive_a_damaged_ledger(night: Night, store: ReviewStore, ledger: Path, tmp_path: Path) -> None:
    """A ledger that is begun anew takes the decisions over, and a review that is open goes on with it."""
    store.record(shown(ledger, "0001.jpg"), "Bag", "Ada")
    store.record(shown(ledger, "0002.jpg"), "Coat", "Ada")
    store.undo([2], "Ada")
    with closing(sqlite3.connect(ledger)) as sql:
        sql.execute("DROP TABLE items")
        sql.commit()
    warnings: list[str] = []
    night(callbacks=RunCallbacks(warned=warnings.append))
    assert "a new one is begun, with the decisions of people that it had (1)." in warnings[0]
    assert cells(tmp_path / "tags.csv", "0001.jpg")[:4] == ("Bag", "1.0000", "false", "reviewed")
    store.record(shown(ledger, "0003.jpg"), "Coat", "Bea")
    assert [one.label for one in store.since(0)] == ["Bag", "Coat"]
    assert [one.label for one in store.undo([1], "Ada").reviews] == [None]


def test_reading_does_not_wait_for_a_decision(store: ReviewStore, ledger: Path) -> None:
    """While a decision waits for a run to write its rows, pages are shown."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as run:
        run.execute("BEGIN IMMEDIATE")
        decision = threading.Thread(target=lambda: store.record(shown(ledger, "0001.jpg"), "Bag", "Ada"))
        decision.start()
        assert (store.last(), store.since(0), store.frequent_labels(3)) == (0, [], [])
        assert decision.is_alive()
        run.execute("COMMIT")
    decision.join()
    assert store.last() == 1


def test_decisions_of_elsewhere_are_merged(store: ReviewStore, ledger: Path) -> None:
    """With their own names and times, once; neither a later decision nor a later take-back is undone."""
    one, two, three = shown(ledger, "0001.jpg", "0002.jpg", "0003.jpg")
    early, late = "2020-01-01T00:00:00.000+00:00", "2030-01-01T00:00:00.000+00:00"
    given = [Decision(one, "Bag", "Bea", early), Decision(two, "", "Cy")]
    merged = store.merge(given, late, "me")
    assert [(review.label, review.reviewer, review.counts) for review in merged.recorded] == [
        ("Bag", "Bea", True),
        ("", "Cy", True),
    ]
    assert merged.recorded[0].decided == early
    assert [len(part) for part in store.merge(given, late, "me")] == [0, 2, 0, 0]
    store.record([one], "Coat", "Ada")
    store.undo([merged.recorded[1].id], "Ada")
    assert [len(part) for part in store.merge(given, early, "me")] == [0, 0, 2, 0]
    edited = [
        Decision(one, "Dress", "Ada", store.counting([one.sha256])[0].decided),
        Decision(Shown(three.item, b"x"), "Bag", "Bea"),
    ]
    merged = store.merge(edited, early, "me")
    assert [(review.label, review.reviewer) for review in merged.recorded] == [("Dress", "me")]
    assert [photo.item for photo in merged.unknown] == [three.item]


def test_a_merge_is_all_or_none(store: ReviewStore, ledger: Path) -> None:
    """One text that is refused leaves the ledger as it was."""
    one, two = shown(ledger, "0001.jpg", "0002.jpg")
    with pytest.raises(ValueError, match="the reviewer"):
        store.merge([Decision(one, "Bag", "Bea"), Decision(two, "Bag", "a\nb")], "2030", "me")
    with pytest.raises(ValueError, match="the label"):
        store.merge([Decision(one, "Bag", "Bea"), Decision(two, "a\x07", "Bea")], "2030", "me")
    assert store.last() == 0
