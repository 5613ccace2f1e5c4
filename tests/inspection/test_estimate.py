"""The estimate of a run follows from the photos and the time that decoding took."""

from pathlib import Path

import pytest

from tagger.inspection.estimate import DECODE_SECONDS, LEDGER_BYTES, NETWORK_SECONDS, estimate_run
from tagger.inspection.inspect import Inspection
from tagger.inspection.listing import Listing
from tagger.inspection.settings import InspectionSettings


def inspection(files: int, **values: object) -> Inspection:
    """Return an inspection of so many files, each of two rows, with these values."""
    listing = Listing("table", Path(), (), items=2 * files, places=[str(number) for number in range(files)])
    return Inspection(InspectionSettings("shop"), listing, files_looked_at=files, **values)  # type: ignore[arg-type]


def test_all_photos_take_their_time() -> None:
    """Decoding as measured, the rest by the constant, on as many processors; a file of several rows once."""
    found = estimate_run(inspection(1000, decode_seconds=10.0, timed=100), 4)
    assert found.photos == 1000
    assert found.seconds == pytest.approx(1000 * (0.1 + NETWORK_SECONDS) / 4)
    assert found.ledger_bytes == 2000 * LEDGER_BYTES


def test_failures_and_copies_take_none() -> None:
    """A tenth of those that were looked at fails, so a tenth of all does; copies are tagged once."""
    found = inspection(1000, files_failed=10, duplicate_paths=[["a", "b", "c"], ["d", "e"]])
    found.files_looked_at = 100
    assert estimate_run(found, 1).photos == 897


def test_without_a_decoded_photo_a_constant_counts() -> None:
    """And without any photo nothing is estimated."""
    assert estimate_run(inspection(10), 1).seconds == pytest.approx(10 * (DECODE_SECONDS + NETWORK_SECONDS))
    assert estimate_run(inspection(0), 1).photos == 0
