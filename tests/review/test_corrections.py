"""Decisions are listed with the rows of before, and their table is one that labels photos."""

import csv
import json
from pathlib import Path

import pytest
from corrections_helpers import NAMES, Shop
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import rows_of

from tagger.catalog.label_table import read_label_table
from tagger.errors import LedgerError, OutputError
from tagger.file_names import escape_surrogates
from tagger.review.corrections import COLUMNS, further_labels, known_labels, read_corrections, write_table
from tagger.review.ledger_reader import LedgerReader


def test_each_path_of_decided_bytes_is_listed(shop: Shop) -> None:
    """Copies too, with label, reviewer, row of before and hash; what is taken back or waits for a decision is not."""
    shop.decide({"0.jpg": "Bag", "sub/0.jpg": ""})
    row = {row["path"]: row for row in rows_of(shop.out)}["0.jpg"]
    with LedgerReader(shop.ledger) as reader:
        found = {one.path: one for one in read_corrections(reader)}
        waiting = [one for one in read_corrections(reader, with_open=True) if not one.label]
    assert {path: one.label for path, one in found.items()} == {"0.jpg": "Bag", "copy.jpg": "Bag", "sub/0.jpg": "-"}
    one = found["copy.jpg"]
    assert (one.reviewer, one.sha256) == ("Ada", shop.shown("0.jpg").sha256)
    assert (one.tag_before, one.confidence_before, one.reason_before) == (row["tag"], row["confidence"], row["reason"])
    assert one.model.startswith("shops@")
    assert {waiting_one.path for waiting_one in waiting} == {*NAMES} - {*found}


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_every_format_holds_every_name(shop: Shop, tmp_path: Path, suffix: str) -> None:
    """Commas, quotes, line breaks, what spreadsheets run and bytes that are no Unicode are as in an output of a run."""
    import pandas as pd

    shop.decide(dict.fromkeys(NAMES, "Bag"))
    out = tmp_path / f"c.{suffix}"
    with LedgerReader(shop.ledger) as reader:
        assert write_table(read_corrections(reader), str(out), suffix) == len(NAMES) + 1
    if suffix == "csv":
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    elif suffix == "parquet":
        rows = pd.read_parquet(out).to_dict("records")
    else:
        text = out.read_text(encoding="utf-8")
        rows = json.loads(text)["rows"] if suffix == "json" else [json.loads(line) for line in text.splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert {escape_surrogates(row["path"]) for row in rows} == {*map(escape_surrogates, NAMES), "copy.jpg"}


def test_the_table_labels_photos(shop: Shop, tmp_path: Path) -> None:
    """`adapt --labels` reads it: every photo, with `-` for none of the labels; names with line breaks where the photos lie."""
    shop.decide(dict.fromkeys(NAMES, "Bag") | {"sub/0.jpg": ""})
    with LedgerReader(shop.ledger) as reader:
        write_table(read_corrections(reader), str(shop.folder / "c.csv"), "csv")
        write_table(read_corrections(reader), str(tmp_path / "c.csv"), "csv")
    elsewhere = read_label_table(str(tmp_path / "c.csv"), str(shop.folder))
    table = read_label_table(str(shop.folder / "c.csv"), str(shop.folder))
    assert len(table.photos) == len(NAMES) + 1
    assert {one.name for one in table.photos.keys() - elsewhere.photos.keys()} == {"new\nline.jpg"}
    assert table.photos[shop.folder.resolve() / "sub" / "0.jpg"].label == "-"
    assert all(one.item.file is not None and one.item.file.is_file() for one in table.photos.values())


def test_labels_are_told(shop: Shop) -> None:
    """Those of the bundle in its order, and those that people added."""
    shop.decide({"0.jpg": "Belt", "sub/0.jpg": "Bag", "@at.jpg": ""})
    with LedgerReader(shop.ledger) as reader:
        assert known_labels(reader)[:2] == ("T-shirt/top", "Trouser")
        assert further_labels(reader) == ("Belt",)


def test_what_cannot_be_read_or_written_is_one_sentence(shop: Shop, tmp_path: Path) -> None:
    """A ledger that is missing, and an output in a folder that is missing."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        LedgerReader(tmp_path / "none.ledger")
    with LedgerReader(shop.ledger) as reader, pytest.raises(OutputError, match="cannot be written"):
        write_table(read_corrections(reader), str(tmp_path / "none" / "c.csv"), "csv")
