"""Rows become files that hold just what was given, and the file that was there before stays until the new one is whole."""

import csv
import datetime
import decimal
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tagger.catalog.output import COLUMNS, columns, format_of, open_output, row
from tagger.errors import OutputError
from tagger.records import Item, Tag
from tagger.settings import FORMATS, Format

MODEL = "small@1a2b3c4d+g1"
SHIRT = Tag((("Shirt", 0.8123), ("Coat", 0.1512), ("Dress", 0.0365), ("Bag", 0.0)), False, "", "upper body", 0.9635)
MISSING = Tag((), True, "missing")
NOTHING = Tag((), True, "not_recognised")

each_format = pytest.mark.parametrize("format", FORMATS)

Pair = tuple[Item, Tag]


def item(path: str, /, **values: object) -> Item:
    """Return an item with these values in its table row."""
    return Item(path, Path(path), values)


def write(out: Path, pairs: Sequence[Pair], top_k: int = 1, schema: pyarrow.Schema | None = None, excel: bool = False) -> Path:
    """Write rows in the format that the suffix names and return the path; the first item tells the source's columns."""
    named = columns(list(pairs[0][0].columns) if pairs else [], top_k)
    with open_output(str(out), format_of(str(out)), named, MODEL, schema, excel) as writer:
        for one, tag in pairs:
            writer.write(row(one, tag, MODEL, named))
    return out


