"""The benchmarks' README names every script and every result, and pages name only benchmarks that exist."""

import re
from pathlib import Path

import pytest
from helpers import ROOT

BENCHMARKS = ROOT / "benchmarks"

README = BENCHMARKS / "README.md"

BACKBONE = tuple(f"backbone_{name}" for name in ("cache", "finetuning", "floats", "networks", "photos", "rows"))
"""Parts of `benchmarks.accuracy.backbone`."""

SPEED = (
    *("measuring", "plain_decode", "plain_torchvision", "peer_environments", "peer_timm", "peer_huggingface"),
    *("service_clients", "service_litserve", "service_naive", "service_process"),
    *("s3_objects", "s3_faults"),
)
"""Parts of the benchmarks of speed."""

SHARED = ("__init__", "reporting", "damaged_files", *BACKBONE, *SPEED)
"""Modules that are no benchmark by themselves."""


def test_the_readme_has_every_script_and_result() -> None:
    """Each script has a row with its command, and each file of results a link."""
    text = README.read_text(encoding="utf-8")
    scripts = [path for path in BENCHMARKS.rglob("*.py") if path.stem not in SHARED]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in scripts]
    assert [name for name in modules if f"python -m {name}" not in text] == []
    results = [path.relative_to(BENCHMARKS).as_posix() for path in (BENCHMARKS / "results").iterdir()]
    assert [name for name in results if f"]({name})" not in text] == []


@pytest.mark.parametrize(
    "page", [README, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.stem
)
def test_named_benchmarks_exist(page: Path) -> None:
    """Every `python -m benchmarks...` on a page is a module, and every link of the README leads to a file."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m (benchmarks(?:\.\w+)+)", text):
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").exists(), name
    if page == README:
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (BENCHMARKS / target).exists(), target
