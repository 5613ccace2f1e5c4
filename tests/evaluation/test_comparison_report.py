"""The files and tables of a comparison hold its rows and differences."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from compare_helpers import SaveBundle
from evaluation_helpers import markdown_tables

from tagger.cli.main import main
from tagger.evaluation.compare import Comparison, ModelFamily, compare
from tagger.evaluation.comparison_report import (
    TERMINAL_KEYS,
    TITLES,
    cell,
    comparison_as_csv,
    comparison_as_json,
    comparison_as_markdown,
    comparison_table,
    difference_table,
    significant_differences,
)
from tagger.evaluation.settings import CompareSettings
from tagger.metrics.significance import mcnemar_p_value

pytestmark = pytest.mark.usefixtures("one_thread", "random_fashion_mnist")


def family(name: str, wrong: int, **more: object) -> ModelFamily:
    """Return a family of one bundle that predicts the first `wrong` of twenty images of class 0 as class 1."""
    probabilities = torch.full((20, 10), 0.01)
    probabilities[range(20), [int(at < wrong) for at in range(20)]] = 0.91
    options = {"parameters": 1234, "macs": 2_500_000, "size": 10_000, "seconds": None, "images_per_second": {}} | more
    return ModelFamily((name,), probabilities=(probabilities,), ensemble=probabilities, **options)


def comparison_of(*families: ModelFamily) -> Comparison:
    """Return a comparison on twenty images of class 0."""
    return Comparison(families, np.zeros(20, np.int64))


def test_files_hold_the_rows(save: SaveBundle) -> None:
    """CSV, JSON and Markdown have a row for each row of the comparison, with the same accuracies."""
    comparison = compare(CompareSettings((save("one", seed=0), save("two", seed=1), save("wide", (16, 16)))), timed=False)
    rows = comparison.rows()
    assert list(pd.read_csv(io.BytesIO(comparison_as_csv(comparison)))["accuracy"]) == [row["accuracy"] for row in rows]
    assert json.loads(comparison_as_json(comparison)) == {"rows": rows, "differences": comparison.differences()}
    report = comparison_as_markdown(comparison, "fmtag compare one")
    assert "`fmtag compare one`" in report.splitlines()
    bundles, differences = markdown_tables(report)
    assert [row["bundle"] for row in bundles] == [row["name"] for row in rows]
    for shown, row in zip(bundles, rows, strict=True):
        assert f"{100 * row['accuracy']:.2f}" in shown["accuracy"]
    assert [float(row["p"]) for row in differences] == pytest.approx([row["p"] for row in comparison.differences()], rel=0.1)


def test_columns_without_a_value_are_left_out() -> None:
    """A metric that no row has is no column; one that some row has is a dash in the others."""
    untimed = comparison_of(family("one", 2), family("two", 4))
    assert "training, s" not in [column.title for column in comparison_table(untimed).columns]
    timed = comparison_of(family("one", 2), family("two", 4, seconds=61.4))
    assert [row[-1] for row in comparison_table(timed).rows] == ["-", "61"]
    assert [column.title for column in comparison_table(timed, TERMINAL_KEYS).columns][:2] == ["bundle", "accuracy"]


def test_one_bundle_has_no_differences() -> None:
    """The table of differences is left out of the Markdown where it would be empty."""
    assert len(markdown_tables(comparison_as_markdown(comparison_of(family("one", 2)), ""))) == 1
    assert difference_table(comparison_of(family("one", 2))).rows == ()


def test_significant_differences_are_sentences() -> None:
    """A pair is named with the better bundle first where its p-value is below 5 %: six images to none are, five are not."""
    (sentence,) = significant_differences(comparison_of(family("worse", 6), family("better", 0)))
    p = mcnemar_p_value(np.ones(20, bool), np.arange(20) >= 6)
    assert sentence == f"better is better than worse: p = {p:.2g} (McNemar, exact)"
    assert significant_differences(comparison_of(family("better", 0), family("worse", 6))) == [sentence]
    assert significant_differences(comparison_of(family("worse", 5), family("better", 0))) == []


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("accuracy", 0.98765, "98.77 %"),
        ("macro_f1", 0.5, "50.00 %"),
        ("calibration_error", 0.00123, "0.12 %"),
        ("cross_entropy", 0.123456, "0.1235"),
        ("macs", 2_540_000, "2.5"),
        ("bytes", 1_234_567, "1,235"),
        ("parameters", 1_234_567, "1,234,567"),
        ("training_seconds", None, "-"),
    ],
)
def test_cells_have_units_that_can_be_read(key: str, value: float | None, text: str) -> None:
    """Shares are percentages, costs are in millions and kilobytes, and what does not exist is a dash."""
    assert cell({key: value, "accuracy_deviation": None}, key) == text
    assert key in TITLES


def test_accuracies_of_several_seeds_have_their_deviation() -> None:
    """The deviation stands beside the mean, both in percent."""
    assert cell({"accuracy": 0.95, "accuracy_deviation": 0.0012}, "accuracy") == "95.00 ± 0.12 %"


def test_the_command(save: SaveBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fmtag compare` prints the rows and writes its three files; a file of another kind is exit 2 before any work."""
    names = [save("one"), save("wide", (16, 16))]
    files = {"--out": tmp_path / "rows.json", "--report": tmp_path / "rows.md", "--chart": tmp_path / "rows.png"}
    with pytest.raises(SystemExit) as caught:
        main(["compare", *names, *(str(part) for pair in files.items() for part in pair)])
    assert not caught.value.code
    assert "wide" in capsys.readouterr().out
    assert all(file.stat().st_size for file in files.values())
    speeds = [row["pictures_a_second_256"] for row in json.loads(files["--out"].read_text())["rows"]]
    assert all(speed > 0 for speed in speeds)
    with pytest.raises(SystemExit) as caught:
        main(["compare", *names, "--out", str(tmp_path / "rows.xlsx")])
    assert caught.value.code == 2
    assert ".csv" in capsys.readouterr().err
