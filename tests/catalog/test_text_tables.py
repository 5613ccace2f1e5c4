"""Tables of text with separators, as spreadsheets and shops export them."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_helpers import cells, items, reasons, touch, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagger.catalog.cell_images import SEPARATORS
from tagger.catalog.source import open_source
from tagger.catalog.text_tables import text_rows


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


def test_a_quote_that_never_ends_costs_its_own_row(tmp_path: Path) -> None:
    """A quote that would swallow the rest of the table makes its row a bad one, named by its line; the others stay right."""
    found = items(write(tmp_path / "t.csv", 'path,size\na.jpg,1\nb.jpg,"2\nc.jpg,3\n'))
    assert reasons(found) == ["", "bad_row", ""]
    assert cells(found) == [["a.jpg", "1"], ["b.jpg", '"2'], ["c.jpg", "3"]]
    assert "t.csv, line 3: a quote that is never closed" in str(found[1].problem)


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


# A NUL cannot stand in text that Python 3.10 writes as CSV, nor a lone surrogate in UTF-8.
CHARACTERS = st.one_of(st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from(" ,;\t|\"'\r\n\ufeff"))


TEXT = st.text(CHARACTERS, max_size=8)


TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=6))


@settings(deadline=None, max_examples=100)
@given(
    TABLES,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@example([[',\\",']], ",", csv.QUOTE_MINIMAL, "utf-8", "\n")
@example([["\ufeffa.jpg", "x"]], ",", csv.QUOTE_MINIMAL, "utf-8", "\n")
@example([[""], ["a.jpg"], [" "]], ",", csv.QUOTE_ALL, "utf-8", "\n")
@example([["a\rb", '"', "\n"]], ";", csv.QUOTE_ALL, "utf-16", "\r")
@example([["''"], ["','"]], ",", csv.QUOTE_MINIMAL, "utf-8", "\r\n")
def test_csv_cells_come_back_as_they_were(
    folder: Path, rows: list[list[str]], separator: str, quoting: int, encoding: str, line_end: str
) -> None:
    """Whatever text a table holds, its cells come back unchanged and its rows in order, one item each.

    A line of blanks is no row unless it is quoted, and a table of one column is read as separated by commas.
    """
    if quoting == csv.QUOTE_MINIMAL:
        rows = [row for row in rows if len(row) > 1 or row[0] == "" or row[0].strip(" \t")]
        if line_end != "\r\n":  # csv quotes the line ends of its own dialect alone
            rows = [[cell.replace("\r", "").replace("\n", "") for cell in row] for row in rows]
            rows = [row for row in rows if len(row) > 1 or row[0] == "" or row[0].strip(" \t")]
    columns = ["path", "sku", "name", "note"][: len(rows[0]) if rows else 2]
    separator = separator if len(columns) > 1 else ","
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerows([columns, *rows])
    table = write(folder / "t.csv", text.getvalue().encode(encoding))
    found = items(table, "path")
    assert cells(found) == rows
    single = [not any(mark in row[0] for mark in SEPARATORS) for row in rows]  # of several images the first one's path is told
    assert [one.path for one, only in zip(found, single, strict=True) if only] == [
        row[0] for row, only in zip(rows, single, strict=True) if only
    ]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("sku,image\n1,a.jpg\n", ("sku", "image")),
        ("sep=;\r\nsku;image\r\n1;a.jpg\r\n", ("sku", "image")),
        ("Spring, 2026; all\n\nsku;image\n1;a.jpg\n", ("sku", "image")),
        ("# exported\nsku\timage\n1\ta.jpg\n", ("sku", "image")),
        ("\r\n\r\nsku|image\r\n1|a.jpg\r\n", ("sku", "image")),
        ("sku,image,,,\n1,a.jpg,,,\n", ("sku", "image")),
        (" sku , image\n1,a.jpg\n", ("sku", "image")),
        ("image,image\na.jpg,b.jpg\n", ("image", "image.2")),
        ("image,x,x\na.jpg,1,2\n", ("image", "x", "x.2")),
        ("1,a.jpg\n2,b.jpg\n", ("column_1", "column_2")),
        ("a.jpg\nb.jpg\n", ()),
    ],
)
def test_the_header_is_found_where_it_is(tmp_path: Path, content: str, columns: tuple[str, ...]) -> None:
    """Titles, comments, blank lines, `sep=` before it, blanks, marks and missing names in it, and no header at all."""
    source = open_source(str(write(tmp_path / "t.csv", content)))
    assert source.columns == columns
    assert next(item.path for item in source.items) == "a.jpg"


def test_a_cell_below_no_name_is_kept(tmp_path: Path) -> None:
    """Columns without a name at the end are left out only if they hold nothing, even in the last row."""
    source = open_source(str(write(tmp_path / "t.csv", "image,sku,,\n" + "a.jpg,1,,\n" * 400 + "b.jpg,2,x,\n")))
    assert source.columns == ("image", "sku", "column_3")
    assert cells(list(source.items))[-1] == ["b.jpg", "2", "x"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman", "cp1250"])
def test_the_encoding_is_the_one_in_which_the_photos_exist(tmp_path: Path, encoding: str) -> None:
    """A word may be read in several encodings; the names of files decide, and a warning says which one it is."""
    touch(tmp_path, "Löwe.jpg")
    heard: list[str] = []
    table = write(tmp_path / "t.csv", "sku;image\n1;Löwe.jpg\n".encode(encoding))
    found = list(open_source(str(table), on_warning=heard.append).items)
    assert [item.path for item in found] == ["Löwe.jpg"]
    assert [sentence.startswith(f"{table} is not UTF-8; it is read as ") for sentence in heard] == [True]


def test_a_list_may_be_a_file(tmp_path: Path) -> None:
    """One path per line, without columns; blank lines and comments are none."""
    source = open_source(str(write(tmp_path / "t.txt", "# photos\na.jpg\r\n\nb, c.jpg\n")))
    assert (source.columns, source.root) == ((), tmp_path)
    assert [(item.path, item.columns) for item in source.items] == [("a.jpg", {}), ("b, c.jpg", {})]


def test_rows_of_any_table_can_be_read(tmp_path: Path) -> None:
    """A table without images has a header too, if the caller says what one is."""
    header, rows = text_rows(write(tmp_path / "t.csv", "title\na;b\n1;2\n".encode("utf-16")), lambda names: len(names) > 1)
    assert (header, [(row.cells, row.line) for row in rows]) == (["a", "b"], [(["1", "2"], 3)])
    assert text_rows(write(tmp_path / "t.csv", "a\n"), lambda names: len(names) > 1)[0] == []
