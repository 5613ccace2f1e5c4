"""On a CPU everything that tags photos works without PyTorch, here one that cannot be imported."""

import os
import sys
from pathlib import Path

import pytest
from helpers import ROOT, Call, rows_of

CATALOG = ROOT / "examples" / "catalog"

LIBRARY = """
import sys
from tagger import Tagger
for tag in Tagger(sys.argv[1]).tag(sys.argv[2:]):
    print(tag.label)
"""


def test_the_stub_is_what_is_imported(without_torch: Call) -> None:
    """The error is raised where torch is needed, so that the other tests can fail."""
    code = "import tagger.models.network"
    with pytest.raises(AssertionError):
        without_torch("-c", code)


@pytest.mark.parametrize("options", [(), ("--device", "cpu")])
def test_a_run(without_torch: Call, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`fmtag run` tags the examples; with `--device cpu` on a machine with a GPU too."""
    if not options and (sys.platform == "darwin" or any(os.path.exists(f"/dev/{name}") for name in ("nvidiactl", "kfd"))):
        pytest.skip("this machine may have a GPU, which torch is asked about")
    out = tmp_path / "tags.csv"
    without_torch("-m", "tagger", "run", CATALOG, "--out", out, *options, codes=(3,))  # two examples are broken
    tags = {row["path"]: row["tag"] for row in rows_of(out)}
    golden = {row["path"]: row["tag"] for row in rows_of(ROOT / "tests" / "fixtures" / "examples-golden.csv")}
    assert tags == golden
    told = without_torch("-m", "tagger", "explain", "Pullover/photo 0200.jpg", "--ledger", out.with_suffix(".ledger"))
    assert "Pullover" in told
    assert "each network on the product:" in told  # from the shipped bundle, which has a backbone


@pytest.mark.slow
def test_an_evaluation_with_its_reports(without_torch: Call, tmp_path: Path) -> None:
    """`fmtag evaluate` measures labelled photos, and writes the HTML report with its charts, and the contact sheet."""
    labels = "path,label\n" + "".join(f"{file},Pullover\n" for file in sorted((CATALOG / "Pullover").iterdir()))
    (tmp_path / "labels.csv").write_text(labels, encoding="utf-8")
    arguments = ("--report", tmp_path / "report", "--sheet", tmp_path / "sheet.png", "--device", "cpu")
    assert "accuracy 1.0000" in without_torch("-m", "tagger", "evaluate", tmp_path / "labels.csv", *arguments)
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.slow
def test_an_adaptation_and_a_run_with_it(without_torch: Call, tmp_path: Path) -> None:
    """`fmtag adapt` with labels, and `fmtag pick`, write their files; the adapted bundle tags the examples."""
    rows = [(file, label) for label in ("Pullover", "camisetas") for file in sorted((CATALOG / label).glob("photo*"))]
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{file},{label}\n" for file, label in rows), encoding="utf-8")
    options = ("--device", "cpu")
    out = tmp_path / "mine"
    without_torch("-m", "tagger", "adapt", CATALOG, "--labels", table, "--out", out, "--force", *options)
    without_torch("-m", "tagger", "run", CATALOG, "--model", out, "--out", tmp_path / "tags.csv", *options, codes=(3,))
    assert sum(bool(row["tag"]) for row in rows_of(tmp_path / "tags.csv")) == 30
    without_torch("-m", "tagger", "pick", CATALOG, "--out", tmp_path / "picks.csv", "--count", "5", *options)
    assert len(rows_of(tmp_path / "picks.csv")) == 5


def test_the_library_and_the_list_of_bundles(without_torch: Call, small_bundle: Path) -> None:
    """`Tagger` tags a photo, and `fmtag models` checks and lists the bundles."""
    assert without_torch("-c", LIBRARY, small_bundle, CATALOG / "Pullover" / "photo 0200.jpg").strip()
    assert "catalog@" in without_torch("-m", "tagger", "models")
