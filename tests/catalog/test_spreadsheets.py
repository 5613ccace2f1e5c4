"""Excel workbooks are tables with the cells as a person sees them."""

import builtins
import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalog_helpers import cells, items
from PIL import Image

from tagger.catalog.source import open_source
from tagger.catalog.spreadsheets import workbook_rows
from tagger.errors import SourceError

openpyxl = pytest.importorskip("openpyxl")

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


def book(path: Path, *sheets: list[list[Any]]) -> Path:
    """Write a workbook of these sheets and return its path."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for number, rows in enumerate(sheets):
        sheet = workbook.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def test_cells_are_as_a_person_sees_them(tmp_path: Path) -> None:
    """Text stays, whole numbers have no point, dates are ISO 8601; blank rows stay between others alone."""
    values = ["00123", 1.0, 19.5, 0.1 + 0.2, 4006381333931.0, True, datetime(2026, 1, 31), datetime(2026, 1, 31, 12, 5)]
    values += [date(2026, 2, 1), time(12, 30), timedelta(hours=30), None]
    table = book(tmp_path / "t.xlsx", [["image", *map(str, range(len(values)))], ["a.jpg", *values], [], ["b.jpg"], [None, ""]])
    seen = ["00123", "1", "19.5", "0.3", "4006381333931", "TRUE", "2026-01-31", "2026-01-31 12:05:00"]
    seen += ["2026-02-01", "12:30:00", "30:00:00", ""]
    found = cells(items(table))
    assert found[0] == ["a.jpg", *seen]
    assert [row[0] for row in found] == ["a.jpg", "", "b.jpg"]


def test_number_formats_of_identifiers_and_prices(tmp_path: Path) -> None:
    """Leading zeros and decimals that a format shows are part of the text."""
    formats = {"00000": "00042", "0.00": "42.00", "0%": "4200%", "General": "42", "#,##0.0": "42.0"}
    table = book(tmp_path / "t.xlsx", [["image", *formats], ["a.jpg", *[42] * len(formats)]])
    workbook = openpyxl.load_workbook(table)
    for at, number_format in enumerate(formats, 2):
        workbook.active.cell(2, at).number_format = number_format
    workbook.save(table)
    assert cells(items(table)) == [["a.jpg", *formats.values()]]


def test_the_sheet_with_an_image_column_is_read(tmp_path: Path) -> None:
    """Below a title, on the first visible sheet that has one; others are named, hidden ones count last."""
    header = ["sku", "image"]
    table = book(
        tmp_path / "t.xlsx", [[*header], [0, "z.jpg"]], [["x"]], [["Title"], [], header, [1, "a.jpg"]], [header, [2, "b.jpg"]]
    )
    workbook = openpyxl.load_workbook(table)
    workbook["S0"].sheet_state = "hidden"
    workbook.save(table)
    heard: list[str] = []
    assert [item.path for item in open_source(str(table), on_warning=heard.append).items] == ["a.jpg"]
    assert "the sheet 'S2' is read; other sheets with an image column are not: 'S3'." in heard[0]
    del workbook["S2"], workbook["S3"]
    workbook.save(table)
    assert [item.path for item in items(table)] == ["z.jpg"]


def test_a_wrong_size_in_the_file_hides_no_rows(tmp_path: Path) -> None:
    """Many programs write the size of a sheet wrong; the name of the file does not matter either."""
    table = book(tmp_path / "t.xlsx", [["sku", "image"], [1, "a.jpg"]])
    with zipfile.ZipFile(table) as old, zipfile.ZipFile(tmp_path / "t.csv", "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', old.read(name)))
    assert [item.path for item in items(tmp_path / "t.csv")] == ["a.jpg"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """Pictures in cells, formulas that were never computed, no image column, an empty book, damage."""
    Image.new("RGB", (4, 4)).save(picture := io.BytesIO(), "PNG")
    table = book(tmp_path / "t.xlsx", [["sku", "image"], [1, None]])
    workbook = openpyxl.load_workbook(table)
    workbook.active.add_image(openpyxl.drawing.image.Image(picture), "B2")
    workbook.save(table)
    assert "has pictures inside its cells" in open_source(str(table)).notes[0]
    formulas = open_source(str(book(tmp_path / "f.xlsx", [["sku", "image"], [1, "=A2"]])))
    assert "formulas without stored results" in formulas.notes[0]
    for name, rows, problem in (("n", [["sku", "colour"], [1, "red"]], "its columns are: sku, colour"), ("e", [], "is empty")):
        with pytest.raises(SourceError, match=problem):
            items(book(tmp_path / f"{name}.xlsx", rows))
    (tmp_path / "d.xlsx").write_bytes(table.read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"d\.xlsx is a damaged Excel workbook"):
        items(tmp_path / "d.xlsx")


def test_without_openpyxl_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no part of a plain installation."""
    table = book(tmp_path / "t.xlsx", [["image"], ["a.jpg"]])
    plain_import = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "openpyxl":
            raise ImportError(name)
        return plain_import(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SourceError, match=r'pip install "fmtag\[excel\]"'):
        items(table)


def test_rows_of_any_sheet_can_be_read(tmp_path: Path) -> None:
    """The caller says what a header is; without one there are no rows."""
    table = book(tmp_path / "t.xlsx", [["title"], ["a", "b"], [1, 2]])
    header, rows = workbook_rows(table, lambda names: len(names) > 1 and bool(names[1]))
    assert (header, list(rows)) == (["a", "b"], [["1", "2"]])
    assert workbook_rows(table, lambda names: len(names) > 2)[0] == []
