"""`fmtag compare` on the terminal: its columns and which differences are named."""

from pathlib import Path
from typing import Any

import pytest
from helpers import assert_one_sentence, run_cli

from tagger.cli.compare import print_comparison
from tagger.evaluation.comparison_report import SIGNIFICANCE_LEVEL


class Comparison:
    """Two rows, and differences around the level of significance."""

    labels = range(10_000)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each bundle."""
        return [{"name": name, "accuracy": 0.5, "accuracy_deviation": None} for name in ("first", "second")]

    def differences(self) -> list[dict[str, Any]]:
        """Return a difference that is significant, the other way round too, and one just at the level."""
        pair = {"first": "first", "second": "second", "only_first_right": 9, "only_second_right": 1}
        other = pair | {"only_first_right": 1, "only_second_right": 9}
        return [pair | {"p": 0.04}, other | {"p": 0.001}, pair | {"p": SIGNIFICANCE_LEVEL}]


def test_significant_differences_are_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row per bundle with titled columns, and a sentence for each p-value below the level, the better bundle first."""
    monkeypatch.setenv("COLUMNS", "200")
    print_comparison(Comparison())
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[-2:] == [
        "first is better than second: p = 0.04 (McNemar, exact)",
        "second is better than first: p = 0.001 (McNemar, exact)",
    ]
    assert sum(line.startswith(("first ", "second ")) and "better" not in line for line in lines) == 2


def test_rows_have_a_known_format(tmp_path: Path) -> None:
    """Another suffix of --out is wrong usage before anything is measured."""
    assert_one_sentence(run_cli("compare", "tiny", "--out", tmp_path / "rows.xlsx"), 2, "rows.xlsx", ".csv", ".json", "--out")
    assert_one_sentence(run_cli("compare"), 2, "MODEL")
    assert_one_sentence(run_cli("compare", "nobody"), 1, "There is no bundle 'nobody'")
