"""The queue's SQL finds rows without an index of its own, and takes text as it is."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tagger.review import queue_queries as queries
from tagger.review.queue_values import Cursor, Filters


def plan(ledger: Path, query: queries.Query) -> str:
    """Return how SQLite runs a query."""
    with closing(sqlite3.connect(ledger)) as sql:
        return " ".join(row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.parameters))


def test_a_page_scans_the_items_once(many: Path) -> None:
    """Only `items` is scanned, all else found by an index; a folder is found by the index of paths."""
    ledger = many.with_suffix(".ledger")
    steps = plan(ledger, queries.page(Filters(), "Coat", Cursor("0.5000", 3), 60, None))
    assert steps.count("SCAN") - steps.count("SCAN found") == 1
    assert "SCAN items" in steps
    assert "items_published" not in steps
    assert "SCAN items" not in plan(ledger, queries.page(Filters(folder="0001"), "Coat", None, 60, None))


def test_decided_rows_are_found_from_the_decisions(many: Path) -> None:
    """They are few beside the others: their pages and counts scan no photos."""
    ledger = many.with_suffix(".ledger")
    assert "SCAN items" not in plan(ledger, queries.page(Filters(show="decided"), "Coat", None, 60, None))
    assert "SCAN items" not in plan(ledger, queries.counts(Filters(), "decided", None))


@pytest.mark.parametrize(
    ("text", "within", "found"),
    [
        ("100%", "is 100% new", True),
        ("100%", "is 100 new", False),
        ("a_b", "A_B", True),
        ("a_b", "axb", False),
        ("\\", "a\\b", True),
        ("\\", "ab", False),
        ("ÄRMEL", "Ärmel", True),
        ("ärmel", "armel", False),
        ("', ''); DROP", "x", False),
    ],
)
def test_text_is_searched_as_it_is(text: str, within: str, found: bool) -> None:
    """Neither a wildcard of SQL nor a quote has a meaning of its own; letters of any script match in either case."""
    condition = queries.contains("?", text)
    with closing(sqlite3.connect(":memory:")) as sql:
        sql.create_function("casefold", 1, str.casefold)
        assert bool(sql.execute(f"SELECT {condition.sql}", (within, *condition.parameters)).fetchone()[0]) == found
