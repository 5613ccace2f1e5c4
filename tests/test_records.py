"""Records that pass between packages are frozen, cheap and complete."""

from pathlib import Path
from typing import get_args

import pytest

from tagger.records import FAILED_REASONS, NO_COLUMNS, FailedReason, Item, Reason


def test_an_items_file_is_where_it_lies() -> None:
    """As a path, however the source gave it; None where no file can be opened."""
    assert Item("a.jpg", "photos/a.jpg").file == Path("photos/a.jpg")
    assert Item("a.jpg", Path("photos/a.jpg")).file == Path("photos/a.jpg")
    assert Item("", None).file is None


def test_items_without_a_table_share_columns_that_cannot_change() -> None:
    """A value written for one item would be every item's."""
    assert Item("a.jpg", None).columns is NO_COLUMNS
    with pytest.raises(TypeError):
        NO_COLUMNS["sku"] = 1  # type: ignore[index]


def test_reasons_are_those_of_the_output() -> None:
    """They are the values of the column `reason`, whose names are part of the contract with its readers."""
    failed = ("missing", "unreadable", "truncated", "too_large", "not_an_image", "bad_row")
    assert FAILED_REASONS == get_args(FailedReason) == failed
    assert {reason for part in get_args(Reason) for reason in (get_args(part) or [part])} == {
        "",
        "low_confidence",
        "not_recognised",
        "reviewed",
        "no_image",
        *failed,
    }
