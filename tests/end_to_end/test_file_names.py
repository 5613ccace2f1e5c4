"""File names that are not UTF-8, in every table, card and report that fmtag writes, and found again where it reads them."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
import os
from pathlib import Path

import pytest
from helpers import draw_photo, exit_code, rows_of, save_bundle
from training_helpers import drawn

from tagger.catalog.label_table import read_label_table
from tagger.file_names import escape_surrogates
from tagger.models import bundle
from tagger.models.config import NetworkConfig

pytestmark = pytest.mark.usefixtures("one_thread")

ODD = os.fsdecode(b"caf\xe9-\xff")
"""A name in Latin 1."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of such a name, with classes and photos of such names."""
    root = tmp_path_factory.mktemp("odd") / ODD
    for at, label in enumerate((ODD, "scarf")):
        (root / label).mkdir(parents=True)
        for number in range(40):
            drawn("scarf" if at else "hat", 1000 * at + number).save(root / label / f"{number:03}-{ODD}\r.png")
    return root


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that the command makes of them, in a folder of such a name."""
    root = tmp_path_factory.mktemp("made")
    start = save_bundle(root / "start", NetworkConfig((8, 16)))
    assert not exit_code("retrain", "--data", photos, "--out", root / ODD, "--name", "odd", "--from", start, "--epochs", 1)
    return root / ODD


def test_training_completes(made: Path) -> None:
    """Bundle, test photos and report are there, and a label with such a name is text that every format can hold."""
    assert (escape_surrogates(ODD), "scarf") == tuple(sorted(bundle.load(str(made)).card.labels))
    assert {escape_surrogates(ODD), "scarf"} == {row["label"] for row in rows_of(made / "test.csv")}
    assert (made / "report" / "report.html").is_file()


def test_evaluate_finds_the_test_photos(made: Path, tmp_path: Path) -> None:
    """All photos of the table are read, and their metrics are those of the card."""
    assert not exit_code("evaluate", made / "test.csv", "--model", made, "--out", tmp_path / "metrics.json")
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    expected = bundle.load(str(made)).card.metrics["test"]
    assert ({}, expected["n"], expected["accuracy"]) == (metrics["failed"], metrics["n"], metrics["accuracy"])


def test_evaluate_accepts_the_folder(made: Path, photos: Path, tmp_path: Path) -> None:
    """The folder itself and the table beside it are evaluated, and their names are in the metrics and the report."""
    sources = (photos, made / "test.csv")
    outputs = ("--out", tmp_path / "metrics.json", "--report", tmp_path / "r.md")
    assert not exit_code("evaluate", *sources, "--model", made, *outputs)
    sources_measured = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["sources"]
    assert [{}, {}] == [metrics["failed"] for metrics in sources_measured.values()]
    assert 80 == sources_measured[ODD]["n"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_output_of_a_run_leads_to_its_photos(suffix: str, tmp_path: Path, small_bundle: Path) -> None:
    """An output of `run` with such names, given to `adapt` as a table of corrected labels, leads to the photos."""
    (tmp_path / "catalog").mkdir()
    draw_photo(1).save(tmp_path / "catalog" / f"{ODD}.png")
    out = tmp_path / f"tags{suffix}"
    assert not exit_code(
        "run", tmp_path / "catalog", "--out", out, "--model", small_bundle, "--ledger", tmp_path / "ledger.sqlite"
    )
    table = read_label_table(str(out), str(tmp_path / "catalog"))
    assert [tmp_path / "catalog" / f"{ODD}.png"] == list(table.photos)


def test_a_bundle_in_such_a_folder_is_found(made: Path, tmp_path: Path) -> None:
    """A bundle is found in a folder with such a name."""
    (tmp_path / "catalog").mkdir()
    draw_photo(1).save(tmp_path / "catalog" / "one.png")
    assert not exit_code("run", tmp_path / "catalog", "--out", tmp_path / "tags.csv", "--model", made)
    assert rows_of(tmp_path / "tags.csv")[0]["model"].startswith("odd@")
