"""The installation and the machine are described without importing what is named."""

import os
import sys
from pathlib import Path

import pytest

from tagger.inspection import environment
from tagger.inspection.environment import PACKAGES, describe_environment


def test_versions_and_machine() -> None:
    """Every package has a version or none, and the numbers are positive."""
    found = describe_environment()
    assert tuple(found.packages) == PACKAGES
    assert found.packages["fmtag"]
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.processors >= 1
    assert found.memory is None or found.memory > 0
    assert found.free_disk is None or found.free_disk >= 0


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is a value."""
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package-of-fmtag",))
    assert describe_environment().packages == {"no-such-package-of-fmtag": ""}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder decides."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)
    assert not describe_environment().writable
