"""On a CPU everything that tags photos works without PyTorch, here one that cannot be imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, rows_of

Call = Callable[..., str]

CATALOG = ROOT / "examples" / "catalog"

LIBRARY = """
import sys
from tagger import Tagger
for tag in Tagger(sys.argv[1]).tag(sys.argv[2:]):
    print(tag.label)
"""


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Run Python where importing torch or torchvision raises an error, and return what it printed."""
    for package in ("torch", "torchvision"):
        (tmp_path / "stubs" / package).mkdir(parents=True)
        # Not an ImportError, which a package that only offers support for torch would take as its absence.
        (tmp_path / "stubs" / package / "__init__.py").write_text(f"raise RuntimeError('{package} was imported')")
    path = os.pathsep.join(filter(None, (str(tmp_path / "stubs"), str(ROOT), os.environ.get("PYTHONPATH"))))

    def run(*arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], env=os.environ | {"PYTHONPATH": path}, capture_output=True, timeout=300
        )
        assert "was imported" not in done.stderr.decode()
        assert done.returncode in codes, done.stderr.decode()
        return done.stdout.decode()

    return run


def test_the_stub_is_what_is_imported(call: Call) -> None:
    """The error is raised where torch is needed, so that the other tests can fail."""
    code = "import tagger.models.network"
    with pytest.raises(AssertionError):
        call("-c", code)


@pytest.mark.parametrize("options", [(), ("--device", "cpu")])
def test_a_run(call: Call, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`fmtag run` tags the examples; with `--device cpu` on a machine with a GPU too."""
    if not options and (sys.platform == "darwin" or any(os.path.exists(f"/dev/{name}") for name in ("nvidiactl", "kfd"))):
        pytest.skip("this machine may have a GPU, which torch is asked about")
    out = tmp_path / "tags.csv"
    call("-m", "tagger", "run", CATALOG, "--out", out, *options, codes=(3,))  # two examples are broken
    tags = {row["path"]: row["tag"] for row in rows_of(out)}
    golden = {row["path"]: row["tag"] for row in rows_of(ROOT / "tests" / "fixtures" / "examples-golden.csv")}
    assert tags == golden
    told = call("-m", "tagger", "explain", "Pullover/photo 0200.jpg", "--ledger", out.with_suffix(".ledger"))
    assert "Pullover" in told


def test_an_evaluation_with_its_reports(call: Call, tmp_path: Path) -> None:
    """`fmtag evaluate` measures labelled photos, and writes the HTML report with its charts, and the contact sheet."""
    labels = "path,label\n" + "".join(f"{file},Pullover\n" for file in sorted((CATALOG / "Pullover").iterdir()))
    (tmp_path / "labels.csv").write_text(labels, encoding="utf-8")
    arguments = ("--report", tmp_path / "report", "--sheet", tmp_path / "sheet.png", "--device", "cpu")
    assert "accuracy 1.0000" in call("-m", "tagger", "evaluate", tmp_path / "labels.csv", *arguments)
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "sheet.png").is_file()


def test_an_adaptation_and_a_run_with_it(call: Call, tmp_path: Path) -> None:
    """`fmtag adapt` with labels, and `fmtag pick`, write their files; the adapted bundle tags the examples."""
    rows = [(file, label) for label in ("Pullover", "camisetas") for file in sorted((CATALOG / label).glob("photo*"))]
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{file},{label}\n" for file, label in rows), encoding="utf-8")
    options = ("--device", "cpu")
    out = tmp_path / "mine"
    call("-m", "tagger", "adapt", CATALOG, "--labels", table, "--out", out, "--force", *options)
    call("-m", "tagger", "run", CATALOG, "--model", out, "--out", tmp_path / "tags.csv", *options, codes=(3,))
    assert sum(bool(row["tag"]) for row in rows_of(tmp_path / "tags.csv")) == 30
    call("-m", "tagger", "pick", CATALOG, "--out", tmp_path / "picks.csv", "--count", "5", *options)
    assert len(rows_of(tmp_path / "picks.csv")) == 5


def test_the_library_and_the_list_of_bundles(call: Call, small_bundle: Path) -> None:
    """`Tagger` tags a photo, and `fmtag models` checks and lists the bundles."""
    assert call("-c", LIBRARY, small_bundle, CATALOG / "Pullover" / "photo 0200.jpg").strip()
    assert "catalog@" in call("-m", "tagger", "models")