def read(out: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, as whoever gets it would read them."""
    match out.suffix:
        case ".csv":
            with out.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file, strict=True))
        case ".json":
            return list(json.loads(out.read_text(encoding="utf-8"))["rows"])
        case ".jsonl":
            return [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    return list(parquet.read_table(out).to_pylist())


# Columns -----------------------------------------------------------------------------------------------------------


def test_the_source_comes_first() -> None:
    """The source's columns stand first, in their order; then fmtag's own, the runners-up before the model."""
    own = ["path", "tag", "confidence", "low_confidence", "reason", "group", "group_confidence", "duplicate_of"]
    assert list(COLUMNS) == own
    assert list(columns(["sku", "Größe", "ean"], 1)) == ["sku", "Größe", "ean", *own, "model"]
    runners_up = ["tag_2", "confidence_2", "tag_3", "confidence_3"]
    assert list(columns([], 3)) == [*own, *runners_up, "model"]


def test_clashing_names_are_kept_as_source_name() -> None:
    """A source column with the name of one of fmtag's is kept as source_NAME, in its place, with its values."""
    named = columns(["tag", "sku", "path", "model", "tag_2"], 1)
    assert list(named)[:5] == ["source_tag", "sku", "source_path", "source_model", "tag_2"]
    assert next(iter(columns(["tag_2"], 2))) == "source_tag_2"
    values = row(item("a.jpg", tag="old", sku="1", path="a.jpg", model="m", tag_2="x"), SHIRT, MODEL, named)
    assert list(values.values())[:5] == ["old", "1", "a.jpg", "m", "x"]
    assert (values["tag"], values["path"], values["model"]) == ("Shirt", "a.jpg", MODEL)


@given(
    st.lists(
        st.text("ab_", max_size=3).map(lambda name: f"source_{name}")
        | st.sampled_from(
            [
                "",
                "path",
                "source_path",
                "source_source_path",
                "tag",
                "source_tag",
                "tag_2",
                "model",
                "sku",
                "Path",
                "low_confidence",
            ]
        ),
        unique=True,
    )
)
@example(["path", "source_path", "source_source_path"])
@example(["source_path", "path"])
@example(["", "path"])
def test_no_column_is_lost(names: list[str]) -> None:
    """Whatever a source's columns are called, each comes out once, in order, with its own values; so do all of fmtag's."""
    named = columns(names, 2)
    values = row(Item("a.jpg", None, {name: f"value of {name}" for name in names}), SHIRT, MODEL, named)
    assert list(values.values())[: len(names)] == [f"value of {name}" for name in names]
    own = list(values)[len(names) :]
    assert own == [*COLUMNS, "tag_2", "confidence_2", "model"]
    assert (values["path"], values["tag"], values["tag_2"], values["model"]) == ("a.jpg", "Shirt", "Coat", MODEL)


# Contents ----------------------------------------------------------------------------------------------------------


def test_csv_text(tmp_path: Path) -> None:
    """A tagged, a failed and an unrecognised row with three tags each are this text to the letter."""
    pairs = [
        (item("a/1.jpg", sku="007", name="Hemd, blau"), SHIRT),
        (item("b.jpg", sku="", name='12"'), MISSING),
        (item("c.jpg", sku="NA", name="two\nlines"), NOTHING),
    ]
    assert write(tmp_path / "t.csv", pairs, top_k=3).read_bytes().decode() == (
        "sku,name,path,tag,confidence,low_confidence,reason,group,group_confidence,"
        "duplicate_of,tag_2,confidence_2,tag_3,confidence_3,model\n"
        '007,"Hemd, blau",a/1.jpg,Shirt,0.8123,false,,upper body,0.9635,,Coat,0.1512,Dress,0.0365,small@1a2b3c4d+g1\n'
        ',"12""",b.jpg,,,true,missing,,,,,,,,small@1a2b3c4d+g1\n'
        'NA,"two\nlines",c.jpg,,,true,not_recognised,,,,,,,,small@1a2b3c4d+g1\n'
    )


def test_csv_numbers_are_plain(tmp_path: Path) -> None:
    """Probabilities never have more than four decimals nor an exponent, flags are true or false."""
    tags = [Tag((("Bag", value),), value < 0.5, "low_confidence", "accessory", value) for value in (0.0001, 0.5, 1.0, 0.0)]
    rows = read(write(tmp_path / "t.csv", [(item("a.jpg"), tag) for tag in tags]))
    assert [float(values["confidence"]) for values in rows] == [0.0001, 0.5, 1.0, 0.0]
    assert all(len(values["confidence"].partition(".")[2]) <= 4 and "e" not in values["confidence"] for values in rows)
    assert [values["low_confidence"] for values in rows] == ["true", "false", "false", "true"]


def test_json_shape(tmp_path: Path) -> None:
    """JSON holds the format's number, the model and the rows, with numbers, booleans and nulls for what they are."""
    out = write(tmp_path / "t.json", [(item("a.jpg", sku="007"), SHIRT), (item("b.jpg", sku="8"), MISSING)], top_k=2)
    content = json.loads(out.read_text(encoding="utf-8"))
    assert list(content) == ["format", "model", "rows"]
    assert (content["format"], content["model"]) == (1, MODEL)
    tagged, missing = content["rows"]
    assert list(tagged) == ["sku", *COLUMNS, "tag_2", "confidence_2", "model"]
    assert (tagged["sku"], tagged["confidence"], tagged["low_confidence"], tagged["tag_2"]) == ("007", 0.8123, False, "Coat")
    assert (missing["tag"], missing["confidence"], missing["low_confidence"]) == ("", None, True)
    assert json.loads(write(tmp_path / "none.json", []).read_text()) == {"format": 1, "model": MODEL, "rows": []}


def test_jsonl_is_a_row_a_line(tmp_path: Path) -> None:
    """JSONL holds the same rows as JSON, one a line, also where a cell holds a line break."""
    pairs = [(item("a.jpg", name="two\nlines\u2028more"), SHIRT), (item("b.jpg", name="茶"), NOTHING)]
    lines = write(tmp_path / "t.jsonl", pairs).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == read(write(tmp_path / "t.json", pairs))


def test_parquet_types(tmp_path: Path) -> None:
    """Confidences are float64, the flag bool, all else text; what a failed row lacks is null."""
    out = write(tmp_path / "t.parquet", [(item("a.jpg", sku="007"), SHIRT), (item("b.jpg", sku="8"), MISSING)], top_k=2)
    types = {field.name: str(field.type) for field in parquet.read_schema(out)}
    floats = {name for name, kind in types.items() if kind == "double"}
    assert floats == {"confidence", "group_confidence", "confidence_2"}
    assert {name for name, kind in types.items() if kind == "bool"} == {"low_confidence"}
    assert all(kind == "string" for name, kind in types.items() if name not in floats | {"low_confidence"})
    tagged, missing = read(out)
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
    """The columns of a Parquet table come out of the type that they had, values and all."""
    table = parquet.read_table(write(tmp_path / "t.parquet", rich_pairs(), schema=RICH.schema))
    names = [name.replace("confidence", "source_confidence") for name in RICH.schema.names]
    assert table.schema.names[: len(names)] == names
    assert [field.type for field in table.schema][: len(RICH.schema)] == [field.type for field in RICH.schema]
    for at, name in enumerate(RICH.schema.names):
        assert repr(table.column(at).to_pylist()) == repr(RICH.column(name).to_pylist())
    assert str(table.schema.field("confidence").type) == "double"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_values_of_every_kind_can_be_written_as_text(tmp_path: Path, suffix: str) -> None:
    """Dates, decimals, bytes, lists, maps and NaN of a Parquet source have a text form in every other format."""
    rows = read(write(tmp_path / f"t{suffix}", rich_pairs()))
    assert len(rows) == 2
    assert [values["tag"] for values in rows] == ["Shirt"] * 2
    assert str(rows[0]["price"]) == "1.50"
    assert str(rows[0]["made"]) == "2024-01-02"
    assert rows[1]["source_confidence"] in (None, "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_excel_makes_formulas_harmless(tmp_path: Path, start: str) -> None:
    """With excel, a cell or column name that a spreadsheet would run starts with ', and the file with the mark."""
    pairs = [(Item("a.jpg", None, {f"{start}1": f"{start}2+3", "plain": f"2{start}3"}), SHIRT)]
    content = write(tmp_path / "t.csv", pairs, excel=True).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    header, cells = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    assert header[:2] == [f"'{start}1", "plain"]
    assert cells[:2] == [f"'{start}2+3", f"2{start}3"]
    assert cells[2:5] == ["a.jpg", "Shirt", "0.8123"]


def test_cells_are_unchanged_without_excel(tmp_path: Path) -> None:
    """Without excel no cell is touched, and there is no byte order mark."""
    out = write(tmp_path / "t.csv", [(item("a.jpg", sku="=1+2", price="-3"), SHIRT)])
    assert out.read_bytes().startswith(b"sku,price,")
    assert [(values["sku"], values["price"]) for values in read(out)] == [("=1+2", "-3")]


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
    st.sampled_from([MISSING, NOTHING]),
)


@each_format
@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL, TAGS), max_size=5))
@example(rows=[("a\rb.jpg", "x\ry", "\r", SHIRT), ("c.jpg", "", '"', MISSING)])
def test_rows_are_read_back_as_they_were(folder: Path, format: Format, rows: list[tuple[str, str, str, Tag]]) -> None:
    """Whatever cells and tags there are, every format gives back just as many rows with the same values in order."""
    pairs = [(item(path, sku=sku, path=note), tag) for path, sku, note, tag in rows]
    found = read(write(folder / f"t.{format}", pairs, top_k=2))
    assert [(values["path"], values["sku"], values["source_path"]) for values in found] == [cells[:3] for cells in rows]
    for values, (*_, tag) in zip(found, rows, strict=True):
        expected = row(item(""), tag, MODEL, columns([], 2))
        for name in (*COLUMNS[1:], "tag_2", "confidence_2", "model"):
            assert same(values[name], expected[name]), name


