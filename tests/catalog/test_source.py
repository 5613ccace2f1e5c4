"""Folders, tables and lists become streams of items: all of them, in order, with their cells unchanged."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tagger.catalog.source import CHUNK_ROWS, label_column, open_source
from tagger.errors import SourceError
from tagger.records import Item

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def items(source: Path | str, image_column: str | None = None) -> list[Item]:
    """Return all items of a source."""
    return list(open_source(str(source), image_column).items)


def reasons(found: list[Item]) -> list[str]:
    """Return what is wrong with each item, '' where nothing is."""
    return [item.problem.reason if item.problem else "" for item in found]


def cells(found: list[Item]) -> list[list[object]]:
    """Return the values of each item's table row."""
    return [list(item.columns.values()) for item in found]


def touch(folder: Path, *names: str) -> Path:
    """Make empty files, and the folders that they lie in, and return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write(path: Path, content: str | bytes) -> Path:
    """Write a file as it is given, line ends and all, and return its path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_table(path: Path, columns: list[str], rows: list[list[str]]) -> Path:
    """Write the same table in the format that the suffix names, and return its path."""
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({name: [row[at] for row in rows] for at, name in enumerate(columns)}), path)
    elif path.suffix == ".jsonl":
        write(path, "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([columns, *rows])
    return path


each_format = pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])


# Folders -----------------------------------------------------------------------------------------------------------


def test_folder_is_walked_recursively_in_a_stable_order(tmp_path: Path) -> None:
    """Every image at any depth is an item, in the order of names, its path relative to the folder with `/`."""
    touch(tmp_path, "b.jpg", "a/2.png", "a/1.webp", "a/deep/er/x.tiff", "c/z.gif", "B.jpg")
    found = items(tmp_path)
    assert [item.path for item in found] == ["B.jpg", "a/1.webp", "a/2.png", "a/deep/er/x.tiff", "b.jpg", "c/z.gif"]
    assert [item.file for item in found] == [tmp_path / item.path for item in found]
    assert reasons(found) == [""] * 6


def test_suffix_case_is_ignored(tmp_path: Path) -> None:
    """Cameras write .JPG; the suffix counts in any case."""
    names = ["a.JPG", "b.Jpeg", "c.PNG", "d.HEIC", "e.Avif", "f.tIf"]
    assert [item.path for item in items(touch(tmp_path, *names))] == names


def test_what_is_no_item_is_told(tmp_path: Path) -> None:
    """Hidden entries and files that are no images are passed over, each by its path and with a reason."""
    touch(tmp_path, "a.jpg", "notes.txt", "sub/table.csv", "sub/no_suffix", ".hidden.jpg", ".cache/b.jpg", "sub/.DS_Store")
    told: list[tuple[str, str]] = []
    found = list(open_source(str(tmp_path), ignored=lambda path, why: told.append((path, why))).items)
    assert [item.path for item in found] == ["a.jpg"]
    assert sorted(told) == [
        (".cache", "hidden"),
        (".hidden.jpg", "hidden"),
        ("notes.txt", "not an image"),
        ("sub/.DS_Store", "hidden"),
        ("sub/no_suffix", "not an image"),
        ("sub/table.csv", "not an image"),
    ]


def test_link_circle_ends(tmp_path: Path) -> None:
    """Links to the folder itself, to one above it and to each other do not make the walk endless or repeat a photo."""
    folder = touch(tmp_path / "shop", "a/1.jpg", "2.jpg")
    (folder / "a" / "back").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    outside = touch(tmp_path / "outside", "3.jpg")
    (outside / "home").symlink_to(folder)
    (folder / "other").symlink_to(outside)
    assert [item.path for item in items(folder)] == ["2.jpg", "a/1.jpg", "other/3.jpg"]


def test_linked_folder_outside_is_walked_once(tmp_path: Path) -> None:
    """Two links to one folder outside give its photos once, in the order of the links' names."""
    outside = touch(tmp_path / "outside", "1.jpg", "sub/2.jpg")
    folder = touch(tmp_path / "shop", "0.jpg")
    (folder / "first").symlink_to(outside)
    (folder / "second").symlink_to(outside)
    (folder / "third").symlink_to(outside / "sub")
    assert [item.path for item in items(folder)] == ["0.jpg", "first/1.jpg", "first/sub/2.jpg"]


