"""File names that are not UTF-8 are escaped in tables and JSON, and lead to the same files again; long ones fit."""

import json
import os
from pathlib import Path

import pytest

from tagger.catalog.source import open_source
from tagger.file_names import escape_surrogates, resolve_escaped, shortened, unescape_surrogates, with_ending
from tagger.files import as_csv, as_json

ODD = os.fsdecode(b"caf\xe9-\xff")
"""A name in Latin 1."""


def test_names_come_back_from_json_and_text() -> None:
    """JSON reads the escape as the same name again, and `unescape_surrogates` reads it from text."""
    assert escape_surrogates(ODD) == r"caf\udce9-\udcff"
    assert json.loads(as_json({"file": ODD})) == {"file": ODD}
    assert unescape_surrogates(escape_surrogates(ODD)) == ODD


@pytest.mark.parametrize("text", ["", "café 茶 😀", r"C:\users\dcim", r"\ud7ff \ue000 \uDC80"])
def test_other_names_are_unchanged(text: str) -> None:
    """Names in UTF-8, and backslashes that begin no escape of a surrogate, stay as they are."""
    assert escape_surrogates(text) == unescape_surrogates(text) == text


@pytest.mark.parametrize("escape", [r"\ud800", r"\udbff", r"\udc00", r"\udfff"])
def test_every_surrogate_is_read_back(escape: str) -> None:
    """The first and last of the high and of the low surrogates."""
    assert unescape_surrogates(escape) == chr(int(escape[2:], 16))


def test_an_existing_name_is_taken_as_it_stands(tmp_path: Path) -> None:
    """Only where no file has the name as written is the escape read; where neither file exists the name stays."""
    written, meant = tmp_path / r"x\udcff.png", tmp_path / os.fsdecode(b"x\xff.png")
    assert resolve_escaped(written) == written
    meant.touch()
    assert resolve_escaped(written) == meant
    written.symlink_to("nothing")
    assert resolve_escaped(written) == written


def test_a_table_finds_the_photos_beside_it(tmp_path: Path) -> None:
    """A table with escaped names leads to the photos."""
    names = [f"{ODD}.png", r"x\udcff.png", r"x\udcfe.png"]
    for name in names[:2]:
        (tmp_path / name).touch()
    (tmp_path / "table.csv").write_bytes(as_csv([("image",), *((name,) for name in names)]))
    files = [item.file for item in open_source(str(tmp_path / "table.csv")).items]
    assert files == [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("name", "length", "short"), [("abc", 3, "abc"), ("abc", 2, "ab"), ("aü", 2, "a"), ("😀", 3, ""), (ODD, 4, ODD[:4])]
)
def test_names_are_shortened_by_letters(name: str, length: int, short: str) -> None:
    """A letter that takes several bytes is kept or dropped as a whole."""
    assert shortened(name, length) == short


def test_long_names_with_an_ending_stay_different() -> None:
    """A name that fits is kept as it is; otherwise the end of it is its hash, the same in every run."""
    assert with_ending("n" * 250, ".lock") == "n" * 250 + ".lock"
    long = with_ending("n" * 251, ".lock")
    assert long == "n" * 233 + "-64091ef053a17b18.lock"
    assert len(os.fsencode(with_ending("茶" * 200, ".ledger", 247))) <= 247
    assert with_ending("n" * 252, ".lock") != long
