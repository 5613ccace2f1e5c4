"""Tables of text with separators, as spreadsheets and shops export them."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_helpers import cells, items, reasons, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagger.catalog.cell_images import SEPARATORS
from tagger.catalog.source import open_source
from tagger.catalog.tables import CHUNK_ROWS, SPARE_COLUMNS, separator_of
from tagger.errors import SourceError


def test_rows_with_too_many_cells_are_bad_rows(tmp_path: Path) -> None:
    """A row with more cells than columns is a bad row however many they are; empty ones at its end do not count."""
    found = items(write(tmp_path / "t.csv", "path,sku\na.jpg,1\nb.jpg,2,x\nc.jpg,3,,,x,y\nd.jpg,4,\ne.jpg,5,,\nf.jpg,6\n"))
    assert reasons(found) == ["", "bad_row", "bad_row", "", "", ""]
    assert cells(found) == [[f"{name}.jpg", str(number)] for number, name in enumerate("abcdef", 1)]


def test_row_that_ends_before_its_path_has_no_image(tmp_path: Path) -> None:
    """A row too short to hold a path is a row with the cells that it has: spreadsheets leave empty cells out."""
    found = items(write(tmp_path / "t.csv", "sku,path,name\n1,a.jpg,x\n2\n3,c.jpg,z\n"))
    assert reasons(found) == ["", "no_image", ""]
    assert cells(found) == [["1", "a.jpg", "x"], ["2", "", ""], ["3", "c.jpg", "z"]]


def test_row_with_too_few_cells_is_filled_up(tmp_path: Path) -> None:
    """Spreadsheets leave out empty cells at the end of a row: such a row is a good one."""
    found = items(write(tmp_path / "t.csv", "path,sku,name\na.jpg,1,x\nb.jpg,2\nc.jpg,3,z\n"))
    assert reasons(found) == ["", "", ""]
    assert cells(found) == [["a.jpg", "1", "x"], ["b.jpg", "2", ""], ["c.jpg", "3", "z"]]


def test_stray_quotes_lose_no_row(tmp_path: Path) -> None:
    """Quotes within a cell (here for inches) cost no row: every record is an item, bad or good."""
    found = items(write(tmp_path / "t.csv", 'path,size\na.jpg,"5" tall"\nb.jpg,7"\nc.jpg,"9"\n'))
    assert len(found) == 3
    assert found[2].columns == {"path": "c.jpg", "size": "9"}


def test_quote_that_never_ends_is_an_error(tmp_path: Path) -> None:
    """A quote that swallows the rest of the table is an error that names the table, not a table with fewer rows."""
    table = write(tmp_path / "t.csv", 'path,size\na.jpg,1\nb.jpg,"2\nc.jpg,3\n')
    with pytest.raises(SourceError, match=r"t\.csv"):
        items(table)


def test_spreadsheet_exports_are_read(tmp_path: Path) -> None:
    """A byte order mark, semicolons, tabs in a .csv, Windows line ends and a missing last one are all read."""
    expected = [["a.jpg", "1,50"], ["b.jpg", "2"]]
    assert cells(items(write(tmp_path / "bom.csv", '\ufeffpath,price\r\na.jpg,"1,50"\r\nb.jpg,2\r\n'))) == expected
    assert cells(items(write(tmp_path / "semicolon.csv", "path;price\na.jpg;1,50\nb.jpg;2"))) == expected
    assert cells(items(write(tmp_path / "tab.csv", "path\tprice\na.jpg\t1,50\nb.jpg\t2"))) == expected
    assert cells(items(write(tmp_path / "bom.tsv", "\ufeffpath\tprice\r\na.jpg\t1,50\r\nb.jpg\t2\r\n"))) == expected
    assert cells(items(write(tmp_path / "quoted.csv", '"path";"price, net"\n"a.jpg";"1,50"\n"b.jpg";"2"\n'))) == expected
    assert [item.path for item in items(write(tmp_path / "bom.jsonl", '\ufeff{"path": "a.jpg"}\r\n\r\n'))] == ["a.jpg"]


def test_header_may_hold_line_breaks(tmp_path: Path) -> None:
    """A column name with a line break takes no row away."""
    source = open_source(str(write(tmp_path / "t.csv", 'path,"net\nprice"\na.jpg,1\nb.jpg,2\n')))
    assert source.columns == ("path", "net\nprice")
    assert cells(list(source.items)) == [["a.jpg", "1"], ["b.jpg", "2"]]


def test_nameless_column_is_kept(tmp_path: Path) -> None:
    """The index that data frames write as a first column without a name is a column like any other."""
    source = open_source(str(write(tmp_path / "t.csv", ",path\n0,a.jpg\n1,b.jpg\n")))
    assert source.columns == ("", "path")
    assert cells(list(source.items)) == [["0", "a.jpg"], ["1", "b.jpg"]]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("rows_before", [0, CHUNK_ROWS + 1])
def test_other_encodings_are_refused(tmp_path: Path, suffix: str, rows_before: int) -> None:
    """Text that is not UTF-8 is refused, wherever in the table it begins: a guessed encoding would change the cells."""
    line = b'{"path": "a.jpg"}\n' if suffix == ".jsonl" else b"a.jpg\n"
    header = b"" if suffix == ".jsonl" else b"path\n"
    table = write(tmp_path / f"t{suffix}", header + line * rows_before + line.replace(b"a.jpg", "ü.jpg".encode("latin-1")))
    with pytest.raises(SourceError, match=rf"t\{suffix} is not UTF-8"):
        items(table)


def test_utf16_is_refused(tmp_path: Path) -> None:
    """UTF-16, which spreadsheets call Unicode text, is refused too."""
    with pytest.raises(SourceError, match=r"t\.csv is not UTF-8"):
        items(write(tmp_path / "t.csv", "path,sku\na.jpg,1\n".encode("utf-16")))


# Prints the first row's path, whether the others come in order, and the peak in bytes of reading these.
READING = """
import sys, tracemalloc
from tagger.catalog.source import open_source
items = open_source(sys.argv[1]).items
first = next(items).path  # what reading tables imports does not count
tracemalloc.start()
numbers = [int(item.path[:-4]) for item in items]
print(first, numbers == list(range(1, 20_000)), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_long_tables_stream_with_flat_memory(tmp_path: Path) -> None:
    """A table of 20,000 rows is read in a few megabytes, and each row once, in order."""
    rows = "".join(f"{number}.jpg,{number:013d},a product of the catalog\n" for number in range(20_000))
    table = write(tmp_path / "many.csv", "path,ean,name\n" + rows)
    # In a process of its own, as threads and garbage of other tests would count as the table's memory.
    done = subprocess.run([sys.executable, "-c", READING, table], capture_output=True, text=True, check=True)
    first, in_order, peak = done.stdout.split()
    assert (first, in_order) == ("0.jpg", "True")
    assert int(peak) < 8_000_000  # all rows at once take 13 MB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("tables")


# A NUL cannot stand in text files that csv reads, nor a lone surrogate in UTF-8.
CHARACTERS = st.one_of(st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from(" ,;\t|\"'\r\n\ufeff"))


TEXT = st.text(CHARACTERS, max_size=8)


TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=6))


