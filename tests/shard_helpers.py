"""Shared by the tests of shards and merges: sources with all that is special, and runs over each of their shards."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from helpers import Result, run_cli, write_photos
from pyarrow import parquet
from run_helpers import age

PHOTOS = 9


def write_catalog(folder: Path) -> Path:
    """Write a folder of fourteen files: photos, copies of some under other names, damaged files, a name that is no Unicode."""
    write_photos(folder, PHOTOS, (96, 128))
    (folder / "more").mkdir()
    for number in range(3):
        shutil.copy(folder / f"000{number}.jpg", folder / "more" / f"copy {number}.jpg")
    (folder / "broken.jpg").write_bytes((folder / "0000.jpg").read_bytes()[:900])
    (folder / "text.jpg").write_bytes(b"no photo")
    (folder / "notes.txt").write_text("not read")
    shutil.copy(folder / "0004.jpg", folder / b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    age(*folder.rglob("*.jpg"))
    return folder


def table_rows(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a table on a folder of `write_catalog`: repeated paths, missing photos, rows without an image."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg") if path.name.isascii())
    paths += ["", paths[0], "gone.jpg", "-", paths[3]]
    return [{"sku": f"A{number}", "image": path, "price": number / 4} for number, path in enumerate(paths)]


def write_table(folder: Path, suffix: str) -> Path:
    """Write a table beside the photos of a folder."""
    rows, table = table_rows(folder), folder / f"catalog{suffix}"
    if suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    elif suffix == ".jsonl":
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return table


def run_shards(source: Path, folder: Path, model: Path, total: int, *options: str | Path) -> list[Path]:
    """Run each shard of a source and return the outputs."""
    folder.mkdir(exist_ok=True)
    outputs = [folder / f"tags-{number}.csv" for number in range(total)]
    for number, out in enumerate(outputs):
        done = run_cli("run", source, "--out", out, "--model", model, "--shard", f"{number}/{total}", *options)
        assert done.code in (0, 3), done.err
    return outputs


def merge(shards: Sequence[Path], out: Path, model: Path, *options: str | Path) -> Result:
    """Merge the outputs of shards."""
    return run_cli("merge", *shards, "--out", out, "--model", model, *options)