def test_no_photo_is_lost_between_two_links(tmp_path: Path) -> None:
    """After a link into a part of a folder outside, a link to the whole of it still gives the rest."""
    outside = touch(tmp_path / "outside", "1.jpg", "sub/2.jpg")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a").symlink_to(outside / "sub")
    (folder / "b").symlink_to(outside)
    assert [item.path for item in items(folder)] == ["a/2.jpg", "b/1.jpg"]


def test_link_to_a_folder_inside_is_not_walked_twice(tmp_path: Path) -> None:
    """A link to a folder that is walked anyway is told as ignored, even where the link comes first."""
    folder = touch(tmp_path / "shop", "m/1.jpg")
    (folder / "a").symlink_to(folder / "m")
    (folder / "z").symlink_to(folder / "m")
    told: list[str] = []
    found = list(open_source(str(folder), ignored=lambda path, why: told.append(path)).items)
    assert [item.path for item in found] == ["m/1.jpg"]
    assert told == ["a", "z"]


def test_broken_links_to_photos_are_items(tmp_path: Path) -> None:
    """A link to a photo that is gone, or to itself, is a row all the same: it was meant to be one."""
    touch(tmp_path, "c.jpg")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    assert [item.path for item in items(tmp_path)] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.skipif(AS_ROOT, reason="root may read every folder")
def test_forbidden_subfolder_is_an_item(tmp_path: Path) -> None:
    """A subfolder without permission is one unreadable item among the others."""
    touch(tmp_path, "a.jpg", "b/1.jpg", "c.jpg")
    (tmp_path / "b").chmod(0)
    try:
        found = items(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)
    assert [item.path for item in found] == ["a.jpg", "b/", "c.jpg"]
    assert reasons(found) == ["", "unreadable", ""]


def test_unreadable_subfolder_is_an_item(tmp_path: Path) -> None:
    """A subfolder that cannot be listed, here since its path is too long, is one unreadable item among the others."""
    touch(tmp_path, "a.jpg", "z.jpg")
    name, depth = "n" * 250, 20
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    found = items(tmp_path)
    assert [item.path[:1] for item in found] == ["a", "n", "z"]
    assert reasons(found) == ["", "unreadable", ""]
    assert found[1].path.endswith("/")
    assert found[1].problem is not None
    assert found[1].problem.detail


def test_deep_folders_are_walked(tmp_path: Path) -> None:
    """Folders within folders are walked as deep as the system's own limit on paths lets them be."""
    depth = 1200
    folders = [Path(f"{tmp_path}/{'d/' * level}") for level in range(1, depth + 1)]
    for folder in folders:
        folder.mkdir()
    photo = touch(folders[-1], "x.jpg") / "x.jpg"
    try:
        paths = [item.path for item in items(tmp_path)]
    except RecursionError:
        pytest.fail("the walk is as deep as the interpreter's stack", pytrace=False)  # a trace of 1,000 calls says no more
    finally:
        photo.unlink()
        for folder in reversed(folders):  # whoever cleans up later may not be able to go that deep
            folder.rmdir()
    assert paths == ["d/" * depth + "x.jpg"]


def test_file_name_that_is_not_utf8_comes_through(tmp_path: Path) -> None:
    """A name in another encoding than UTF-8 is an item whose file can be opened."""
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names alone")
    [item] = items(tmp_path)
    assert os.fsencode(item.path) == b"caf\xe9.jpg"
    assert item.file is not None
    assert item.file.read_bytes() == b"x"


def test_listing_does_not_run_ahead(tmp_path: Path) -> None:
    """The first items come before later folders are listed: what is put there meanwhile is still found."""
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    stream = open_source(str(tmp_path)).items
    assert next(stream).path == "a/1.jpg"
    touch(tmp_path, "b/3.jpg", "c/4.jpg")
    assert [item.path for item in stream] == ["b/2.jpg", "b/3.jpg"]  # a itself is listed as a whole, without c


@pytest.mark.slow
def test_hundred_thousand_files_stream_with_flat_memory(tmp_path: Path) -> None:
    """A folder of 100,000 files is walked in less than 60 MB, and each file once."""
    folder = tmp_path / "many"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for number in range(100_000):
        os.mknod(f"{number:06d}.jpg", dir_fd=handle)
    os.close(handle)
    try:
        tracemalloc.start()
        count = sum(1 for _ in open_source(str(folder)).items)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        shutil.rmtree(folder)
    assert count == 100_000
    assert peak < 60_000_000


