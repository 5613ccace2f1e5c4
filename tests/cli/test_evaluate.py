"""`fmtag evaluate`: sources, outputs, reports and refusals."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import RunCli, assert_one_sentence, draw_photo
from PIL import Image

from tagger.data.labels import LABELS

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

METRICS = ["accuracy", "macro_accuracy", "n", "calibration_error", "per_class", "confusion", "reliability", "coverage"]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Write photos into subfolders named by class in several spellings, one photo broken, and return the folder."""
    for number, folder in enumerate(["bag", "Ankle_Boot", "t-shirt top", "Dress", "Dress", "Scarf"]):
        (tmp_path / "sorted" / folder).mkdir(parents=True, exist_ok=True)
        draw_photo(number).save(tmp_path / "sorted" / folder / f"{number}.jpg")
    (tmp_path / "sorted" / "Dress" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "sorted"


def assert_metrics(path: Path, count: int) -> dict[str, Any]:
    """Assert that a file has the metrics of that many photos at its top, and return them."""
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert list(metrics)[: len(METRICS)] == METRICS
    assert metrics["n"] == count == sum(map(sum, metrics["confusion"]["counts"]))
    assert all(0 <= metrics[name] <= 1 for name in ("accuracy", "macro_accuracy", "calibration_error"))
    assert list(metrics["per_class"]) == list(LABELS)
    return metrics


def test_a_folder_of_classes(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """A folder with one subfolder per class is measured: broken photos and unknown labels are counted apart."""
    result = cli("evaluate", labelled, "--out", tmp_path / "metrics.json")
    assert (result.code, result.err) == (0, "")
    metrics = assert_metrics(tmp_path / "metrics.json", 5)
    assert metrics["failed"] == {"not_an_image": 1}
    assert metrics["other_labels"] == {"Scarf": 1}
    assert [metrics["per_class"][name]["n"] for name in ("Bag", "Ankle boot", "T-shirt/top", "Dress")] == [1, 1, 1, 2]
    assert f"accuracy {metrics['accuracy']:.4f}" in result.out


@pytest.mark.skipif(AS_ROOT, reason="root may read every folder")
def test_counts_a_forbidden_class(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """A subfolder without permission counts as a failed photo among the others, which are measured."""
    (labelled / "bag").chmod(0)
    try:
        assert cli("evaluate", labelled, "--out", tmp_path / "metrics.json").code == 0
    finally:
        (labelled / "bag").chmod(0o700)
    assert assert_metrics(tmp_path / "metrics.json", 4)["failed"] == {"not_an_image": 1, "unreadable": 1}


def test_a_table_with_labels(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """A table with an image and a label column is measured alike; the label column may be given."""
    lines = "sorted/bag/0.jpg,Bag,Dress\nsorted/Dress/3.jpg,Dress,Dress\n"
    (tmp_path / "t.csv").write_text(f"path,label,second\n{lines}", encoding="utf-8")
    assert cli("evaluate", tmp_path / "t.csv", "--out", tmp_path / "metrics.json").code == 0
    first = assert_metrics(tmp_path / "metrics.json", 2)
    assert (first["per_class"]["Bag"]["n"], first["per_class"]["Dress"]["n"]) == (1, 1)
    assert cli("evaluate", tmp_path / "t.csv", "--label-column", "second", "--out", tmp_path / "metrics.json").code == 0
    assert assert_metrics(tmp_path / "metrics.json", 2)["per_class"]["Dress"]["n"] == 2


def test_sources_that_cannot_be_measured(cli: RunCli, photos: Callable[[int], Path], labelled: Path, tmp_path: Path) -> None:
    """Photos outside subfolders, labels that are all unknown and a table without labels are one sentence each."""
    metrics = tmp_path / "metrics.json"
    assert_one_sentence(cli("evaluate", photos(1), "--out", metrics), 1, "0000.jpg outside any subfolder")
    (tmp_path / "t.csv").write_text("path,label\nsorted/bag/0.jpg,Sock\nsorted/bag/0.jpg,Glove\n")
    assert_one_sentence(cli("evaluate", tmp_path / "t.csv", "--out", metrics), 1, "Glove, Sock", "T-shirt/top")
    (tmp_path / "t.csv").write_text("path,sku\nsorted/bag/0.jpg,1\n")
    assert_one_sentence(cli("evaluate", tmp_path / "t.csv", "--out", metrics), 1, "path, sku", "--label-column")
    assert_one_sentence(cli("evaluate", tmp_path / "none", "--out", metrics), 1, "There is no ")
    assert not metrics.exists()


def test_several_sources(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """Several sources print a row each; --out holds each one's metrics, --report and --sheet are files beside."""
    (tmp_path / "t.csv").write_text("path,label\nsorted/bag/0.jpg,Bag\nsorted/Dress/3.jpg,Scarf\nnone.jpg,Bag\n")
    report, sheet, metrics = (tmp_path / name for name in ("photos.md", "errors.png", "metrics.json"))
    arguments = ["evaluate", labelled, tmp_path / "t.csv", "--report", report, "--sheet", sheet, "--out", metrics]
    result = cli(*arguments)
    assert (result.code, result.err) == (0, "")
    sources = json.loads(metrics.read_text())["sources"]
    assert {name: measured["n"] for name, measured in sources.items()} == {"sorted": 5, "t.csv": 1}
    for name, measured in sources.items():
        [row] = [line.split() for line in result.out.splitlines() if line.startswith(f" {name} ")]
        assert row[1:3] == [str(measured["n"]), f"{measured['macro_accuracy']:.3f}"]
    assert "t.csv: left out, could not be read: {'missing': 1}" in result.out
    lines = report.read_text().splitlines()
    assert lines[0] == f"# Real photos, {sources['sorted']['model']}"
    assert lines[1] == f"`fmtag {' '.join(map(str, arguments))}`"
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"


def test_one_bad_source_ends_the_measurement(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """One bad source among good ones ends it all in one sentence that names it, and nothing is written."""
    out = tmp_path / "out"
    out.mkdir()
    files = ["--report", out / "photos.md", "--sheet", out / "errors.png", "--out", out / "metrics.json"]
    (tmp_path / "sku.csv").write_text("path,sku\nsorted/bag/0.jpg,1\n")
    (tmp_path / "gone.csv").write_text("path,label\nnone.jpg,Bag\n")
    (tmp_path / "empty").mkdir()
    assert_one_sentence(cli("evaluate", labelled, tmp_path / "sku.csv", *files), 1, "sku.csv has no label column")
    assert_one_sentence(cli("evaluate", labelled, tmp_path / "gone.csv", *files), 1, "gone.csv holds no photo that can be read")
    assert_one_sentence(cli("evaluate", tmp_path / "empty", labelled, *files), 1, "empty holds no photo that can be read")
    assert_one_sentence(cli("evaluate", labelled, labelled, *files), 1, "sorted is given more than once")
    assert os.listdir(out) == []


def test_a_report_in_a_folder(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """Any other name than one of a Markdown file is a folder with report.html and its pictures; what lies there stays."""
    folder = tmp_path / "new" / "run-0.2"
    arguments = ["evaluate", labelled, "--report", folder]
    result = cli(*arguments)
    assert (result.code, result.err) == (0, "")
    assert f"<code>fmtag {' '.join(map(str, arguments))}</code>" in (folder / "report.html").read_text(encoding="utf-8")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {"1-confusion.png", "1-reliability.png", "1-coverage.png", "1-classes.png"} < set(before)
    (folder / "notes.txt").write_text("mine")
    assert cli(*arguments).code == 0
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before | {"notes.txt": b"mine"}


def test_reports_of_another_kind_are_refused(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """Names of other files, and names that are taken, are one sentence before anything is measured; nothing is lost."""
    for name in ("report.html", "report.PDF", "report.txt"):
        assert_one_sentence(cli("evaluate", labelled, "--report", tmp_path / name), 2, name, "give a folder")
    (tmp_path / "folder.md").mkdir()
    assert_one_sentence(cli("evaluate", labelled, "--report", tmp_path / "folder.md"), 2, "folder.md is a folder")
    (tmp_path / "taken").write_text("kept")
    for place in ("taken", "taken/below"):
        assert_one_sentence(cli("evaluate", tmp_path / "none", "--report", tmp_path / place), 1, "taken is no folder")
    assert (tmp_path / "taken").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.md", "sorted", "taken"]


def test_the_help_warns_that_outputs_show_photos(cli: RunCli) -> None:
    """The help of --sheet and of --report says that they show the photos themselves."""
    help_text = " ".join(cli("evaluate", "--help").out.split())
    assert "It shows the photos themselves" in help_text
    assert "The folder shows the photos themselves" in help_text


def test_metrics_that_cannot_be_written(cli: RunCli, labelled: Path, tmp_path: Path) -> None:
    """Metrics for a folder that is not there end in one sentence."""
    result = cli("evaluate", labelled, "--out", tmp_path / "none" / "metrics.json")
    assert result.code == 1
    assert result.err.startswith(f"Error: {tmp_path / 'none' / 'metrics.json'} cannot be written")
    assert len(result.err.splitlines()) == 1
