"""The queue shows every flagged photo once, the most doubtful first, while people decide and runs go on."""

import os
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from helpers import rows_of
from queue_helpers import OPEN, Catalog, all_rows, decide, doubt, flagged, pages, predicted, tag, write_table

from tagger.errors import LedgerError
from tagger.review.queue import Filters, QueueRow, ReviewQueue
from tagger.run.explain import explain
from tagger.run.explain_networks import NONE
from tagger.run.reviews import ReviewStore

# What is shown -------------------------------------------------------------------------------------------------------


def test_each_flagged_photo_is_shown_once_with_the_cells_of_the_output(tagged: Catalog, queue: ReviewQueue) -> None:
    """The queue has the rows that the output flags, the damaged photo too, and none besides."""
    expected = {row["path"]: (row["tag"], row["confidence"], row["reason"], row["group"]) for row in flagged(tagged.rows)}
    shown = all_rows(queue)
    assert 0 < len(expected) < len(tagged.rows)
    assert {row.key: (row.tag, row.confidence, row.reason, row.group) for row in shown} == expected
    assert len(shown) == len(expected) == queue.left(OPEN)
    assert {group.tag: group.open for group in queue.groups(OPEN)} == Counter(map(predicted, flagged(tagged.rows)))


def test_pages_are_sorted_by_doubt_and_tags_by_what_is_left(many: Path) -> None:
    """Within a tag the least confident comes first, over all pages; of what is not recognised, what most likely is something.

    The tag with most left comes first.
    """
    rows = flagged(rows_of(many))
    with ReviewQueue(many.with_suffix(".ledger")) as queue:
        groups = queue.groups(OPEN)
        assert [group.open for group in groups] == sorted((group.open for group in groups), reverse=True)
        for group in groups:
            shown = [row for page in pages(queue, OPEN, group.tag, 60) for row in page]
            assert [row.cursor.doubt for row in shown] == sorted(doubt(row) for row in rows if predicted(row) == group.tag)
            assert len(shown) == group.open


def test_probabilities_are_those_of_the_networks(tagged: Catalog, queue: ReviewQueue) -> None:
    """The three best labels and the probability of none of them are what `fmtag explain` tells."""
    row = next(row for row in all_rows(queue) if row.tag)
    known = explain(row.key, tagged.ledger)["probabilities"]
    assert list(row.ranked) == list(known.items())[:3]
    assert row.none == pytest.approx(known[NONE], abs=1e-4)
    assert row.sha256 == explain(row.key, tagged.ledger)["file"]["sha256"]
    assert row.ranked[0] == (row.tag, float(row.confidence))


def test_rare_runners_up_are_guarded(many: Path) -> None:
    """A photo is guarded just where its second best label has less than 2 % of the rows and is behind by 0.3 at most."""
    rows = rows_of(many)
    totals = Counter(row["tag"] for row in rows)
    with ReviewQueue(many.with_suffix(".ledger")) as queue:
        shown = all_rows(queue)
    expected = set()
    for row in shown:
        unrecognised = row.reason == "not_recognised"
        (_, first), (label, second) = [("", row.none or 0.0), *row.ranked][:2] if unrecognised else row.ranked[:2]
        if totals[label] < 0.02 * len(rows) and round(first - second, 4) <= 0.3:
            expected.add(row.item)
    assert {row.item for row in shown if row.guarded} == expected
    assert 0 < len(expected) < len(shown)


# Decisions -----------------------------------------------------------------------------------------------------------


def test_pages_stay_right_while_rows_are_decided(many: Path, tmp_path: Path) -> None:
    """Whatever is decided between two pages, in front of the cursor or behind it, no open row is missed or shown twice."""
    ledger = Path(shutil.copy(many.with_suffix(".ledger"), tmp_path))
    with ReviewQueue(ledger) as queue:
        tag = queue.groups(OPEN)[0].tag
        before = [row for page in pages(queue, OPEN, tag, 60) for row in page]
        decided_later = {row.item for row in before[60::2]}
        seen: list[QueueRow] = []
        for number, page in enumerate(pages(queue, OPEN, tag, 20)):
            seen += page
            if number == 0:
                for row in [*page[:10], *before[60::2]]:
                    decide(ledger, row.item, row.sha256, row.tag)
        assert [row.item for row in seen] == [row.item for row in before if row.item not in decided_later]


