"""`fmtag export` on the terminal; the exported files are tested in tests/inference."""

from pathlib import Path

import pytest
from helpers import assert_one_sentence, run_cli

from tagger.cli.export import print_exported
from tagger.inference.export import ExportCheck


def test_a_row_for_the_bundle_and_one_for_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes are in kB, speed in images per second; the names are escaped."""
    print_exported(
        [ExportCheck("[b]a", 1_234_567, 999_400, 1_500.4, 0.95, 1_000, 0.0), ExportCheck("b", 2_000, 1_000, 3, 0.5, 999, 0.01)]
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["[b]a", "1,235", "999", "1,500", "0.9500", "1,000", "0.0e+00"] in lines
    assert ["b", "2", "1", "3", "0.5000", "999", "1.0e-02"] in lines


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--to", "tflite"], "--to"),
        (["--to", "onnx", "--prune", "1"], "--prune"),
        (["--to", "onnx", "--prune", "-0.1"], "--prune"),
        (["--to", "onnx", "--prune", "nan"], "--prune"),
    ],
)
def test_wrong_uses_are_refused(tmp_path: Path, options: list[str], part: str) -> None:
    """An unknown runtime and a share that is none are wrong usage, and nothing is written."""
    assert_one_sentence(run_cli("export", "tiny", "--out", tmp_path / "x.onnx", *options), 2, part)
    assert list(tmp_path.iterdir()) == []