def same(found: Any, expected: Any) -> bool:
    """Whether a value read back is what was written; in CSV all is text, and a missing value is empty in any format."""
    if expected in (None, ""):
        return found in (None, "")
    if isinstance(found, str) and not isinstance(expected, str):
        return bool(json.loads(found) == expected)
    return bool(found == expected)


@each_format
def test_names_that_are_no_utf8_give_valid_utf8(tmp_path: Path, format: Format) -> None:
    """A file name in another encoding comes out escaped, and everything else as it is."""
    name = os.fsdecode(b"caf\xe9 \xc3\xa4.jpg")
    out = write(tmp_path / f"t.{format}", [(item(name, image=name), SHIRT)])
    if format != "parquet":
        out.read_bytes().decode("utf-8")
    [values] = read(out)
    escaped = name if format in ("json", "jsonl") else "caf\\udce9 ä.jpg"
    assert (values["path"], values["image"], values["tag"]) == (escaped, escaped, "Shirt")


# Replacement -------------------------------------------------------------------------------------------------------


def attempt(out: Path, rows: int = 20_000) -> None:
    """Begin to write many rows and fail."""
    named = columns(["sku"], 1)
    with open_output(str(out), format_of(str(out)), named, MODEL) as writer:
        for number in range(rows):
            writer.write(row(item(f"{number}.jpg", sku="x"), SHIRT, MODEL, named))
        raise LookupError("in the middle of it")


@each_format
def test_an_exception_leaves_the_old_file(tmp_path: Path, format: Format) -> None:
    """A block that fails leaves the old file byte for byte and nothing else; its own exception comes out."""
    out = tmp_path / f"t.{format}"
    out.write_bytes(b"the old one\n")
    with pytest.raises(LookupError, match="in the middle of it"):
        attempt(out)
    assert out.read_bytes() == b"the old one\n"
    assert os.listdir(tmp_path) == [out.name]
    out.unlink()
    with pytest.raises(LookupError):
        attempt(out, rows=1)
    assert os.listdir(tmp_path) == []


@each_format
def test_the_old_file_stays_until_the_end(tmp_path: Path, format: Format) -> None:
    """While rows are written whoever opens the output sees the old file, and at the end the new one and nothing else."""
    out = tmp_path / f"t.{format}"
    out.write_bytes(b"the old one\n")
    named = columns([], 1)
    with open_output(str(out), format, named, MODEL) as writer:
        writer.write(row(item("a.jpg"), SHIRT, MODEL, named))
        assert out.read_bytes() == b"the old one\n"
    assert [values["path"] for values in read(out)] == ["a.jpg"]
    assert os.listdir(tmp_path) == [out.name]