def test_one_image_is_one_item(tmp_path: Path) -> None:
    """A file with the suffix of an image is one item, whatever it holds; its path is as it was given."""
    found = items(touch(tmp_path, "a.jpg") / "a.jpg")
    assert [(item.path, item.file) for item in found] == [(str(tmp_path / "a.jpg"), tmp_path / "a.jpg")]


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv", "n" * 300, "a.jpg/below"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    """A source that does not exist, or cannot, is said in one sentence that names it."""
    touch(tmp_path, "a.jpg")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / name))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


# Tables ------------------------------------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("name", ["image", "image_path", "path", "file", "filename", "Image Src", "Image_Path", "FILE NAME"])
def test_image_column_is_told_by_its_name(tmp_path: Path, suffix: str, name: str) -> None:
    """Case, spaces and underscores of the usual names do not matter, nor where the column stands."""
    table = write_table(tmp_path / f"t{suffix}", ["sku", name, "text"], [["1", "a.jpg", "x"], ["2", "b.jpg", "y"]])
    assert [item.path for item in items(table)] == ["a.jpg", "b.jpg"]


@each_format
def test_image_column_may_be_given(tmp_path: Path, suffix: str) -> None:
    """The column that was asked for wins over one that looks likelier; one that is not there is an error."""
    table = write_table(tmp_path / f"t{suffix}", ["path", "Bild 2"], [["a.jpg", "b.jpg"]])
    assert [item.path for item in items(table, "Bild 2")] == ["b.jpg"]
    with pytest.raises(SourceError, match=r"no column 'Bild 3'; its columns are: path, Bild 2\."):
        items(table, "Bild 3")


@each_format
def test_no_image_column_names_those_there(tmp_path: Path, suffix: str) -> None:
    """Where no column can be told to hold the images, the error names those there and the option that helps."""
    table = write_table(tmp_path / f"t{suffix}", ["sku", "colour"], [["1", "red"]])
    with pytest.raises(SourceError, match=r"its columns are: sku, colour\. Name one with --image-column") as caught:
        open_source(str(table))
    assert "\n" not in str(caught.value)


@each_format
def test_other_columns_are_unchanged(tmp_path: Path, suffix: str) -> None:
    """All columns come along in their order: leading zeros, "NA", "", quotes, line breaks and all writing systems."""
    columns = ["sku", "path", "name", "ean", "note"]
    rows = [
        ["0012", "a.jpg", "Hemd, blau", "0000000000017", ""],
        ["1e5", "Größe/ü.jpg", 'he said "so"', "NaN", "NA"],
        ["007", "c.jpg", "two\nlines", "null", "None"],
        ["TRUE", "d.jpg", "чай 茶 🧦", "1.0", " spaces "],
        ["-1", "e.jpg", "two\r\nlines\rand a half", "inf", "2024-01-02"],
    ]
    source = open_source(str(write_table(tmp_path / f"t{suffix}", columns, rows)))
    found = list(source.items)
    assert source.columns == tuple(columns)
    assert [list(item.columns) for item in found] == [columns] * 5
    assert cells(found) == rows
    assert reasons(found) == [""] * 5


@each_format
def test_paths_are_relative_to_the_table(tmp_path: Path, suffix: str) -> None:
    """A path is looked for beside the table, an absolute one where it says; the item shows it as it was given."""
    folder = tmp_path / "shop"
    folder.mkdir()
    elsewhere = str(tmp_path / "b.jpg")
    found = items(write_table(folder / f"t{suffix}", ["path"], [["img/a.jpg"], [elsewhere], ["../c.jpg"]]))
    assert [item.path for item in found] == ["img/a.jpg", elsewhere, "../c.jpg"]
    assert [item.file for item in found] == [folder / "img/a.jpg", Path(elsewhere), folder / "../c.jpg"]


@each_format
def test_rows_without_a_file_are_bad_rows(tmp_path: Path, suffix: str) -> None:
    """An empty path and an address of the web are rows all the same, with their cells, between their neighbours."""
    addresses = ["https://shop.example/b.jpg", "HTTP://x/c.jpg", "s3://bucket/d.jpg", "gs://bucket/e.jpg"]
    paths = ["a.jpg", "", "  ", *addresses, "f.jpg"]
    rows = [[path, str(number)] for number, path in enumerate(paths)]
    found = items(write_table(tmp_path / f"t{suffix}", ["path", "sku"], rows))
    assert cells(found) == rows
    assert reasons(found) == ["", *["bad_row"] * 6, ""]
    assert [item.file is None for item in found] == [False, *[True] * 6, False]


def test_rows_with_too_many_cells_are_bad_rows(tmp_path: Path) -> None:
    """A row with more cells than columns is a bad row however many they are; empty ones at its end do not count."""
    found = items(write(tmp_path / "t.csv", "path,sku\na.jpg,1\nb.jpg,2,x\nc.jpg,3,,,x,y\nd.jpg,4,\ne.jpg,5,,\nf.jpg,6\n"))
    assert reasons(found) == ["", "bad_row", "bad_row", "", "", ""]
    assert cells(found) == [[f"{name}.jpg", str(number)] for number, name in enumerate("abcdef", 1)]


def test_row_that_ends_before_its_path_is_a_bad_row(tmp_path: Path) -> None:
    """A row too short to hold a path is a bad row with the cells that it has."""
    found = items(write(tmp_path / "t.csv", "sku,path,name\n1,a.jpg,x\n2\n3,c.jpg,z\n"))
    assert reasons(found) == ["", "bad_row", ""]
    assert cells(found) == [["1", "a.jpg", "x"], ["2", "", ""], ["3", "c.jpg", "z"]]


def test_row_with_too_few_cells_is_filled_up(tmp_path: Path) -> None:
    """Spreadsheets leave empty cells at a row's end out: such a row is as good as any."""
    found = items(write(tmp_path / "t.csv", "path,sku,name\na.jpg,1,x\nb.jpg,2\nc.jpg,3,z\n"))
    assert reasons(found) == ["", "", ""]
    assert cells(found) == [["a.jpg", "1", "x"], ["b.jpg", "2", ""], ["c.jpg", "3", "z"]]