def test_a_decision_moves_its_photo_and_an_undo_brings_it_back(tagged: Catalog, queue: ReviewQueue) -> None:
    """Counts and pages follow each decision at once, and tell who decided what, also about a copy; an undo is open again."""
    row = next(row for row in all_rows(queue) if row.key == "a/0001.jpg")
    left = queue.left(OPEN)
    (review,) = decide(tagged.ledger, row.item, row.sha256, "Bag").reviews
    decided = all_rows(queue, Filters(show="decided"))
    assert queue.left(OPEN) == left - 2
    assert {(one.key, one.decided, one.reviewer, one.review) for one in decided} == {
        ("a/0001.jpg", "Bag", "Ann", review.id),
        ("ab/copy.jpg", "Bag", "Ann", review.id),
    }
    assert {(one.tag, one.confidence, one.reason) for one in decided} == {(row.tag, row.confidence, row.reason)}
    assert next(group for group in queue.groups(OPEN) if group.tag == row.tag).decided == 2
    assert len(all_rows(queue, Filters(show="all"))) == left
    with closing(ReviewStore(tagged.ledger)) as store:
        store.undo([review.id], "Ann")
    assert queue.left(OPEN) == left
    assert all_rows(queue, Filters(show="decided")) == []
    assert queue.rows([row.item]) == [row]


def test_a_decided_photo_stays_under_its_predicted_tag_after_the_next_run(
    tagged: Catalog, queue: ReviewQueue, photo_bundle: Path
) -> None:
    """The next run gives it the label of the decision; the review still shows it where it was, and asks no more."""
    row = next(row for row in all_rows(queue) if row.tag)
    decide(tagged.ledger, row.item, row.sha256, "")
    left = queue.left(OPEN)
    rows = tag(tagged.table, tagged.out, photo_bundle)
    assert next(one for one in rows if one["path"] == row.key)["reason"] == "reviewed"
    assert queue.left(OPEN) == left == len(flagged(rows))
    (decided,) = [one for one in all_rows(queue, Filters(show="decided")) if one.item == row.item]
    assert (decided.tag, decided.confidence, decided.reason, decided.decided) == (row.tag, row.confidence, row.reason, "")


# Filters -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(folder="a"), lambda row: row["path"].startswith("a/")),
        (Filters(folder="ab/"), lambda row: row["path"].startswith("ab/")),
        (Filters(reason="truncated"), lambda row: row["reason"] == "truncated"),
        (Filters(group="full body"), lambda row: row["group"] == "full body"),
        (Filters(text="COPY"), lambda row: "copy" in row["path"]),
        (Filters(text="%"), lambda row: False),
        (Filters(column="sku", text="sku-1"), lambda row: "SKU-1" in row["sku"]),
        (Filters(column="name", text="GRÖSSE 1"), lambda row: "Größe 1" in row["name"]),
        (Filters(column="name", text="gRÖ\u00dfe 1"), lambda row: "Größe 1" in row["name"]),
        (Filters(column="source_tag", text='0% "N'), lambda row: True),
        (Filters(column="source_tag", text="0_ "), lambda row: False),
        (Filters(column="no such column", text="a"), lambda row: False),
        (Filters(night=1), lambda row: True),
        (Filters(night=2), lambda row: False),
        (Filters(folder="a", column="sku", text="SKU-1", reason="low_confidence"), lambda row: row["sku"] == "SKU-1"),
    ],
)
def test_filters_select_by_what_they_say(tagged: Catalog, queue: ReviewQueue, filters: Filters, expected: object) -> None:
    """Pages, groups and the counter agree on what a filter selects; text is searched as it is, in any letter case."""
    assert callable(expected)
    paths = {row["path"] for row in flagged(tagged.rows) if expected(row)}
    assert {row.key for row in all_rows(queue, filters)} == paths
    assert queue.left(filters) == len(paths)


