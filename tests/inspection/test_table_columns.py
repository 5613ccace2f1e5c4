"""Columns that name products and labels are found by their names and counted."""

from collections.abc import Sequence

import pytest

from tagger.inspection import table_columns
from tagger.inspection.table_columns import ColumnCounter, ColumnFacts


def counted(columns: Sequence[str], *rows: Sequence[object]) -> ColumnFacts:
    """Return what is counted of some rows."""
    counter = ColumnCounter(columns)
    for row in rows:
        counter.add(dict(zip(columns, row, strict=True)))
    return counter.facts()


def test_a_column_whose_values_repeat_names_the_product() -> None:
    """Of usual columns the likeliest one that repeats is taken; its empty cells are no product."""
    rows = (["1", "tee", "a"], ["2", "tee", "b"], ["3", "bag", "c"], ["4", "", "d"])
    found = counted(["SKU", "Handle", "image"], *rows)
    assert (found.product_column, found.products, found.rows_with_product, found.most_rows) == ("Handle", 2, 3, 2)


def test_columns_without_repeats_name_no_product() -> None:
    """A table of one photo per product says nothing."""
    assert counted(["sku", "image"], ["1", "a"], ["2", "b"]) == ColumnFacts()
    assert counted([]) == ColumnFacts()


def test_labels_are_counted_most_frequent_first() -> None:
    """The column is found as other commands find it; a column without a value is none."""
    found = counted(["image", "Label"], ["a", "Bag"], ["b", "Coat"], ["c", "Coat"], ["d", None])
    assert (found.label_column, [*found.labels.items()]) == ("Label", [("Coat", 2), ("Bag", 1)])
    assert counted(["image", "label"], ["a", ""]).label_column == ""


def test_a_column_of_distinct_values_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An article number of each row names no product, and must not fill the memory of a large table."""
    monkeypatch.setattr(table_columns, "MAX_DISTINCT", 3)
    rows = [[str(number), str(number // 2)] for number in range(6)]
    found = counted(["sku", "id"], *rows)
    assert (found.product_column, found.products, found.rows_with_product) == ("id", 3, 6)
    assert counted(["sku"], *[["1"], ["2"], ["3"], ["3"]]) == ColumnFacts()