def test_stray_quotes_lose_no_row(tmp_path: Path) -> None:
    """Quotes where none should be (here for inches) cost no row: a record is an item, bad or good."""
    found = items(write(tmp_path / "t.csv", 'path,size\na.jpg,"5" tall"\nb.jpg,7"\nc.jpg,"9"\n'))
    assert len(found) == 3
    assert found[2].columns == {"path": "c.jpg", "size": "9"}


def test_quote_that_never_ends_is_said(tmp_path: Path) -> None:
    """A quote that swallows the rest of the table is an error that names the table, not a table with fewer rows."""
    table = write(tmp_path / "t.csv", 'path,size\na.jpg,1\nb.jpg,"2\nc.jpg,3\n')
    with pytest.raises(SourceError, match=r"t\.csv"):
        items(table)


def test_spreadsheet_exports_are_understood(tmp_path: Path) -> None:
    """A byte order mark, semicolons, tabs in a .csv, Windows line ends and a missing last one are all understood."""
    wanted = [["a.jpg", "1,50"], ["b.jpg", "2"]]
    assert cells(items(write(tmp_path / "bom.csv", '\ufeffpath,price\r\na.jpg,"1,50"\r\nb.jpg,2\r\n'))) == wanted
    assert cells(items(write(tmp_path / "semicolon.csv", "path;price\na.jpg;1,50\nb.jpg;2"))) == wanted
    assert cells(items(write(tmp_path / "tab.csv", "path\tprice\na.jpg\t1,50\nb.jpg\t2"))) == wanted
    assert cells(items(write(tmp_path / "bom.tsv", "\ufeffpath\tprice\r\na.jpg\t1,50\r\nb.jpg\t2\r\n"))) == wanted
    assert cells(items(write(tmp_path / "quoted.csv", '"path";"price, net"\n"a.jpg";"1,50"\n"b.jpg";"2"\n'))) == wanted
    assert [item.path for item in items(write(tmp_path / "bom.jsonl", '\ufeff{"path": "a.jpg"}\r\n\r\n'))] == ["a.jpg"]


def test_header_may_hold_line_breaks(tmp_path: Path) -> None:
    """A column name with a line break takes no row away."""
    source = open_source(str(write(tmp_path / "t.csv", 'path,"net\nprice"\na.jpg,1\nb.jpg,2\n')))
    assert source.columns == ("path", "net\nprice")
    assert cells(list(source.items)) == [["a.jpg", "1"], ["b.jpg", "2"]]


