"""The benchmarks' figures are those of the commands, on made-up photos."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Fmtag, draw_photo

from tagger.dataset import LABELS


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder of 24 photos with a labels.csv: four classes and things of none, two photos a product, some ambiguous."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "kind", "group"])
        for number in range(24):
            draw_photo(number).save(folder / f"{number}.jpg")
            label = (*LABELS[:4], "OOD")[number % 5]
            rows.writerow([f"{number}.jpg", label, "Blouse (ambiguous)" if number % 3 == 0 else label, number // 2])
    return folder


def test_the_report_on_photos_says_what_evaluate_says(labelled: Path, small_bundle: Path, tmp_path: Path, fmtag: Fmtag) -> None:
    """The report's n, accuracies and share of flagged strangers are those of `fmtag evaluate`, each within its interval."""
    report, metrics = tmp_path / "photos.md", tmp_path / "metrics.json"
    command = [sys.executable, ROOT / "benchmarks" / "photos.py", labelled, "--model", small_bundle, "--out", report]
    subprocess.run(command, check=True, timeout=300)
    assert 0 == fmtag("evaluate", labelled / "labels.csv", "--out", metrics).returncode
    said = json.loads(metrics.read_text())
    text = report.read_text()

    row = next(line for line in text.splitlines() if line.startswith("| shop |"))
    number = r"([\d.]+) \(([\d.]+)-([\d.]+)\)"
    found = re.match(rf"\| shop \| (\d+) \((\d+)\) \| {number} \| {number} \|", row)
    assert found, row
    n, groups, macro, low, high, accuracy, *_ = map(float, found.groups())
    assert (said["n"], 12) == (n, groups)
    assert macro == pytest.approx(said["macro_accuracy"], abs=6e-4)
    assert accuracy == pytest.approx(said["accuracy"], abs=6e-4)
    assert low <= macro <= high
    strangers = text.split("## None of these")[1].splitlines()[4]
    flagged = said["other_labels_flagged"] / said["other_labels"]["OOD"]
    assert strangers.startswith(f"| shop | {said['other_labels']['OOD']} ("), strangers
    assert float(strangers.split("|")[3].split("(")[0]) == pytest.approx(flagged, abs=6e-4)
    assert "| shop, unambiguous |" in text
