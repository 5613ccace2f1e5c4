"""Cursors go through an address and back."""

import pytest

from tagger.review.queue_values import Cursor


@pytest.mark.parametrize("cursor", [Cursor("0.5321", 7), Cursor("1.0000", 1), Cursor("", 12)])
def test_a_cursor_is_read_from_its_text(cursor: Cursor) -> None:
    """The text of a cursor, with or without a confidence, leads to the same place."""
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text", ["", ":", "0.5:1", "0.5321", "0.5321:", "0.5321:-1", "2.0000:1", "0.5321:1 OR 1", "0.5321:\u0661", ":" + "9" * 30]
)
def test_other_text_is_no_cursor(text: str) -> None:
    """What an address has in place of a cursor is told from one, and never reaches the ledger."""
    assert Cursor.parse(text) is None