def test_nameless_column_is_kept(tmp_path: Path) -> None:
    """The first column that data frames write without a name is a column as any other."""
    source = open_source(str(write(tmp_path / "t.csv", ",path\n0,a.jpg\n1,b.jpg\n")))
    assert source.columns == ("", "path")
    assert cells(list(source.items)) == [["0", "a.jpg"], ["1", "b.jpg"]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_duplicate_column_names_are_refused(tmp_path: Path, name: str) -> None:
    """Two columns of one name cannot be told apart: the error names them."""
    table = write(tmp_path / name, "path,sku,sku\na.jpg,1,2\n".replace(",", "\t" if name == "t.tsv" else ","))
    with pytest.raises(SourceError, match="more than one column named 'sku'"):
        open_source(str(table))


def test_duplicate_parquet_columns_are_refused(tmp_path: Path) -> None:
    """Parquet files too may have two columns of one name."""
    texts = pyarrow.array(["a.jpg"])
    parquet.write_table(pyarrow.Table.from_arrays([texts, texts], names=["path", "path"]), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="more than one column named 'path'"):
        open_source(str(tmp_path / "t.parquet"))


@each_format
def test_empty_file_is_said(tmp_path: Path, suffix: str) -> None:
    """A table of no bytes is an error of one sentence that names it."""
    with pytest.raises(SourceError, match=rf"t\{suffix}") as caught:
        items(write(tmp_path / f"t{suffix}", ""))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("rows_before", [0, CHUNK_ROWS + 1])
def test_other_encodings_are_refused(tmp_path: Path, suffix: str, rows_before: int) -> None:
    """Text that is not UTF-8 is refused by name, wherever it begins: guessing would change the cells."""
    line = b'{"path": "a.jpg"}\n' if suffix == ".jsonl" else b"a.jpg\n"
    header = b"" if suffix == ".jsonl" else b"path\n"
    table = write(tmp_path / f"t{suffix}", header + line * rows_before + line.replace(b"a.jpg", "ü.jpg".encode("latin-1")))
    with pytest.raises(SourceError, match=rf"t\{suffix} is not UTF-8"):
        items(table)


def test_utf16_is_refused(tmp_path: Path) -> None:
    """What spreadsheets call Unicode text is refused by name too."""
    with pytest.raises(SourceError, match=r"t\.csv is not UTF-8"):
        items(write(tmp_path / "t.csv", "path,sku\na.jpg,1\n".encode("utf-16")))


def test_damaged_parquet_is_said(tmp_path: Path) -> None:
    """A Parquet file that was cut, or is something else, is an error of one line that names it."""
    table = write_table(tmp_path / "whole.parquet", ["path"], [["a.jpg"]])
    contents = {"cut.parquet is damaged": table.read_bytes()[:-20], "other.parquet is an archive": b"PK\x03\x04" * 100}
    for said, content in contents.items():
        name = said.split()[0]
        with pytest.raises(SourceError, match=said) as caught:
            items(write(tmp_path / name, content))
        assert "\n" not in str(caught.value)


def test_parquet_with_damaged_pages_is_said(tmp_path: Path) -> None:
    """A Parquet file whose end is whole, but not its pages, is an error that names the table."""
    table = write_table(tmp_path / "t.parquet", ["path"], [[f"{number}.jpg"] for number in range(5000)])
    content = bytearray(table.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    with pytest.raises(SourceError, match=r"t\.parquet"):
        items(write(table, bytes(content)))


def test_parquet_keeps_types(tmp_path: Path) -> None:
    """The types of a Parquet table come along, and its values are no text."""
    table = pyarrow.table({"path": ["a.jpg", None], "price": [1.5, None], "stock": pyarrow.array([3, 4], "uint8")})
    parquet.write_table(table, tmp_path / "t.parquet")
    source = open_source(str(tmp_path / "t.parquet"))
    found = list(source.items)
    assert source.schema == table.schema
    assert cells(found) == [["a.jpg", 1.5, 3], [None, None, 4]]
    assert reasons(found) == ["", "bad_row"]


def test_bad_json_line_is_a_bad_row(tmp_path: Path) -> None:
    """A line that is no JSON object is a row in its place; blank lines are none."""
    bad = ["{broken", "[1, 2]", "null", '"b.jpg"', "", "[" * 100_000, '{"path": 7}', '{"sku": 8}']
    lines = ['{"path": "a.jpg", "sku": 1}', *bad, '{"path": "c.jpg", "sku": null}']
    found = items(write(tmp_path / "t.jsonl", "\n".join(lines)))
    assert [item.path for item in found] == ["a.jpg", *[""] * 7, "c.jpg"]
    assert reasons(found) == ["", *["bad_row"] * 7, ""]
    assert cells(found)[-3:] == [[7, None], [None, 8], ["c.jpg", None]]


def test_late_json_keys_are_columns(tmp_path: Path) -> None:
    """A key that only a late line has is a column of all, and values keep their kinds."""
    lines = [{"sku": "01", "path": "a.jpg"}] * 3 + [{"path": "b.jpg", "tags": ["x"], "price": 1.5}]
    source = open_source(str(write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, lines)))))
    assert source.columns == ("sku", "path", "tags", "price")
    assert cells(list(source.items)) == [["01", "a.jpg", None, None]] * 3 + [[None, "b.jpg", ["x"], 1.5]]


