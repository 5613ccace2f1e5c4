"""Every format holds exactly the rows that it was given, in a form that its readers understand."""

import csv
import datetime
import decimal
import io
import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from catalog_helpers import (
    MISSING,
    MODEL,
    SHIRT,
    UNRECOGNISED,
    Pair,
    each_format,
    read_rows,
    table_item,
    write_rows,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tagger.catalog import writers
from tagger.catalog.output import open_output
from tagger.catalog.rows import COLUMNS, TextRows, output_columns, output_row
from tagger.records import Item, Tag
from tagger.settings import Format


def test_csv_text(tmp_path: Path) -> None:
    """A tagged, a failed and an unrecognised row with three tags each are exactly this text."""
    pairs = [
        (table_item("a/1.jpg", sku="007", name="Hemd, blau"), SHIRT),
        (table_item("b.jpg", sku="", name='12"'), MISSING),
        (table_item("c.jpg", sku="NA", name="two\nlines"), UNRECOGNISED),
    ]
    assert write_rows(tmp_path / "t.csv", pairs, top_k=3).read_bytes().decode() == (
        "sku,name,path,tag,confidence,low_confidence,reason,group,group_confidence,"
        "duplicate_of,tag_2,confidence_2,tag_3,confidence_3,model\n"
        '007,"Hemd, blau",a/1.jpg,Shirt,0.8123,false,,upper body,0.9635,,Coat,0.1512,Dress,0.0365,small@1a2b3c4d+g1\n'
        ',"12""",b.jpg,,,true,missing,,,,,,,,small@1a2b3c4d+g1\n'
        'NA,"two\nlines",c.jpg,,,true,not_recognised,,,,,,,,small@1a2b3c4d+g1\n'
    )


def test_csv_numbers_are_plain(tmp_path: Path) -> None:
    """Probabilities never have more than four decimals nor an exponent, flags are true or false."""
    tags = [Tag((("Bag", value),), value < 0.5, "low_confidence", "accessory", value) for value in (0.0001, 0.5, 1.0, 0.0)]
    rows = read_rows(write_rows(tmp_path / "t.csv", [(table_item("a.jpg"), tag) for tag in tags]))
    assert [float(values["confidence"]) for values in rows] == [0.0001, 0.5, 1.0, 0.0]
    assert all(len(values["confidence"].partition(".")[2]) <= 4 and "e" not in values["confidence"] for values in rows)
    assert [values["low_confidence"] for values in rows] == ["true", "false", "false", "true"]


def test_json_shape(tmp_path: Path) -> None:
    """JSON holds the format's version, the model and the rows, with numbers, booleans and nulls."""
    out = write_rows(
        tmp_path / "t.json", [(table_item("a.jpg", sku="007"), SHIRT), (table_item("b.jpg", sku="8"), MISSING)], top_k=2
    )
    content = json.loads(out.read_text(encoding="utf-8"))
    assert list(content) == ["format", "model", "rows"]
    assert (content["format"], content["model"]) == (1, MODEL)
    tagged, missing = content["rows"]
    assert list(tagged) == ["sku", *COLUMNS, "tag_2", "confidence_2", "model"]
    assert (tagged["sku"], tagged["confidence"], tagged["low_confidence"], tagged["tag_2"]) == ("007", 0.8123, False, "Coat")
    assert (missing["tag"], missing["confidence"], missing["low_confidence"]) == ("", None, True)
    assert json.loads(write_rows(tmp_path / "none.json", []).read_text()) == {"format": 1, "model": MODEL, "rows": []}


def test_jsonl_has_one_row_per_line(tmp_path: Path) -> None:
    """JSON Lines has the same rows as JSON, one per line, also where a cell holds a line break."""
    pairs = [(table_item("a.jpg", name="two\nlines\u2028more"), SHIRT), (table_item("b.jpg", name="茶"), UNRECOGNISED)]
    lines = write_rows(tmp_path / "t.jsonl", pairs).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == read_rows(write_rows(tmp_path / "t.json", pairs))


def test_parquet_types(tmp_path: Path) -> None:
    """Confidences are float64, the flag bool, all other columns text; what a failed row lacks is null."""
    out = write_rows(
        tmp_path / "t.parquet", [(table_item("a.jpg", sku="007"), SHIRT), (table_item("b.jpg", sku="8"), MISSING)], top_k=2
    )
    types = {field.name: str(field.type) for field in parquet.read_schema(out)}
    floats = {name for name, kind in types.items() if kind == "double"}
    assert floats == {"confidence", "group_confidence", "confidence_2"}
    assert {name for name, kind in types.items() if kind == "bool"} == {"low_confidence"}
    assert all(kind == "string" for name, kind in types.items() if name not in floats | {"low_confidence"})
    tagged, missing = read_rows(out)
    assert (tagged["sku"], tagged["confidence"], tagged["low_confidence"]) == ("007", 0.8123, False)
    assert (missing["confidence"], missing["group_confidence"], missing["low_confidence"]) == (None, None, True)


RICH = pyarrow.table(
    {
        "stock": pyarrow.array([3, None], "uint8"),
        "price": pyarrow.array([decimal.Decimal("1.50"), None], pyarrow.decimal128(9, 2)),
        "confidence": pyarrow.array([0.25, math.nan], "float32"),
        "made": pyarrow.array([datetime.date(2024, 1, 2), None]),
        "seen": pyarrow.array([datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.timezone.utc), None]),
        "tags": pyarrow.array([["x", "y"], []]),
        "size": pyarrow.array([{"w": 1, "h": 2.5}, None]),
        "kind": pyarrow.array(["a", None]).dictionary_encode(),
        "text": pyarrow.array(["ä", None], pyarrow.large_string()),
        "raw": pyarrow.array([b"\xff\0", None]),
        "notes": pyarrow.array([[("k", math.nan)], None], pyarrow.map_(pyarrow.string(), pyarrow.float64())),
    }
)


