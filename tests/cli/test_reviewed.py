"""Decisions of people are taken without an option, and a line says so."""

from pathlib import Path

import pytest
from corrections_helpers import Shop
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template

from tagger.cli.reviewed import reviewed_labels


def test_a_line_says_what_is_taken(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """How many photos, from which ledger, and how to leave them out."""
    assert reviewed_labels(str(shop.folder), None, False, "count as labels") is None
    shop.decide({"0.jpg": "Bag"})
    table = reviewed_labels(str(shop.folder), None, False, "count as labels")
    assert table is not None
    assert len(table.photos) == 2
    err = capsys.readouterr().err
    assert err.startswith("Note: decisions of people about 2 photos, from ")
    assert err.endswith("tags.ledger, count as labels; leave them out with --no-reviews.\n")


def test_nothing_is_taken_where_none_are_wanted(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --no-reviews nothing is read; a ledger that was named and has none is told."""
    assert reviewed_labels(str(shop.folder), shop.ledger, False, "count") is None
    assert capsys.readouterr().err == f"Note: {shop.ledger} has no decisions of people.\n"
    shop.decide({"0.jpg": "Bag"})
    assert reviewed_labels(str(shop.folder), tmp_path / "none", True, "count") is None
    assert capsys.readouterr().err == ""
