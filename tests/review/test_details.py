"""The single view has all that the ledger and the output tell about a photo."""

import shutil
from pathlib import Path

from queue_helpers import Catalog, all_rows, decide, tag, write_table

from tagger.review.details import MAX_COPIES
from tagger.review.queue import ReviewQueue


def test_details_have_all_that_is_known(tagged: Catalog, queue: ReviewQueue) -> None:
    """Columns, copies, size, threshold, reason in words and the history of decisions, with what counted before."""
    row = next(row for row in all_rows(queue) if row.key == "a/0001.jpg")
    decide(tagged.ledger, row.item, row.sha256, "Bag")
    decide(tagged.ledger, row.item, row.sha256, "", "Bob")
    details = queue.details(row.item)
    assert details is not None
    assert details.copies == ("ab/copy.jpg",)
    assert details.copies_total == 1
    assert details.columns == ({"image": "a/0001.jpg", "sku": "SKU-1", "name": "Größe 1, blau", "source_tag": '100% "new"'},)
    assert details.size == (tagged.table.parent / "a" / "0001.jpg").stat().st_size
    assert details.min_confidence == 0.3
    assert details.why == f"flagged: its confidence {row.confidence} is below the threshold of 0.3000"
    assert [(one.label, one.reviewer) for one in details.history] == [("Bag", "Ann"), ("", "Bob")]
    assert details.history[1].before == details.history[0].review
    assert len(details.probabilities) == 10
    assert queue.details(10**9) is None


def test_of_many_copies_some_are_named(tmp_path: Path, photo_bundle: Path) -> None:
    """A photo with hundreds of copies names some of them and counts the rest."""
    table = write_table(tmp_path / "catalog")
    for number in range(MAX_COPIES + 5):
        shutil.copy(table.parent / "a" / "0003.jpg", table.parent / "a" / f"copy-{number:02d}.jpg")
    tag(table.parent, tmp_path / "tags.csv", photo_bundle)
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        row = next(row for row in all_rows(queue) if row.key == "a/0003.jpg")
        details = queue.details(row.item)
    assert details is not None
    assert len(details.copies) == MAX_COPIES
    assert details.copies_total == MAX_COPIES + 5
    assert details.columns == ()
