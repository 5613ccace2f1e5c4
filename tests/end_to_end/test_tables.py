"""Tables as shops and spreadsheets really write them are tagged row by row, through the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import draw_photo, rows_of

from tagger.cli.main import main

Run = Callable[..., tuple[int, str, list[dict[str, str]]]]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `fmtag run` on a table beside three photos; return its exit code, what it said and its rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    for number, name in enumerate(("tee", "bag", "trouser")):
        draw_photo(number, (60, 80)).save(f"{name}.jpg")

    def call(name: str, content: str | bytes, *options: str) -> tuple[int, str, list[dict[str, str]]]:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SystemExit) as left:
            main(["run", name, "--out", "tags.csv", *options])
        return int(left.value.code or 0), capsys.readouterr().err, rows_of(Path("tags.csv"))

    return call


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "\r\nsku,image\r\n1,tee.jpg\r\n2,bag.jpg\r\n"),
        ("p.csv", "# exported\nsku,image\n1,tee.jpg\n2,bag.jpg\n"),
        ("p.csv", "sku,image,Attribute,Attribute\n1,tee.jpg,x,y\n2,bag.jpg,,\n"),
        ("p.csv", "sku,image\r1,tee.jpg\r2,bag.jpg\r"),
        ("p.csv", "sku,image,name\n1,tee.jpg,a\0b\n2,bag.jpg,c\n"),
        ("p.csv", 'sku,d,image\n1,"first\nsecond, and ""third""",tee.jpg\n2,"<p>x</p>\r\n<p>y</p>",bag.jpg\n'),
        ("p.csv", "sku,name,image,,,\r\n1,Tee,tee.jpg,,,\r\n2,Bag,bag.jpg,,,\r\n"),
        ("p.csv", "sku;image\r\n1;tee.jpg\r\n2;bag.jpg\r\n".encode("utf-16")),
        ("p.json", '[{"sku": "1", "image": "tee.jpg"}, {"sku": "2", "image": "bag.jpg"}]'),
        ("p.tsv", "sku\ttitle\timage link\n1\tTee\ttee.jpg\n2\tBag\tbag.jpg\n"),
    ],
)
def test_a_table_is_understood(run: Run, name: str, content: str | bytes) -> None:
    """Each row has its own photo's path, and nothing is said or failed."""
    code, heard, rows = run(name, content, "--quiet")
    assert (code, heard) == (0, "")
    assert [(row["sku"], row["path"]) for row in rows] == [("1", "tee.jpg"), ("2", "bag.jpg")]


def test_a_list_in_a_file_is_read(run: Run) -> None:
    """One path per line."""
    code, _, rows = run("p.txt", "tee.jpg\nbag.jpg\n")
    assert (code, [row["path"] for row in rows]) == (0, ["tee.jpg", "bag.jpg"])


def test_a_guessed_encoding_is_said_and_the_cells_are_unicode(run: Run) -> None:
    """On standard error, once."""
    code, heard, rows = run("p.csv", "sku;name;image\r\n1;Mäntel;tee.jpg\r\n".encode("cp1252"))
    assert (code, rows[0]["name"]) == (0, "Mäntel")
    assert heard.count("p.csv is not UTF-8; it is read as Windows-1252.") == 1


def test_an_unclosed_quote_gives_nobody_the_tag_of_another(run: Run) -> None:
    """Its row is a bad one, named by its line; the rows below have their own photos."""
    code, heard, rows = run("p.csv", 'sku,title,image\n1,"Tee blue,tee.jpg\n2,Trousers,trouser.jpg\n3,"Bag",bag.jpg\n')
    assert code == 3
    assert "p.csv, line 2: a quote that is never closed" in heard
    assert [row["sku"] for row in rows] == ["1", "2", "3"]
    assert [row["path"] for row in rows[1:]] == ["trouser.jpg", "bag.jpg"]
    assert [row["reason"] == "bad_row" for row in rows] == [True, False, False]


def test_a_workbook_is_read(run: Run) -> None:
    """Text stays text, and the table's columns are the output's."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["sku", "image"], ["00123", "tee.jpg"], [2.0, "bag.jpg"]):
        book.active.append(row)
    book.save("b.xlsx")
    code, _, rows = run("p.xlsx", Path("b.xlsx").read_bytes())
    assert (code, [(row["sku"], row["path"]) for row in rows]) == (0, [("00123", "tee.jpg"), ("2", "bag.jpg")])


def test_the_format_of_a_table_may_be_given(run: Run) -> None:
    """It decides which column counts; one that does not fit is refused before anything is written."""
    content = "id,image,image_link\n1,bag.jpg,tee.jpg\n"
    assert [row["path"] for row in run("p.csv", content, "--table-format", "google")[2]] == ["tee.jpg"]
    code, heard, _ = run("p.csv", content, "--table-format", "shopify")
    assert code == 1
    assert "--table-format shopify" in heard
