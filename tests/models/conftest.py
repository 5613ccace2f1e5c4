"""Fixtures of the tests of models."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the small bundle, to be damaged."""
    return Path(shutil.copytree(small_bundle, tmp_path / "copy"))
