"""A row has the source's columns first, then fmtag's own, and loses no column and no value."""

import datetime
import json
import math
from typing import Any

import pytest
from catalog_helpers import MISSING, MODEL, SHIRT, UNRECOGNISED, table_item
from hypothesis import example, given
from hypothesis import strategies as st

from tagger.catalog.rows import COLUMNS, format_cell, format_confidence, format_json, output_columns, output_row, tag_cells
from tagger.records import Item, Tag


def test_the_source_comes_first() -> None:
    """The source's columns stand first, in their order; then fmtag's own, the runners-up before the model."""
    own = ["path", "tag", "confidence", "low_confidence", "reason", "group", "group_confidence", "duplicate_of"]
    assert list(COLUMNS) == own
    assert list(output_columns(["sku", "Größe", "ean"], 1)) == ["sku", "Größe", "ean", *own, "model"]
    runners_up = ["tag_2", "confidence_2", "tag_3", "confidence_3"]
    assert list(output_columns([], 3)) == [*own, *runners_up, "model"]


def test_clashing_names_are_kept_as_source_name() -> None:
    """A source column with the name of one of fmtag's is kept as source_NAME, in its place, with its values."""
    named = output_columns(["tag", "sku", "path", "model", "tag_2"], 1)
    assert list(named)[:5] == ["source_tag", "sku", "source_path", "source_model", "tag_2"]
    assert next(iter(output_columns(["tag_2"], 2))) == "source_tag_2"
    values = output_row(table_item("a.jpg", tag="old", sku="1", path="a.jpg", model="m", tag_2="x"), SHIRT, MODEL, named)
    assert list(values.values())[:5] == ["old", "1", "a.jpg", "m", "x"]
    assert (values["tag"], values["path"], values["model"]) == ("Shirt", "a.jpg", MODEL)


@given(
    st.lists(
        st.text("ab_", max_size=3).map(lambda name: f"source_{name}")
        | st.sampled_from(
            [
                "",
                "path",
                "source_path",
                "source_source_path",
                "tag",
                "source_tag",
                "tag_2",
                "model",
                "sku",
                "Path",
                "low_confidence",
            ]
        ),
        unique=True,
    )
)
@example(["path", "source_path", "source_source_path"])
@example(["source_path", "path"])
@example(["", "path"])
def test_no_column_is_lost(names: list[str]) -> None:
    """Whatever a source's columns are called, each comes out once, in order, with its own values; so do all of fmtag's."""
    named = output_columns(names, 2)
    values = output_row(Item("a.jpg", None, {name: f"value of {name}" for name in names}), SHIRT, MODEL, named)
    assert list(values.values())[: len(names)] == [f"value of {name}" for name in names]
    own = list(values)[len(names) :]
    assert own == [*COLUMNS, "tag_2", "confidence_2", "model"]
    assert (values["path"], values["tag"], values["tag_2"], values["model"]) == ("a.jpg", "Shirt", "Coat", MODEL)


def test_tags_beyond_those_ranked_are_empty() -> None:
    """A photo without a tag, and more columns than labels, leave cells empty rather than shift them."""
    columns = output_columns([], 3)
    two = Tag((("Bag", 0.6), ("Coat", 0.4)), False, "")
    assert list(output_row(table_item("a.jpg"), two, MODEL, columns).values())[8:] == ["Coat", 0.4, None, None, MODEL]
    assert output_row(table_item("a.jpg"), MISSING, MODEL, columns)["confidence_2"] is None


def test_a_duplicate_names_the_first_path() -> None:
    """`duplicate_of` is the path that was given, and empty without one."""
    columns = output_columns([], 1)
    assert output_row(table_item("b.jpg"), SHIRT, MODEL, columns, "a.jpg")["duplicate_of"] == "a.jpg"
    assert output_row(table_item("b.jpg"), SHIRT, MODEL, columns)["duplicate_of"] == ""


def test_cells_of_a_tag_are_those_of_its_row() -> None:
    """The text that the ledger keeps of a tag is what a CSV of its row has."""
    assert tag_cells(SHIRT) == ("Shirt", "0.8123", "false", "", "upper body", "0.9635")
    assert tag_cells(MISSING) == ("", "", "true", "missing", "", "")
    assert tag_cells(UNRECOGNISED) == ("", "", "true", "not_recognised", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (1.0, "1.0000"), (0.00004, "0.0000"), (0.00006, "0.0001"), (0.8123, "0.8123"), (None, "")],
)
def test_confidences_have_four_decimals(value: float | None, text: str) -> None:
    """Never an exponent, and nothing for no confidence."""
    assert format_confidence(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        ("", ""),
        ("NaN", "NaN"),
        ([1, None, math.inf], "[1, null, null]"),
        ({"a": (math.nan, "ä")}, '{"a": [null, "ä"]}'),
        (datetime.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_every_value_has_a_text_form(value: Any, text: str) -> None:
    """Missing values are empty, flags lower case, lists and objects JSON."""
    assert format_cell(value) == text


def test_json_holds_no_number_that_json_lacks() -> None:
    """NaN and infinities are null at any depth, keys are text, and dates their text."""
    value = {"a": [math.nan, {1: -math.inf}], "day": datetime.date(2026, 1, 2), "b": 1.5}
    assert json.loads(format_json(value)) == {"a": [None, {"1": None}], "day": "2026-01-02", "b": 1.5}