# Prints the first row's path, whether the others come in order, and the peak in bytes of reading these.
READING = """
import sys, tracemalloc
from tagger.catalog.source import open_source
items = open_source(sys.argv[1]).items
first = next(items).path  # what reading tables imports is none of their memory
tracemalloc.start()
numbers = [int(item.path[:-4]) for item in items]
print(first, numbers == list(range(1, 20_000)), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_long_tables_stream_with_flat_memory(tmp_path: Path) -> None:
    """A table of 20,000 rows is read in a few megabytes, and each row once, in order."""
    rows = "".join(f"{number}.jpg,{number:013d},a product of the catalog\n" for number in range(20_000))
    table = write(tmp_path / "many.csv", "path,ean,name\n" + rows)
    # Its own process, because what other tests leave behind, threads and garbage, would count as the table's memory.
    done = subprocess.run([sys.executable, "-c", READING, table], capture_output=True, text=True, check=True)
    first, in_order, peak = done.stdout.split()
    assert (first, in_order) == ("0.jpg", "True")
    assert int(peak) < 8_000_000  # all rows at once take 13 MB


def test_table_suffix_case_is_ignored(tmp_path: Path) -> None:
    """A table is known by its suffix in any case."""
    assert [item.path for item in items(write(tmp_path / "T.CSV", "path\na.jpg\n"))] == ["a.jpg"]


def test_label_column_is_told_by_its_name() -> None:
    """Labels are told by a usual name or as asked; where there is none, the columns are named."""
    assert label_column(["sku", "Label", "path"]) == "Label"
    assert label_column(["path", "label", "truth"], "truth") == "truth"
    with pytest.raises(SourceError, match=r"label column .* its columns are: path, sku\. Name one with --label-column"):
        label_column(["path", "sku"])
    with pytest.raises(SourceError, match=r"^t\.csv has no label column"):
        label_column(["path", "sku"], table="t.csv")


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

    Only a line of nothing but blanks is no row, quoted it is one; and a single column is read as separated by commas.
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
    assert [item.path for item in found] == [row[0] for row in rows]


# Lists -------------------------------------------------------------------------------------------------------------


def listed(content: bytes) -> list[Item]:
    """Return the items of paths on standard input."""
    return list(open_source("-", stdin=io.BytesIO(content)).items)


def test_paths_on_stdin_one_a_line() -> None:
    """Each line is a path, with either line end and with or without a last one; blanks within it stay."""
    found = listed(b"a.jpg\r\nsub dir/b.jpg\n/c.jpg\r\n d.jpg ")
    assert [item.path for item in found] == ["a.jpg", "sub dir/b.jpg", "/c.jpg", " d.jpg "]
    assert [item.file for item in found] == [Path(item.path) for item in found]


def test_lines_and_rows_stay_side_by_side() -> None:
    """An empty line, an address and a name that is no UTF-8 are rows too, each in its place."""
    found = listed(b"a.jpg\n\nhttps://x/b.jpg\ncaf\xe9.jpg\n")
    assert [os.fsencode(item.path) for item in found] == [b"a.jpg", b"", b"https://x/b.jpg", b"caf\xe9.jpg"]
    assert reasons(found) == ["", "bad_row", "bad_row", ""]


def test_stdin_is_read_as_it_comes() -> None:
    """The first path is an item before the second line is there, so that a pipe can feed a run."""

    class Pipe(io.RawIOBase):
        lines: Iterator[bytes] = iter([b"a.jpg\n"])

        def __next__(self) -> bytes:
            return next(self.lines)

    stream = open_source("-", stdin=Pipe()).items  # type: ignore[arg-type]
    assert next(stream).path == "a.jpg"


def test_no_stdin_is_said() -> None:
    """Where there is no standard input, one sentence says so."""
    with pytest.raises(SourceError, match="no standard input"):
        open_source("-")