def test_facets_count_what_each_choice_would_show(many: Path) -> None:
    """Each value has the number of rows that the page shows once it is chosen beside the other filters."""
    with ReviewQueue(many.with_suffix(".ledger")) as queue:
        filters = Filters(group="footwear")
        facets = queue.facets(filters)
        assert [night.run for night in facets.nights] == [3, 2, 1]
        assert [folder.value for folder in facets.folders] == ["0000/", "0001/", "0002/"]
        for count in facets.reasons:
            assert queue.left(Filters(group="footwear", reason=count.value)) == count.photos > 0
        for count in facets.groups:
            assert queue.left(Filters(group=count.value)) == count.photos > 0
        for count in facets.folders:
            assert queue.left(Filters(group="footwear", folder=count.value)) == count.photos > 0
        for night in facets.nights:
            assert queue.left(Filters(group="footwear", night=night.run)) == night.photos > 0
            assert night.started


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no Unicode")
def test_names_that_are_no_unicode_have_columns_and_a_folder(tmp_path: Path, photo_bundle: Path) -> None:
    """A file whose name is not UTF-8 is found by its folder and by text in its path, as others are."""
    table = write_table(tmp_path / "catalog")
    odd = os.fsdecode(b"a/\xc3\xb6dd\xff.jpg")
    shutil.copy(table.parent / "a" / "0003.jpg", table.parent / odd)
    tag(table.parent, tmp_path / "tags.csv", photo_bundle)
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        for filters in (Filters(folder="a"), Filters(text="DD"), Filters(text="ÖDD")):
            assert odd in {row.key for row in all_rows(queue, filters)}


# Beside runs ---------------------------------------------------------------------------------------------------------


def test_nothing_is_held_between_calls(tagged: Catalog, queue: ReviewQueue) -> None:
    """After every call the write-ahead log can be emptied: an open page does not make it grow."""
    queue.facets(OPEN)
    for row in all_rows(queue):
        queue.details(row.item)
    with closing(sqlite3.connect(tagged.ledger)) as sql:
        assert sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_the_queue_is_read_while_a_run_publishes(tagged: Catalog, queue: ReviewQueue) -> None:
    """While another process holds the write lock for minutes, the rows of the last output are shown without waiting."""
    before = all_rows(queue)
    with closing(sqlite3.connect(tagged.ledger, isolation_level=None)) as sql:
        sql.execute("BEGIN IMMEDIATE")
        sql.execute("UPDATE items SET published = NULL")
        sql.execute("UPDATE runs SET id = id + 1")
        assert all_rows(queue) == before
        assert queue.left(OPEN) == len(before)
        sql.execute("COMMIT")
    assert queue.left(OPEN) == 0


def test_a_killed_run_changes_what_is_left(tagged: Catalog, queue: ReviewQueue) -> None:
    """What it has read anew counts at once, by pages and counter alike, though it has not published anything."""
    row, *others = all_rows(queue)
    with closing(sqlite3.connect(tagged.ledger)) as sql, sql:
        names = "started, pid, host, version, source, out, decision, fresh, verify"
        sql.execute(f"INSERT INTO runs ({names}) SELECT {names} FROM runs")
    assert queue.left(OPEN) == len(others) + 1
    with closing(sqlite3.connect(tagged.ledger)) as sql, sql:
        sql.execute("UPDATE items SET content = NULL, failure = 'missing', decision = NULL WHERE id = ?", (row.item,))
    assert queue.left(OPEN) == len(others) == len(all_rows(queue))


def test_a_ledger_begun_anew_is_read_by_its_path(tagged: Catalog, queue: ReviewQueue, photo_bundle: Path) -> None:
    """A run sets a damaged ledger aside and begins another one; the queue shows the new one."""
    assert queue.left(OPEN) > 0
    for suffix in ("", "-wal", "-shm"):
        if (old := Path(f"{tagged.ledger}{suffix}")).exists():
            old.rename(f"{tagged.ledger}.aside{suffix}")
    shutil.rmtree(tagged.table.parent / "ab")
    rows = tag(tagged.table.parent / "a", tagged.out, photo_bundle, "--ledger", str(tagged.ledger))
    assert queue.left(OPEN) == len(flagged(rows))


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """A missing ledger, another program's database and a text are one sentence each."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        ReviewQueue(tmp_path / "no.ledger")
    with closing(sqlite3.connect(tmp_path / "other.ledger")) as sql:
        sql.execute("CREATE TABLE other (id)")
    with pytest.raises(LedgerError, match="another program"):
        ReviewQueue(tmp_path / "other.ledger")
    (tmp_path / "text.csv").write_text("path\n")
    with pytest.raises(LedgerError, match="is not a ledger"):
        ReviewQueue(tmp_path / "text.csv")
