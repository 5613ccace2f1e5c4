"""Photos that lie in a Parquet table are tagged as their files are, in any kind of run, and leave nothing behind."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from helpers import ROOT, Result, draw_photo, rows_of, run_cli
from pyarrow import parquet
from run_helpers import query

RunTable = Callable[..., Result]


def jpeg(seed: int) -> bytes:
    """Return the bytes of a photo."""
    file = io.BytesIO()
    draw_photo(seed, (60, 80)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path, small_bundle: Path) -> RunTable:
    """Run over t.parquet into tags.csv."""

    def call(*options: str) -> Result:
        return run_cli("run", "t.parquet", "--out", "tags.csv", "--report", "run.json", "--model", small_bundle, *options)

    return call


def write_table(photos: list[bytes | None], **more: Any) -> None:
    """Write a table of embedded photos as a data set has them, with paths."""
    images = [{"bytes": one, "path": f"{number}.jpg"} for number, one in enumerate(photos)]
    parquet.write_table(pyarrow.table({"image": images, **more}), "t.parquet", row_group_size=7)


def counts() -> dict[str, Any]:
    """Return the counts of the report."""
    found: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))["counts"]
    return found


def test_embedded_photos_are_tagged_as_files_are(run: RunTable, folder: Path, small_bundle: Path) -> None:
    """With the same values, a duplicate by its bytes, a damaged one as a value, and a file where there are no bytes."""
    photos = [jpeg(number) for number in range(20)]
    (folder / "files").mkdir()
    for number, content in enumerate(photos):
        (folder / "files" / f"{number:02}.jpg").write_bytes(content)
    (folder / "21.jpg").write_bytes(jpeg(3))
    assert run_cli("run", "files", "--out", "files.csv", "--model", small_bundle).code == 0
    write_table([*photos, photos[0][:500], None, None])
    assert (run("--workers", "4").code, counts()["failed"]) == (3, {"truncated": 1, "missing": 1})
    rows, files = rows_of(folder / "tags.csv"), rows_of(folder / "files.csv")
    assert [row["path"] for row in rows] == [f"{number}.jpg" for number in range(23)]
    assert [(row["tag"], row["confidence"]) for row in rows[:20]] == [(row["tag"], row["confidence"]) for row in files]
    assert rows[21]["duplicate_of"] == "3.jpg"
    assert json.loads(rows[0]["image"]) == {"bytes": None, "path": "0.jpg"}
    names = ["21.jpg", "files", "files.csv", "files.ledger", "run.json", "t.parquet", "tags.csv", "tags.ledger"]
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == names


def test_only_new_bytes_are_decoded(run: RunTable, folder: Path) -> None:
    """A table that is written anew, in another order or with one photo more, costs what is new in it."""
    photos: list[bytes | None] = [jpeg(number) for number in range(10)]
    write_table(photos)
    assert (run().code, counts()["scored"]) == (0, 10)
    before = (folder / "tags.csv").read_bytes()
    write_table(photos)
    assert (run().code, counts()["looked_at"], (folder / "tags.csv").read_bytes() == before) == (0, 0, True)
    assert (run("--verify").code, counts()["scored"], (folder / "tags.csv").read_bytes() == before) == (0, 0, True)
    write_table([*reversed(photos), jpeg(10)])
    assert (run().code, counts()["looked_at"], counts()["scored"]) == (0, 11, 1)
    confidences = [row["confidence"] for row in rows_of(folder / "tags.csv")]
    assert (run("--fresh", "--batch-size", "3", "--workers", "1").code, counts()["scored"]) == (0, 11)
    assert [row["confidence"] for row in rows_of(folder / "tags.csv")] == confidences


def test_two_columns_of_one_table_are_not_mistaken(run: RunTable, folder: Path) -> None:
    """Another column of the same rows has other photos, though table and row are the same."""
    columns = {"front": [jpeg(number) for number in range(6)], "back": [jpeg(number) for number in reversed(range(6))]}
    parquet.write_table(pyarrow.table(columns), "t.parquet")
    assert run("--image-column", "front").code == 0
    front = [row["confidence"] for row in rows_of(folder / "tags.csv")]
    assert run("--image-column", "back").code == 0
    assert [row["confidence"] for row in rows_of(folder / "tags.csv")] == front[::-1]
    assert [row["path"] for row in rows_of(folder / "tags.csv")] == [f"t.parquet#{number}" for number in range(6)]


def test_a_parquet_output_keeps_the_types_without_the_bytes(folder: Path, small_bundle: Path) -> None:
    """The photos are in the source already."""
    write_table([jpeg(1), None], label=[1, 2])
    assert run_cli("run", "t.parquet", "--out", "tags.parquet", "--model", small_bundle).code == 3
    written = parquet.read_table("tags.parquet")
    assert written.schema.field("image").type == parquet.read_schema("t.parquet").field("image").type
    assert written["image"].to_pylist() == [{"bytes": None, "path": "0.jpg"}, {"bytes": None, "path": "1.jpg"}]


def test_a_killed_run_goes_on_and_leaves_no_file(folder: Path, small_bundle: Path) -> None:
    """After SIGKILL the same command ends with the bytes of a run that nobody stopped, and no photo lies anywhere."""
    write_table([jpeg(number) for number in range(60)])
    (folder / "tmp").mkdir()
    command = [sys.executable, "-m", "tagger", "run", "t.parquet", "--model", str(small_bundle), "--batch-size", "1", "--out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "killed.csv"], env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and results("killed.ledger") < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert (process.returncode, 5 <= results("killed.ledger") < 60) == (-signal.SIGKILL, True)
    for name in ("killed.csv", "whole.csv"):
        assert run_cli("run", "t.parquet", "--model", small_bundle, "--out", name).code == 0
    assert (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert [file for file in (folder / "tmp").rglob("*") if file.stat().st_size > 1_000] == []


def results(ledger: str) -> int:
    """Return the number of photos in a ledger that a run may be writing."""
    try:
        return int(query(Path(ledger), "SELECT count(*) FROM contents")[0][0])
    except sqlite3.Error:  # it has no tables yet
        return 0


@pytest.mark.parametrize("command", ["evaluate", "finetune"])
def test_labelled_photos_may_be_embedded(folder: Path, small_bundle: Path, command: str) -> None:
    """They are measured and learnt from as files are, and drawn on the sheet of errors."""
    labels = ["Bag", "Coat"] * 12
    write_table([jpeg(number) for number in range(24)], label=labels)
    if command == "evaluate":
        options = ("--sheet", "sheet.png", "--out", "m.json", "--model", small_bundle)
        done = run_cli("evaluate", "t.parquet", *options)
        assert (done.code, json.loads(Path("m.json").read_text())["n"]) == (0, 24), done.err
        assert Path("sheet.png").stat().st_size > 1000
    else:
        from tagger.data.photo_dataset import load_photo_dataset

        dataset = load_photo_dataset("t.parquet")
        assert sum(map(len, (dataset.training, dataset.validation, dataset.test))) == 24