def rich_pairs() -> list[Pair]:
    """Return rows with a value of every kind that a Parquet table holds."""
    return [(Item("a.jpg", None, values), SHIRT) for values in RICH.to_pylist()]


def test_parquet_keeps_the_types_of_a_parquet_source(tmp_path: Path) -> None:
    """The columns of a Parquet table keep their types and values."""
    table = parquet.read_table(write_rows(tmp_path / "t.parquet", rich_pairs(), schema=RICH.schema))
    names = [name.replace("confidence", "source_confidence") for name in RICH.schema.names]
    assert table.schema.names[: len(names)] == names
    assert [field.type for field in table.schema][: len(RICH.schema)] == [field.type for field in RICH.schema]
    for at, name in enumerate(RICH.schema.names):
        assert repr(table.column(at).to_pylist()) == repr(RICH.column(name).to_pylist())
    assert str(table.schema.field("confidence").type) == "double"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_values_of_every_kind_can_be_written_as_text(tmp_path: Path, suffix: str) -> None:
    """Dates, decimals, bytes, lists, maps and NaN of a Parquet source have a text form in every other format."""
    rows = read_rows(write_rows(tmp_path / f"t{suffix}", rich_pairs()))
    assert len(rows) == 2
    assert [values["tag"] for values in rows] == ["Shirt"] * 2
    assert str(rows[0]["price"]) == "1.50"
    assert str(rows[0]["made"]) == "2024-01-02"
    assert rows[1]["source_confidence"] in (None, "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_excel_escapes_formulas(tmp_path: Path, start: str) -> None:
    """With excel, a cell or column name that a spreadsheet would run starts with ', and the file with a byte order mark."""
    pairs = [(Item("a.jpg", None, {f"{start}1": f"{start}2+3", "plain": f"2{start}3"}), SHIRT)]
    content = write_rows(tmp_path / "t.csv", pairs, excel=True).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    header, cells = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    assert header[:2] == [f"'{start}1", "plain"]
    assert cells[:2] == [f"'{start}2+3", f"2{start}3"]
    assert cells[2:5] == ["a.jpg", "Shirt", "0.8123"]


def test_cells_are_unchanged_without_excel(tmp_path: Path) -> None:
    """Without excel no cell is touched, and there is no byte order mark."""
    out = write_rows(tmp_path / "t.csv", [(table_item("a.jpg", sku="=1+2", price="-3"), SHIRT)])
    assert out.read_bytes().startswith(b"sku,price,")
    assert [(values["sku"], values["price"]) for values in read_rows(out)] == [("=1+2", "-3")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("outputs")


AWKWARD = st.sampled_from(",;\"'\r\n\t\u2028\ufeff")


CELL = st.text(st.one_of(st.characters(codec="utf-8", exclude_characters="\0"), AWKWARD), max_size=6)


PROBABILITY = st.integers(0, 10_000).map(lambda steps: steps / 10_000)


TAGS = st.one_of(
    st.builds(
        lambda one, other, low: Tag((("Bag", one), ("Coat", other)), low, "low_confidence" if low else "", "accessory", one),
        PROBABILITY,
        PROBABILITY,
        st.booleans(),
    ),
    st.sampled_from([MISSING, UNRECOGNISED]),
)


@each_format
@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL, TAGS), max_size=5))
@example(rows=[("a\rb.jpg", "x\ry", "\r", SHIRT), ("c.jpg", "", '"', MISSING)])
def test_rows_are_read_back_as_they_were(folder: Path, format: Format, rows: list[tuple[str, str, str, Tag]]) -> None:
    """Whatever the cells and tags, every format gives back the same rows with the same values in order."""
    pairs = [(table_item(path, sku=sku, path=note), tag) for path, sku, note, tag in rows]
    found = read_rows(write_rows(folder / f"t.{format}", pairs, top_k=2))
    assert [(values["path"], values["sku"], values["source_path"]) for values in found] == [cells[:3] for cells in rows]
    for values, (*_, tag) in zip(found, rows, strict=True):
        expected = output_row(table_item(""), tag, MODEL, output_columns([], 2))
        for name in (*COLUMNS[1:], "tag_2", "confidence_2", "model"):
            assert same(values[name], expected[name]), name


