"""Small sources and outputs for the tests of catalogs, and what they hold."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tagger.catalog.output import format_of, open_output
from tagger.catalog.rows import output_columns, output_row
from tagger.catalog.settings import SourceSettings
from tagger.catalog.source import open_source
from tagger.records import Item, Tag
from tagger.settings import FORMATS

MODEL = "small@1a2b3c4d+g1"
SHIRT = Tag((("Shirt", 0.8123), ("Coat", 0.1512), ("Dress", 0.0365), ("Bag", 0.0)), False, "", "upper body", 0.9635)
MISSING = Tag((), True, "missing")
UNRECOGNISED = Tag((), True, "not_recognised")

Pair = tuple[Item, Tag]

each_format = pytest.mark.parametrize("format", FORMATS)
each_table = pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])


def items(source: Path | str, image_column: str | None = None) -> list[Item]:
    """Return all items of a source."""
    return list(open_source(str(source), SourceSettings(image_column)).items)


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


def table_item(path: str, /, **values: object) -> Item:
    """Return an item with these values in its table row."""
    return Item(path, Path(path), values)


def write_rows(
    out: Path, pairs: Sequence[Pair], top_k: int = 1, schema: pyarrow.Schema | None = None, excel: bool = False
) -> Path:
    """Write rows in the format that the suffix names and return the path; the first item tells the source's columns."""
    named = output_columns(list(pairs[0][0].columns) if pairs else [], top_k)
    with open_output(str(out), format_of(str(out)), named, MODEL, schema, excel) as writer:
        for one, tag in pairs:
            writer.write(output_row(one, tag, MODEL, named))
    return out


def read_rows(out: Path) -> list[dict[str, Any]]:
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
