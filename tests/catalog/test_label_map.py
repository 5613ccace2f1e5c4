"""A label map gives every label the shop's own name, or is refused with what it lacks."""

from pathlib import Path

import pytest
from catalog_helpers import write

from tagger.catalog import label_map
from tagger.catalog.label_map import read_label_map
from tagger.errors import SourceError

LABELS = ("Bag", "Coat", "T-shirt/top")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.csv", "label,name\nBag,Tasche\nCoat,Mantel\nT-shirt/top,T-Shirt\n"),
        ("map.csv", "\ufefflabel;name;note\r\nCoat ; Mantel;x\r\n\r\nBag;Tasche;\r\nT-shirt/top;T-Shirt"),
        ("map.tsv", "a\tb\nT-shirt/top\tT-Shirt\nBag\tTasche\nCoat\tMantel\n"),
        ("map.csv", 'label,name\n"Bag","Tasche"\nCoat,Mantel\nT-shirt/top,T-Shirt\nshort\n'),
    ],
)
def test_first_two_columns_are_label_and_name(tmp_path: Path, name: str, content: str) -> None:
    """Whatever the columns are called, in any order of lines, with blanks, empty lines and further columns ignored."""
    names = read_label_map(write(tmp_path / name, content), LABELS)
    assert names == {"Bag": "Tasche", "Coat": "Mantel", "T-shirt/top": "T-Shirt"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("label,name\nBag,Tasche\n", "lacks Coat, T-shirt/top;"),
        ("label,name\nBag,Tasche\nCoat,\nT-shirt/top,T\n", "lacks Coat;"),
        ("Bag,Tasche\nCoat,Mantel\nT-shirt/top,T\n", "lacks Bag;"),
        ("label,name\nHat,Hut\nBag,Tasche\n", "names labels that the bundle lacks: Hat;"),
        ("", "lacks Bag, Coat, T-shirt/top;"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    """A missing label, one without a name, a missing header and an unknown label are named in one sentence."""
    with pytest.raises(SourceError) as caught:
        read_label_map(write(tmp_path / "map.csv", content), LABELS)
    assert f"map.csv {problem}" in str(caught.value)
    assert "a line for each of Bag, Coat, T-shirt/top" in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_map_may_be_written_by_a_spreadsheet(tmp_path: Path, encoding: str) -> None:
    """Encoding and separator are found as those of a table are."""
    content = "label;name\r\nBag;Tüte für Mädchen\r\nCoat;Mäntel\r\nT-shirt/top;T-Shirt\r\n".encode(encoding)
    assert read_label_map(write(tmp_path / "map.csv", content), LABELS)["Bag"] == "Tüte für Mädchen"


def test_a_map_may_be_a_workbook(tmp_path: Path) -> None:
    """The first sheet with two columns counts."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["label", "name"], ["Bag", "Tasche"], ["Coat", "Mantel"], ["T-shirt/top", "T-Shirt"]):
        book.active.append(row)
    book.save(tmp_path / "map.xlsx")
    assert read_label_map(tmp_path / "map.xlsx", LABELS)["Coat"] == "Mantel"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), OSError("Input/output error")])
def test_a_map_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """The error has the system's reason."""

    def failing(path: Path) -> None:
        raise error

    monkeypatch.setattr(label_map, "table_kind", failing)
    with pytest.raises(SourceError, match=r"map\.csv cannot be read: Input/output error\.$"):
        read_label_map(tmp_path / "map.csv", LABELS)
