"""Fixtures of the end-to-end tests: the small catalog of the runs' tests, and a larger one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, Call, write_photos
from review_browser_helpers import (
    CHROMIUM,
    VIEWPORT,
    Served,
    fmtag_run,
    open_page,
    serve,
    set_shares,
    write_review_catalog,
)
from run_helpers import age, write_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog of eight photos, one with two names, and a damaged one."""
    return write_shop(tmp_path / "shop")


@pytest.fixture(scope="session")
def large_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog that takes a while when every photo is a batch."""
    folder = write_photos(tmp_path_factory.mktemp("large") / "shop", 400, (60, 80))
    age(*folder.iterdir())
    return folder


@pytest.fixture
def without_torch(tmp_path: Path) -> Call:
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


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Compute in one thread in this process."""


@pytest.fixture(scope="session")
def review_template(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose table of photos was tagged by the real command, all of them flagged: 8 coats, 4 bags and one cut off."""
    folder = tmp_path_factory.mktemp("review")
    write_review_catalog(folder)
    fmtag_run(folder, small_bundle)
    set_shares(folder / "tags.ledger")
    return folder


@pytest.fixture
def served(review_template: Path, tmp_path: Path) -> Iterator[Served]:
    """`fmtag review` of a copy of that folder."""
    folder = Path(shutil.copytree(review_template, tmp_path / "review"))
    with serve(folder, "--favourite", "Belt", "--favourite", "Sandal") as running:
        yield running


@pytest.fixture(scope="module")  # Playwright runs once at a time in a process, and other modules start their own
def chromium() -> Iterator[Any]:
    """A browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(chromium: Any, served: Served) -> Iterator[Any]:
    """The review's first page, which must have done nothing wrong by the end of the test."""
    with chromium.new_context(viewport=VIEWPORT) as context:
        opened, wrong = open_page(context, served)
        yield opened
        assert wrong == []
