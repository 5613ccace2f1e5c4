"""The labels of the last output's bundle come with the names that the output has."""

import sqlite3
from contextlib import closing
from pathlib import Path

from queue_helpers import Catalog

from tagger.data.labels import LABELS
from tagger.review.labels import Label, read_labels
from tagger.review.ledger_reader import LedgerReader
from tagger.run.ledger import open_ledger


def test_labels_have_their_names(tagged: Catalog) -> None:
    """Those of the bundle in its order; what a label map renames has its name there."""
    with LedgerReader(tagged.ledger) as reader:
        assert read_labels(reader) == tuple(Label(label, label) for label in LABELS)
    with closing(sqlite3.connect(tagged.ledger)) as sql:
        sql.execute("""UPDATE decisions SET names = '{"Bag": "Tasche"}'""")
        sql.commit()
    with LedgerReader(tagged.ledger) as reader:
        assert Label("Bag", "Tasche") in read_labels(reader)


def test_without_an_output_there_are_none(tmp_path: Path) -> None:
    """Of a ledger in which no run has finished."""
    with open_ledger(tmp_path / "t.ledger"), LedgerReader(tmp_path / "t.ledger") as reader:
        assert read_labels(reader) == ()
