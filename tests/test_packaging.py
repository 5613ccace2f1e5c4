"""What `pyproject.toml` promises of Python and of the dependencies is one statement, and is what `.ci/run` tests."""

import re
import sys
from typing import Any

import pytest
from helpers import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def claimed_minor_versions() -> list[int]:
    """Return the minor versions of Python 3 among the classifiers."""
    found = (re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line) for line in PROJECT["classifiers"])
    return [int(match[1]) for match in found if match]


def test_claimed_pythons_begin_with_the_required_one() -> None:
    """The classifiers name every version from the lowest that can be installed on, which the linter holds the code to."""
    claimed = claimed_minor_versions()
    assert claimed == list(range(claimed[0], claimed[0] + len(claimed)))
    assert PROJECT["requires-python"] == f">=3.{claimed[0]}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py3{claimed[0]}"


@pytest.mark.parametrize("extra", [None, "heif", "onnx", "tune", "test"])
def test_every_dependency_says_its_lowest_version(extra: str | None) -> None:
    """Each dependency that users or tests need has a lower bound, without which no lowest version can be tested."""
    for dependency in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        assert ">=" in dependency or dependency.startswith("fmtag["), dependency