def test_an_error_within_the_block_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    """An error of the system that the rows' own making meets is not said to be the output's."""
    with pytest.raises(Exception, match="photos") as caught, open_output(str(tmp_path / "t.csv"), "csv", columns([], 1), MODEL):
        raise PermissionError(13, "Permission denied", "photos")
    assert "t.csv" not in str(caught.value)


def test_permissions_are_kept(tmp_path: Path) -> None:
    """The new file has the permissions of the one that it replaces."""
    out = tmp_path / "t.csv"
    for mode in (0o640, 0o604):
        out.touch()
        out.chmod(mode)
        write(out, [(item("a.jpg"), SHIRT)])
        assert out.stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """An output that is a link stays one, and the file that it leads to is replaced; so with a link to nothing yet."""
    (tmp_path / "real").mkdir()
    for target in (tmp_path / "real" / "t.csv", tmp_path / "real" / "new.csv"):
        if target.name == "t.csv":
            target.write_text("old")
        link = tmp_path / f"link-{target.name}"
        link.symlink_to(target)
        write(link, [(item("a.jpg"), SHIRT)])
        assert link.is_symlink()
        assert [values["path"] for values in read(target)] == ["a.jpg"]
    assert sorted(os.listdir(tmp_path / "real")) == ["new.csv", "t.csv"]


def test_devices_are_written_as_they_are() -> None:
    """A device is no file to be replaced."""
    with open_output(os.devnull, "csv", columns([], 1), MODEL):
        pass
    assert not Path(os.devnull).is_file()


def test_format_is_told_by_the_suffix() -> None:
    """The suffix names the format in any case, what was asked for wins, and - is CSV."""
    assert [format_of(f"t.{name}") for name in FORMATS] == list(FORMATS)
    assert format_of("T.JSON") == "json"
    assert format_of("t.txt", "jsonl") == "jsonl"
    assert (format_of("-"), format_of("-", "json")) == ("csv", "json")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "folder/.csv", "t.csv.gz"])
def test_unknown_suffix_is_said(name: str) -> None:
    """A suffix that names no format is an error that lists those that do."""
    with pytest.raises(OutputError, match=r"\.csv, \.json, \.jsonl, \.parquet"):
        format_of(name)


@each_format
def test_missing_folder_is_said_in_one_sentence(tmp_path: Path, format: Format) -> None:
    """An output in a folder that is not there, or that is a folder, is one sentence that names it."""
    for out in (tmp_path / "none" / f"t.{format}", tmp_path):
        with pytest.raises(OutputError) as caught, open_output(str(out), format, columns([], 1), MODEL):
            pytest.fail("the block must not begin")
        assert str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from tagger.errors import OutputError
from tagger.catalog.output import columns, open_output, row
from tagger.records import Item, Tag
named, tag = columns([], 1), Tag((("Bag", 0.5),), False, "", "accessory", 0.5)
for name in sys.argv[1:]:
    try:
        with open_output(name, name.rpartition(".")[2], named, "m") as writer:
            for number in range(30_000):
                writer.write(row(Item(os.urandom(20).hex(), None), tag, "m", named))
    except OutputError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """Where the system refuses to write more, in any format, that is one sentence, and the old file is there untouched."""
    outs = [tmp_path / f"t.{format}" for format in FORMATS]
    for out in outs:
        out.write_bytes(b"the old one\n")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, *outs], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(outs)
    assert all(str(out) in line and "File too large" in line for out, line in zip(outs, lines, strict=True))
    assert [out.read_bytes() for out in outs] == [b"the old one\n"] * len(outs)
    assert sorted(os.listdir(tmp_path)) == sorted(out.name for out in outs)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from tagger.cli.main import main
main()
"""


def test_a_run_onto_a_full_disk_is_exit_1(tmp_path: Path, small_bundle: Path) -> None:
    """A whole run that finds the disk full says so in one sentence, exits with 1 and leaves the old file."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    command = [sys.executable, "-c", LIMITED, "run", "-", "--out", out, "--model", small_bundle]
    done = subprocess.run(command, input=b"gone.jpg\n" * 2_000, capture_output=True, timeout=300)
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()[-1]
    assert said.startswith(f"Error: The ledger {tmp_path / 't.ledger'} cannot be written (")
    assert b"Traceback" not in done.stderr
    assert out.read_bytes() == b"the old one\n"
    assert "t.csv" in os.listdir(tmp_path)
    assert not list(tmp_path.glob(".t.csv.*"))
