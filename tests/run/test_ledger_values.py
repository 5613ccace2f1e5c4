"""Values of the ledger: kinds of change, stored text and times."""

import sqlite3
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.run.ledger_values import (
    EARLIEST_NS,
    LATEST_NS,
    Cells,
    Change,
    change_between,
    storable,
    storable_time,
    stored_time,
    text_of,
)

SURE = Cells("Dress", "0.9000", "false", "", "full body", "0.9500")
FLAGGED = SURE._replace(low_confidence="true", reason="low_confidence")
COAT = SURE._replace(tag="Coat")
NOTHING = Cells("", "", "true", "not_recognised", "", "")
BROKEN = Cells("", "", "true", "truncated", "", "")
MISSING = Cells("", "", "true", "missing", "", "")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, SURE, "new"),
        (None, NOTHING, "new"),
        (None, BROKEN, "failed"),
        (SURE, SURE, None),
        (SURE, SURE._replace(confidence="0.8000", group_confidence="0.8500"), None),
        (SURE, FLAGGED, "changed_flag"),
        (FLAGGED, SURE, "changed_flag"),
        (SURE, COAT, "changed_tag"),
        (FLAGGED, COAT, "changed_tag"),
        (SURE, NOTHING, "changed_tag"),
        (SURE, BROKEN, "failed"),
        (BROKEN, MISSING, "failed"),
        (BROKEN, BROKEN, None),
        (BROKEN, SURE, "recovered"),
        (BROKEN, NOTHING, "recovered"),
    ],
)
def test_each_change_has_its_kind(before: Cells | None, after: Cells, change: Change | None) -> None:
    """Tag, flag and reason make a change, the confidence alone makes none, and failures go before tags."""
    assert change_between(before, after) == change


def test_a_truncated_photo_with_a_tag_has_not_failed() -> None:
    """Only a photo without a tag has failed: with --allow-truncated the reason is the same and there is a tag."""
    assert BROKEN.failed
    assert not BROKEN._replace(tag="Dress").failed
    assert not NOTHING.failed


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_survives_the_database(text: str) -> None:
    """Text comes back from SQLite as it was, file names with bytes that are not Unicode included."""
    with sqlite3.connect(":memory:") as sql:
        (stored,) = sql.execute("SELECT ?", (storable(text),)).fetchone()
    sql.close()
    assert text_of(stored) == text


def test_unicode_is_stored_as_text() -> None:
    """Keys that are valid Unicode stay text, which queries and people can read; others are bytes."""
    assert storable("café.jpg") == "café.jpg"
    assert storable("caf\udce9.jpg") == b"caf\xed\xb3\xa9.jpg"


@pytest.mark.parametrize(
    ("mtime_ns", "stored"),
    [
        (None, None),
        (0, 0),
        (EARLIEST_NS, EARLIEST_NS),
        (EARLIEST_NS - 1, None),
        (LATEST_NS, LATEST_NS),
        (LATEST_NS + 1, None),
    ],
)
def test_times_that_sqlite_cannot_store_are_none(mtime_ns: int | None, stored: int | None) -> None:
    """A time of 64 bits is stored; another one is not, so that the next run reads the file again."""
    assert storable_time(mtime_ns) == stored
    with sqlite3.connect(":memory:") as sql:
        assert sql.execute("SELECT ?", (storable_time(mtime_ns),)).fetchone() == (stored,)
    sql.close()


def test_times_of_decisions_sort_as_text() -> None:
    """UTC with milliseconds, from any zone."""
    zone = timezone(timedelta(hours=2))
    times = [datetime(2026, 1, 2, 3, 4, 5, micro, zone) for micro in (999, 1_000, 999_999)]
    assert [stored_time(time) for time in times] == [f"2026-01-02T01:04:05.{part}+00:00" for part in ("000", "001", "999")]
