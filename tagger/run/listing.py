"""List the items of a source with the current size and time of their files, by which the ledger tells what is new."""

import os
import time
from collections.abc import Iterator

from tagger.catalog.addresses import is_by_name
from tagger.catalog.items import Source
from tagger.catalog.places import prefix
from tagger.records import EmbeddedPhoto, Failed
from tagger.run.ledger_values import EARLIEST_NS, LATEST_NS, ListedFile
from tagger.run.summary import RunSummary


def listed_files(catalog: Source, settle: float, summary: RunSummary) -> Iterator[ListedFile]:
    """Yield the items of a source with the size and time of their files, in their order; no file is opened.

    Args:
        catalog: its items are taken one by one.
        settle: files that were written within so many seconds are left out.
        summary: gets the number of addresses that were matched to a file by its name.
    """
    settle_ns = settle * 1e9
    before_path = os.path.join(prefix(catalog.root), "")
    for path, place, columns, problem in catalog.items:
        if place is None:
            failure = problem or Failed("bad_row", f"{path}: no file")
            yield ListedFile(path, failure=failure.reason, detail=failure.detail, columns=columns or None)
            continue
        if isinstance(place, EmbeddedPhoto):  # its bytes tell whether it is another one, more surely than a time
            yield ListedFile(path, place.size, place.digest, columns=columns or None, place=place)
            continue
        name = os.fspath(place)
        listed_place = None if name == before_path + path else name
        if listed_place is not None and is_by_name(path, listed_place):
            summary.matched_addresses += 1
        try:
            # On Linux `DirEntry.stat` takes as long; on Windows it tells what the folder says, which may be out of date.
            found = os.stat(name)  # noqa: PTH116 (on plain names half the time)
        except (OSError, ValueError):
            yield ListedFile(path, detail=problem.detail if problem else None, columns=columns or None, place=listed_place)
            continue
        mtime_ns = found.st_mtime_ns
        if not EARLIEST_NS <= mtime_ns <= LATEST_NS:
            mtime_ns = EARLIEST_NS if mtime_ns < EARLIEST_NS else LATEST_NS
        # A file from the future, as after a clock was set back, counts as settled.
        settling = settle_ns > 0 and abs(time.time_ns() - mtime_ns) < settle_ns
        if settling or columns or listed_place is not None:
            yield ListedFile(path, found.st_size, mtime_ns, settling, None, None, columns or None, listed_place)
        else:
            yield ListedFile(path, found.st_size, mtime_ns)
