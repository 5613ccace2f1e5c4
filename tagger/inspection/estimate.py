"""Estimate how long the first run takes and how much disk its ledger takes."""

from typing import NamedTuple

from tagger.inspection.inspect import Inspection

NETWORK_SECONDS = 0.016
"""Processor time per photo for everything but decoding, with the default bundle (docs/performance.md, "Throughput")."""

DECODE_SECONDS = 0.004
"""Processor time of decoding a photo where none was decoded (the same table)."""

LEDGER_BYTES = 900
"""Bytes per photo in the ledger of a bundle with a backbone."""


class Estimate(NamedTuple):
    """What the first run will take, roughly."""

    photos: int
    """Photos that the networks see: those with the bytes of another are tagged once, and those that fail not at all."""
    seconds: float
    """On this machine's processors, without a GPU."""
    ledger_bytes: int


def estimate_run(inspection: Inspection, processors: int) -> Estimate:
    """Return the estimate; what was not looked at counts as the part that was."""
    listing = inspection.listing
    looked_at = inspection.files_looked_at
    readable = 1 - inspection.files_failed / looked_at if looked_at else 0.0
    copies = sum(len(group) - 1 for group in inspection.duplicate_paths)
    photos = max(0, round(len(listing.places) * readable) - copies) + listing.remote.count
    decoding = inspection.decode_seconds / inspection.timed if inspection.timed else DECODE_SECONDS
    return Estimate(photos, photos * (decoding + NETWORK_SECONDS) / processors, listing.items * LEDGER_BYTES)
