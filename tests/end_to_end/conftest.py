"""Fixtures of the end-to-end tests: the small catalog of the runs' tests, and a larger one."""

from pathlib import Path

import pytest
from helpers import write_photos
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


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Compute in one thread in this process."""