def same(found: Any, expected: Any) -> bool:
    """Return whether a value read back is the one written; in CSV all is text, and a missing value is empty in any format."""
    if expected in (None, ""):
        return found in (None, "")
    if isinstance(found, str) and not isinstance(expected, str):
        return bool(json.loads(found) == expected)
    return bool(found == expected)


@each_format
def test_names_that_are_no_utf8_give_valid_utf8(tmp_path: Path, format: Format) -> None:
    """A file name in another encoding is escaped, and everything else is unchanged."""
    name = os.fsdecode(b"caf\xe9 \xc3\xa4.jpg")
    out = write_rows(tmp_path / f"t.{format}", [(table_item(name, image=name), SHIRT)])
    if format != "parquet":
        out.read_bytes().decode("utf-8")
    [values] = read_rows(out)
    escaped = name if format in ("json", "jsonl") else "caf\\udce9 ä.jpg"
    assert (values["path"], values["image"], values["tag"]) == (escaped, escaped, "Shirt")


@pytest.mark.parametrize("excel", [False, True])
@pytest.mark.parametrize("note", ["a", "", " a ", "ä", "two\nlines", "a\rb", "=1+1", 'he "so"', "c,d", os.fsdecode(b"caf\xe9")])
def test_rows_of_text_are_the_same_bytes_as_rows_of_values(tmp_path: Path, note: str, excel: bool) -> None:
    """`write_text`, the quick way of unchanged rows, writes a CSV's bytes, with the quotes and escapes that a cell needs."""
    columns = output_columns(["note"], 1)
    own = ["Shirt", "0.8123", "false", "", "upper body", "0.9635", "", MODEL]
    cells = [[text, f"{at}.jpg", *own] for at, text in enumerate(["plain", note, "plain"])]
    lines = [",".join(row).encode("utf-8", "surrogatepass") for row in cells]
    outs = [tmp_path / "values.csv", tmp_path / "text.csv"]
    with open_output(str(outs[0]), "csv", columns, MODEL, excel=excel) as writer:
        for text, path, *_ in cells:
            writer.write(output_row(table_item(path, note=text), SHIRT, MODEL, columns))
    with open_output(str(outs[1]), "csv", columns, MODEL, excel=excel) as writer:
        assert writer.write_text(TextRows(lines[at:], partial(iter, cells[at:])) for at in (0,))
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize("format", ["json", "jsonl", "parquet"])
def test_formats_with_types_take_no_rows_of_text(tmp_path: Path, format: Format) -> None:
    """They say so before they take any, so that the caller gives them values."""
    taken = iter([TextRows([b"a.jpg"], lambda: [["a.jpg"]])])
    with open_output(str(tmp_path / "t"), format, {"path": None}, MODEL) as writer:
        assert not writer.write_text(taken)
    assert next(taken).lines == [b"a.jpg"]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_parquet_loses_no_row_at_the_end_of_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Row groups have the size of the constant, and the last one the rest."""
    monkeypatch.setattr(writers, "PARQUET_ROWS", 2)
    out = write_rows(tmp_path / "t.parquet", [(table_item(f"{at}.jpg"), SHIRT) for at in range(count)])
    file = parquet.ParquetFile(out)
    sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sizes == [2] * (count // 2) + [1] * (count % 2)
    assert [row["path"] for row in read_rows(out)] == [f"{at}.jpg" for at in range(count)]


def test_null_bytes_are_escaped_where_csv_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Python 3.10, whose csv module cannot write a null byte, a cell with one is written with its escape."""
    monkeypatch.setattr(writers, "CSV_TAKES_NULL_BYTES", False)
    file = io.BytesIO()
    writer = writers.make_writer(file, "csv", {"sku": "sku"}, "model", None, excel=False)  # type: ignore[arg-type]
    writer.write({"sku": "a\0b"})
    writer.close()
    assert file.getvalue() == b"sku\na\\x00b\n"