@settings(deadline=None, max_examples=100)
@given(TABLES, st.sampled_from([",", ";", "\t"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans())
@example([["\ufeffa.jpg", "x"]], ",", csv.QUOTE_MINIMAL, False)
@example([[""], ["a.jpg"], [" "]], ",", csv.QUOTE_ALL, False)
@example([["a\rb", '"', "\n"]], ";", csv.QUOTE_ALL, True)
def test_csv_cells_come_back_as_they_were(
    folder: Path, rows: list[list[str]], separator: str, quoting: int, mark: bool
) -> None:
    """Whatever text a table holds, its cells come back unchanged and its rows in order, one item each.

    A line of blanks is no row unless it is quoted, and a table of one column is read as separated by commas.
    """
    if quoting == csv.QUOTE_MINIMAL:
        rows = [row for row in rows if len(row) > 1 or row[0] == "" or row[0].strip(" \t")]
    columns = ["path", "sku", "name", "note"][: len(rows[0]) if rows else 2]
    separator = separator if len(columns) > 1 else ","
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=quoting).writerows([columns, *rows])  # type: ignore[arg-type]
    table = write(folder / "t.csv", text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    found = items(table, "path")
    assert cells(found) == rows
    single = [not any(mark in row[0] for mark in SEPARATORS) for row in rows]  # of several images the first one's path is told
    assert [one.path for one, only in zip(found, single, strict=True) if only] == [
        row[0] for row, only in zip(rows, single, strict=True) if only
    ]


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("t.csv", "path,price", ","),
        ("t.csv", "path;price, net;x", ";"),
        ("t.csv", "path\tprice", "\t"),
        ("t.csv", "path|price", "|"),
        ("t.csv", "path", ","),
        ("t.csv", '"a;b;c;d",path,price', ","),
        ("t.csv", 'path,"a quote that goes on; and; on;', ","),
        ("t.TSV", "path,price", "\t"),
    ],
)
def test_separator_is_the_most_frequent_one_of_the_header(tmp_path: Path, name: str, header: str, separator: str) -> None:
    """Separators within quotes do not count, and the suffix .tsv decides."""
    assert separator_of(write(tmp_path / name, header + "\na.jpg\n")) == separator


def test_a_row_may_have_as_many_surplus_cells_as_the_limit(tmp_path: Path) -> None:
    """At the limit it is a bad row; beyond it the table is damaged."""
    row = "a.jpg,1" + ",x" * SPARE_COLUMNS
    assert reasons(items(write(tmp_path / "t.csv", f"path,sku\n{row}\nb.jpg,2\n"))) == ["bad_row", ""]
    with pytest.raises(SourceError, match=r"t\.csv is damaged"):
        items(write(tmp_path / "t.csv", f"path,sku\n{row},x\nb.jpg,2\n"))
