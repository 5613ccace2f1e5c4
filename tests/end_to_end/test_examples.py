"""The examples, the commands of the README, and the installed wheel, which a new user runs first."""

import runpy
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from helpers import ROOT, rows_of

from tagger.run.pipeline import run
from tagger.run.settings import RunSettings

GOLDEN = ROOT / "tests" / "fixtures" / "examples-golden.csv"


def test_the_examples_get_their_golden_rows(tmp_path: Path) -> None:
    """The shipped bundle gives the example catalog the tags of the golden file, with confidences within 0.02."""
    out = tmp_path / "tags.csv"
    summary = run(RunSettings(str(ROOT / "examples" / "catalog"), str(out)))

    rows, golden = rows_of(out), rows_of(GOLDEN)
    assert summary.failed == {"truncated": 1, "not_an_image": 1}
    assert [row["path"] for row in golden] == [row["path"] for row in rows]
    for expected, row in zip(golden, rows, strict=True):
        assert (expected["tag"], expected["reason"], expected["group"]) == (row["tag"], row["reason"], row["group"])
        assert float(expected["confidence"] or 0) == pytest.approx(float(row["confidence"] or 0), abs=0.02)


def test_the_example_table_keeps_its_columns_and_gets_the_same_tags(tmp_path: Path) -> None:
    """sku, title and image come first and unchanged; tags are those of the same photos in the folder."""
    out = tmp_path / "tags.csv"
    run(RunSettings(str(ROOT / "examples" / "catalog.csv"), str(out)))

    rows, source = rows_of(out), rows_of(ROOT / "examples" / "catalog.csv")
    assert list(rows[0])[:4] == ["sku", "title", "image", "path"]
    assert source == [{name: row[name] for name in ("sku", "title", "image")} for row in rows]
    golden = {f"catalog/{row['path']}": row["tag"] for row in rows_of(GOLDEN)}
    assert golden == {row["path"]: row["tag"] for row in rows}


def test_the_library_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The library example prints a line for every photo of the catalog's folders."""
    runpy.run_path(str(ROOT / "examples" / "library_use.py"), run_name="__main__")

    printed = capsys.readouterr().out
    assert "half an upload.jpg: no tag - look at it: truncated" in printed
    assert printed.count("\n") == len([*(ROOT / "examples" / "catalog").glob("*/*.*")])


@pytest.mark.slow
def test_the_wheel_and_the_sdist_work_in_an_empty_environment(tmp_path: Path) -> None:
    """A wheel built from the sdist, installed alone, finds its weights and tags a photo."""
    packages = tmp_path / "packages"
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", packages]
    sdist = tmp_path / "sdist"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", sdist], cwd=ROOT, check=True)
    subprocess.run([*build, next(sdist.glob("*.tar.gz"))], check=True)
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=True)
    subprocess.run([empty / "bin" / "pip", "install", "--quiet", next(packages.glob("fmtag-*.whl"))], check=True)

    photo = ROOT / "examples" / "catalog" / "pantalones" / "photo 0100.jpg"
    done = subprocess.run(
        [empty / "bin" / "fmtag", "run", photo, "--out", "-"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ",Trouser," in done.stdout
