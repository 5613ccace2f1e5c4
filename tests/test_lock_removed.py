"""Lock files that are removed while another process waits for them."""

from pathlib import Path

import pytest

from tagger import lock
from tagger.errors import LockedError


def test_a_removed_lock_file_is_not_a_lock(tmp_path: Path) -> None:
    """A process that locked a file which its last holder has removed meanwhile tries again: two never hold the lock."""
    path = tmp_path / "x.lock"
    with path.open("ab") as removed:
        assert lock._taken(removed)
        path.unlink()
        assert not lock._is_at(removed, path)
        with lock.file_lock(path), pytest.raises(LockedError), lock.file_lock(path):
            pass
