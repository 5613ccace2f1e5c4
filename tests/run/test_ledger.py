"""What a ledger stores, and which of it counts for a run."""

import os
from pathlib import Path

from run_helpers import LAST_YEAR, Night


def test_names_that_are_not_unicode_are_remembered(night: Night, shop: Path, tmp_path: Path) -> None:
    """File names of any bytes are keys like others, and are written as the writers escape them."""
    name = os.fsencode(shop) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes((shop / "0000.jpg").read_bytes())
    os.utime(name, (LAST_YEAR, LAST_YEAR))
    night()
    first = (tmp_path / "tags.csv").read_bytes()
    summary = night()
    assert summary.files_read == 1
    assert b"caf\\udce9.jpg" in first
    assert (tmp_path / "tags.csv").read_bytes() == first
