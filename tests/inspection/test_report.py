"""A report has stable keys for machines, and sections for people."""

import io
import json
from pathlib import Path

import pytest
from catalog_helpers import write
from helpers import draw_photo
from run_helpers import write_shop

from tagger.inspection.inspect import inspect_source
from tagger.inspection.report import Report, as_values, duration, error_values, make_report, sections, size
from tagger.inspection.settings import InspectionSettings

KEYS = [
    "format", "source", "error", "kind", "table", "complete", "seconds", "counts", "photos", "failures", "ignored",
    "pictures_left_out", "warnings", "duplicates", "products", "labels", "estimate", "environment", "advice", "command",
]  # fmt: skip
COUNTS = [
    "items", "files", "remote", "looked_at", "decoded", "without_image", "failed", "addresses", "matched_addresses",
    "respelled", "not_utf8", "ignored", "duplicates", "bytes",
]  # fmt: skip


def reported(source: Path, **settings: object) -> Report:
    """Return the report of a source."""
    inspection = inspect_source(InspectionSettings(str(source), **settings), io.BytesIO())  # type: ignore[arg-type]
    return make_report(inspection, "fmtag run shop --out tags.csv")


def test_the_keys_are_stable(tmp_path: Path) -> None:
    """Whoever reads the JSON finds the same keys, of whatever source."""
    values = json.loads(json.dumps(as_values(reported(write_shop(tmp_path / "shop")))))
    assert [*values] == KEYS
    assert [*values["counts"]] == COUNTS
    assert (values["format"], values["error"], values["kind"], values["table"]) == (1, "", "folder", None)
    assert [(one["reason"], one["count"], one["paths"]) for one in values["failures"]] == [("truncated", 1, ["broken.jpg"])]
    assert values["duplicates"] == {"complete": True, "groups": [["0001.jpg", "more/copy.jpg"]]}
    assert (values["products"], values["labels"]) == (None, None)
    assert error_values("x", "why") == {"format": 1, "source": "x", "error": "why"}


def test_a_table_is_described(tmp_path: Path) -> None:
    """Its columns, what they say of products and labels, and rows that share a file."""
    draw_photo(1).save(tmp_path / "a.png")
    draw_photo(2).save(tmp_path / "b.png")
    report = reported(write(tmp_path / "t.csv", "handle,image,label\ntee,a.png,Shirt\ntee,b.png,Shirt\nbag,a.png,Bag\n"))
    values = as_values(report)
    assert values["table"]["columns"] == ["handle", "image", "label"]
    assert values["products"] == {"column": "handle", "products": 2, "rows": 3}
    assert values["labels"] == {"column": "label", "rows": {"Shirt": 2, "Bag": 1}}
    source = dict(sections(report)[0].rows)
    assert source["rows"] == "3"
    assert source["different files"] == "2"
    assert source["photos per product"] == "3 rows of 2 products by column handle, at most 2 of one"
    assert source["labels"] == "2 in column label: Shirt 2, Bag 1"


def test_sections_say_what_was_looked_at(tmp_path: Path) -> None:
    """A sample is told from the whole; sections without content are left out."""
    write_shop(tmp_path / "shop")
    titles = [section.title for section in sections(reported(tmp_path / "shop"))]
    assert titles == [
        "Source", "Photos (all 10 decoded)", "Photos that would fail", "Estimate and machine", "What to do first", "Then run",
    ]  # fmt: skip
    sample = [section.title for section in sections(reported(tmp_path / "shop", sample=1))]
    assert sample[1].startswith("Photos (10 of 10 looked at, ")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "a second"), (3, "3 seconds"), (119, "119 seconds"), (600, "10 minutes"), (10_000, "3 hours")]
)
def test_times_are_in_words(seconds: float, text: str) -> None:
    """In units that suit an estimate."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (1500, "1.5 kB"), (25_000, "25 kB"), (3_200_000, "3.2 MB"), (64 * 10**9, "64 GB")]
)
def test_bytes_have_units(count: int, text: str) -> None:
    """In steps of a thousand, as disks are sold."""
    assert size(count) == text
