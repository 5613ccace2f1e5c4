"""Fixtures of the tests of runs: a small catalog, runs over it, and the command line in this process."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Command, Night, write_shop

from tagger.cli.main import main
from tagger.run.pipeline import RunCallbacks, run
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog that each test gets a copy of."""
    return write_shop(tmp_path_factory.mktemp("template") / "shop")


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Path:
    """A catalog of eight photos, one with two names, and a damaged one."""
    return Path(shutil.copytree(shop_template, tmp_path / "shop"))


@pytest.fixture
def night(shop: Path, small_bundle: Path, tmp_path: Path, one_thread: None) -> Night:
    """Run over the catalog into tags.csv, with further settings, and return the counts."""

    def once(out: str = "tags.csv", callbacks: RunCallbacks | None = None, **more: Any) -> RunSummary:
        settings = {"source": str(shop), "out": str(tmp_path / out), "model": str(small_bundle)} | more
        return run(RunSettings(**settings), callbacks=callbacks)

    return once


@pytest.fixture
def fresh_rows(shop: Path, small_bundle: Path, tmp_path: Path, one_thread: None) -> Callable[..., bytes]:
    """Return the output of a run without a ledger."""

    def output(suffix: str = ".csv", **more: Any) -> bytes:
        folder = tmp_path / f"fresh-{time.monotonic_ns()}"
        folder.mkdir()
        run(RunSettings(**{"source": str(shop), "out": str(folder / f"t{suffix}"), "model": str(small_bundle)} | more))
        return (folder / f"t{suffix}").read_bytes()

    return output


@pytest.fixture
def command(
    small_bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> Command:
    """Call the command line in this process, with the small bundle."""
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        return int(caught.value.code or 0), *capfd.readouterr()

    return call
