"""Every photo and every table row becomes an output row, whatever is in it; an error that ends a run names its file."""

import csv
import datetime
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from helpers import draw_photo
from pyarrow import parquet

from tagger.cli.main import main
from tagger.photos import jpeg, loader
from tagger.photos.jpeg_header import JpegHeader
from tagger.run.ledger_values import EARLIEST_NS, LATEST_NS
from tagger.settings import FORMATS

Run = Callable[..., tuple[int, list[dict[str, Any]]]]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `fmtag run SOURCE` beside a good photo, a.jpg, into a new file; return its exit code and the rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    draw_photo(3, (60, 80)).save("a.jpg")

    def call(given: str, format: str = "csv", *options: str) -> tuple[int, list[dict[str, Any]]]:
        with pytest.raises(SystemExit) as left:
            main(["run", given, "--out", f"tags.{format}", "--quiet", *options])
        return int(left.value.code or 0), rows_of(Path(f"tags.{format}"))

    return call


def rows_of(out: Path) -> list[dict[str, Any]]:
    """Return the rows of an output of any format; fails where a reader of that format would."""
    match out.suffix:
        case ".csv":
            with out.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        case ".json":
            return list(json.loads(out.read_text(encoding="utf-8"))["rows"])
        case ".jsonl":
            return [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    return list(parquet.read_table(out).to_pylist())


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of these chunks."""
    packed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


PALETTE_WITHOUT_COLOURS = png(
    (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")
)

# Photos ------------------------------------------------------------------------------------------------------------


def test_a_png_without_its_palette_is_one_row(run: Run) -> None:
    """A PNG whose palette is missing, for which Pillow raises AssertionError, fails alone."""
    Path("photos").mkdir()
    draw_photo(1, (60, 80)).save("photos/good.jpg")
    Path("photos/palette.png").write_bytes(PALETTE_WITHOUT_COLOURS)
    code, rows = run("photos")
    assert (code, [row["reason"] in ("", "low_confidence") for row in rows]) == (3, [True, False])
    assert [row["reason"] for row in rows][1] == "unreadable"


@pytest.mark.parametrize("error", [AssertionError, MemoryError, UserWarning, Exception])
def test_any_exception_of_decoder_or_cut_is_one_row(run: Run, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """An exception of any kind, except for a signal, from a decoder or the cut fails its own photo alone."""
    Path("photos").mkdir()
    for number, side in enumerate((60, 61, 62)):
        draw_photo(number, (side, 80)).save(f"photos/{number}.jpg")
    cut = loader.extract_product

    decode = jpeg.decode

    def failing(content: bytes, header: JpegHeader, *options: Any) -> Any:
        if header.size[0] == 60:
            raise error
        return decode(content, header, *options)

    def not_cutting(photo: Any, colour: bool) -> Any:
        if photo.pixels.shape[1] == 61:
            raise error
        return cut(photo, colour)

    monkeypatch.setattr(jpeg, "decode", failing)
    monkeypatch.setattr(loader, "extract_product", not_cutting)
    code, rows = run("photos")
    assert (code, [bool(row["reason"]) and row["reason"] in ("unreadable", "too_large") for row in rows]) == (
        3,
        [True, True, False],
    )


def test_a_signal_is_not_a_failure_of_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a photo is decoded ends the run; it is not taken for damage."""
    from tagger.photos import decode

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decode, "_open_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode.decode_bytes(b"\xff\xd8\xff", "photo.jpg")


@pytest.mark.parametrize("seconds", [2**33 + 2**31, 9_000_000_000_000, -12_000_000_000])
def test_file_times_beyond_64_bits_are_accepted(run: Run, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """A file from the year 2310, from a broken disk's 287,000 or Windows' 1601 is tagged, and found in the next run."""
    draw_photo(4, (60, 80)).save("b.jpg")
    stat, fstat = os.stat, os.fstat

    class Odd:
        """The status of a file with another time."""

        def __init__(self, found: os.stat_result) -> None:
            self._found = found
            self.st_mtime_ns = seconds * 10**9

        def __getattr__(self, name: str) -> Any:
            return getattr(self._found, name)

    monkeypatch.setattr(
        os, "stat", lambda path, **more: Odd(stat(path, **more)) if str(path).endswith(".jpg") else stat(path, **more)
    )
    monkeypatch.setattr(os, "fstat", lambda handle: Odd(fstat(handle)))
    Path("list.jsonl").write_text('{"image": "a.jpg"}\n{"image": "b.jpg"}\n')
    assert not EARLIEST_NS <= seconds * 10**9 <= LATEST_NS
    first, second = run("list.jsonl"), run("list.jsonl")
    assert first == second
    assert (first[0], [row["tag"] != "" for row in first[1]]) == (0, [True, True])


# Rows --------------------------------------------------------------------------------------------------------------

NASTY = {
    "nan": "NaN",
    "infinity": "-Infinity",
    "beyond_64_bits": "1" * 400,
    "beyond_floats": "1e400",
    "half_a_pair": '"\\ud800 x"',
    "other_half": '"\\udc80"',
    "null_byte": '"a\\u0000b"',
    "line_breaks": '"a\\r\\nb\\u2028"',
    "a_key": '{"\\ud800": ["\\udfff", NaN]}',
    "nested": "[" * 100 + "]" * 100,
}


@pytest.mark.parametrize("format", FORMATS)
def test_every_value_of_json_is_written_in_every_format(run: Run, format: str) -> None:
    """Numbers beyond JSON or 64 bits, lone surrogates, null bytes and deep lists are written as rows that can be read."""
    lines = [f'{{"sku": {value}, "image": "a.jpg"}}' for value in NASTY.values()]
    lines += ['{"\\ud800 key": 1, "nul\\u0000": 2, "": 3, "image": "a.jpg"}']
    Path("list.jsonl").write_text("\n".join(lines))
    code, rows = run("list.jsonl", format)
    assert (code, len(rows)) == (0, len(lines))
    assert all(row["tag"] for row in rows)


@pytest.mark.parametrize(("depth", "format"), [*zip([101, 600, 900, 50_000], FORMATS, strict=True)])
def test_a_value_nested_too_deep_is_a_bad_row(run: Run, depth: int, format: str) -> None:
    """Its row is marked, keeps its other cells where the JSON reader could read them, and the rows beside it are tagged."""
    deep = "[" * depth + "]" * depth
    Path("list.jsonl").write_text(f'{{"sku": 7, "more": {deep}, "image": "a.jpg"}}\n{{"sku": 8, "image": "a.jpg"}}\n')
    code, rows = run("list.jsonl", format)
    assert (code, [row["reason"] == "bad_row" for row in rows]) == (3, [True, False])
    assert [str(row["sku"]) for row in rows][depth > 900 :] == ["7", "8"][depth > 900 :]


@pytest.mark.parametrize("path", ['"a\\u0000.jpg"', '"\\ud800.jpg"', f'"{"d/" * 3000}a.jpg"', "5", "true", '{"id": 5}'])
def test_a_path_that_no_file_can_have_is_one_row(run: Run, path: str) -> None:
    """A null byte, a lone surrogate, a path beyond the system's limit or no text in place of the path fails alone."""
    Path("list.jsonl").write_text(f'{{"image": {path}}}\n{{"image": "a.jpg"}}\n')
    code, rows = run("list.jsonl", "jsonl", "--report", "report.json")
    assert (code, [row["reason"] in ("bad_row", "missing", "unreadable") for row in rows]) == (3, [True, False])
    assert len(json.loads(Path("report.json").read_text(encoding="utf-8"))["failures"]) == 1


def strings(content: bytes, *ends: int) -> pyarrow.Array:
    """Return texts of these bytes, which Arrow does not check."""
    buffers = [None, pyarrow.py_buffer(struct.pack(f"<{len(ends) + 1}i", 0, *ends)), pyarrow.py_buffer(content)]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(ends), buffers)


UNREPRESENTABLE = {
    "no_utf8": strings(b"\xff\xfeok", 2, 4),
    "date": pyarrow.array([2**31 - 1, 0], pyarrow.int32()).cast(pyarrow.date32()),
    "time": pyarrow.array([2**62, 0], pyarrow.int64()).cast(pyarrow.timestamp("us")),
    "duration": pyarrow.array([2**62, 0], pyarrow.int64()).cast(pyarrow.duration("s")),
}


@pytest.mark.parametrize(("name", "format"), [*zip(UNREPRESENTABLE, FORMATS, strict=True)])
def test_a_parquet_value_that_python_lacks_is_a_bad_row(run: Run, name: str, format: str) -> None:
    """Text that is not UTF-8 and dates beyond the year 9999 fail their own row, and the next one is tagged."""
    parquet.write_table(pyarrow.table({"value": UNREPRESENTABLE[name], "image": ["a.jpg", "a.jpg"]}), "list.parquet")
    code, rows = run("list.parquet", format)
    assert (code, [row["reason"] == "bad_row" for row in rows]) == (3, [True, False])
    assert rows[1]["value"] not in (None, "")


def test_parquet_types_are_kept(run: Run) -> None:
    """Decimals, bytes, durations, structures, maps and dictionaries keep type and value from Parquet to Parquet."""
    columns = {
        "decimal": pyarrow.array(["1.10"]).cast(pyarrow.decimal128(38, 2)),
        "bytes": pyarrow.array([b"\xff\0"]),
        "unsigned": pyarrow.array([2**64 - 1], pyarrow.uint64()),
        "half": pyarrow.array([1.5], pyarrow.float32()).cast(pyarrow.float16()),
        "nanoseconds": pyarrow.array([1_700_000_000_000_000_001], pyarrow.timestamp("ns")),
        "day": pyarrow.array([datetime.date(2026, 1, 2)]),
        "map": pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        "struct": pyarrow.array([{"a": [1, None]}]),
        "dictionary": pyarrow.array(["x"]).dictionary_encode(),
        "image": pyarrow.array(["a.jpg"]),
    }
    parquet.write_table(pyarrow.table(columns), "list.parquet")
    assert run("list.parquet", "parquet")[0] == 0
    before, after = parquet.read_table("list.parquet"), parquet.read_table("tags.parquet")
    assert after.select(list(columns)).equals(before)


# Labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", ["report.md", "report"])
def test_labels_and_groups_that_are_not_unicode_are_evaluated(run: Run, small_bundle: Path, report: str) -> None:
    """A lone surrogate in a label, a group, a kind or a path ends neither `evaluate` nor its reports."""
    lines = [
        {"image": "a.jpg", "label": "Dress", "group": "\ud800", "kind": "\udc80"},
        {"image": "a.jpg", "label": "\ud800", "group": ["a list"]},
        {"image": "\ud800.jpg", "label": "Bag"},
    ]
    Path("list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "list.jsonl", "--model", str(small_bundle), "--out", "metrics.json", "--report", report])
    assert not left.value.code
    assert json.loads(Path("metrics.json").read_text(encoding="utf-8"))
