"""Fixtures of the command line's tests: the command in this process, outputs of earlier runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import RunCli, run_cli


@pytest.fixture
def cli(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """Run the command line in this process, with the small bundle unless --model names another."""
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    monkeypatch.setenv("FMTAG_EVALUATE_MODEL", str(small_bundle))
    return run_cli


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Write an output of an earlier run and return its path."""
    path = tmp_path / "out" / "tags.csv"
    path.parent.mkdir()
    path.write_bytes(b"the old one\n")
    return path


@pytest.fixture
def untouched(old: Path) -> Callable[[], None]:
    """Assert that the output of the earlier run is as it was, with nothing beside it."""

    def check() -> None:
        assert old.read_bytes() == b"the old one\n"
        assert os.listdir(old.parent) == [old.name]

    return check
