"""Inspect a source: list all of it, open its photos and decode a sample of them within a given time."""

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from tagger.catalog.source import nothing_to_read
from tagger.inspection.duplicates import find_duplicates
from tagger.inspection.listing import Listing, Place, list_source
from tagger.inspection.photo_checks import Check, check_all, check_header, check_pixels, spread, until
from tagger.inspection.remedies import cause_of, detail_of, is_address
from tagger.inspection.settings import InspectionSettings
from tagger.photos.header import PhotoHeader
from tagger.photos.settings import DecodeSettings
from tagger.processors import available_processors
from tagger.records import EmbeddedPhoto, Failed

PIXELS_UNTIL, HEADERS_UNTIL = 0.5, 0.8
"""Shares of the time after which no further pixels are decoded, and no further headers are read.

The rest is for duplicates. What a step does not need is left to the next one."""

MIN_SHARE = 0.5
"""Share of the time that is left for looking at photos where listing them takes longer than the rest."""

SIDES = ((100, "below 100"), (400, "100 to 399"), (1000, "400 to 999"), (2000, "1,000 to 1,999"), (4000, "2,000 to 3,999"))
"""Upper limits of the longer side of a photo in pixels, with the names of the ranges below them."""

LARGEST = "4,000 and more"

MAX_CAUSES = 50
"""Causes that are told apart per reason; the others count as one."""

Progressed = Callable[[int, int], None]


@dataclass
class Fault:
    """Photos that fail for one reason and cause."""

    count: int = 0
    paths: list[str] = field(default_factory=list)
    detail: str = ""
    """What a run says of the first of them, but for its name."""


@dataclass
class Inspection:
    """What an inspection found; counts are of items, as rows of a run are, unless they say otherwise."""

    settings: InspectionSettings
    listing: Listing
    looked_at: int = 0
    """Items whose file was opened, or is known to fail."""
    decoded: int = 0
    """Of these the items whose file was decoded, or is known to fail."""
    formats: Counter[str] = field(default_factory=Counter)
    """Readable items by format, of those that were looked at; likewise the following counts."""
    colours: Counter[str] = field(default_factory=Counter)
    sides: Counter[str] = field(default_factory=Counter)
    """Items per range of the longer side."""
    largest: tuple[int, int] = (0, 0)
    """Size of the photo with the most pixels."""
    with_frames: int = 0
    """Items of several frames, of which the first one is read."""
    tiny: list[str] = field(default_factory=list)
    """Paths of photos whose longer side is below 100 pixels."""
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    """By reason and cause."""
    bytes: int = 0
    """Of all files together."""
    decode_seconds: float = 0.0
    """Processor time of decoding, of the files that `timed` counts."""
    timed: int = 0
    files_looked_at: int = 0
    """Different files that were opened, or are known to fail."""
    files_failed: int = 0
    duplicates: int = 0
    """Items whose bytes are those of an earlier file."""
    duplicate_paths: list[list[str]] = field(default_factory=list)
    """Paths of the files with the same bytes, group by group."""
    duplicates_complete: bool = True
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Items that would fail, as far as they were looked at."""
        return sum(fault.count for fault in self.faults.values())

    @property
    def complete(self) -> bool:
        """Whether every photo was decoded."""
        return self.decoded == self.listing.items - self.listing.without_image - self.listing.remote.count

    @property
    def addresses(self) -> int:
        """Items whose path is a web address."""
        return sum(fault.count for (_, cause), fault in self.faults.items() if is_address(cause))

    def failed_by_reason(self) -> Counter[str]:
        """Return the number of failing items per reason."""
        reasons: Counter[str] = Counter()
        for (reason, _), fault in self.faults.items():
            reasons[reason] += fault.count
        return reasons


def inspect_source(
    settings: InspectionSettings, stdin: IO[bytes] | None = None, progressed: Progressed = lambda done, total: None
) -> Inspection:
    """Inspect a source without changing anything and without running a network.

    Raises `SourceError` where the source cannot be read as a whole, as a run does. `progressed` is called with the numbers of
    photos that were looked at, and of all.
    """
    started = time.monotonic()
    listing = list_source(settings, stdin)
    inspection = Inspection(settings, listing)
    for path, problem in listing.problems:
        _add_fault(inspection, path, problem, (path, settings.source))
        inspection.looked_at += 1
        inspection.decoded += 1
    now = time.monotonic()
    left = max(settings.seconds * MIN_SHARE, settings.seconds - (now - started))
    _Inspector(inspection, progressed).look(now, left)
    inspection.seconds = time.monotonic() - started
    return inspection


def why_nothing(inspection: Inspection) -> str:
    """Return the sentence with which a run refuses a source without photos; empty where it has some."""
    listing = inspection.listing
    if listing.items > listing.without_image:
        return ""
    ignored = {why: noted.count for why, noted in listing.ignored.items()}
    return str(nothing_to_read(inspection.settings.source, ignored, only_rows=listing.items > 0))


class _Inspector:
    """Looks at the files of a source, most thoroughly at the first ones of a sample that is spread over it."""

    def __init__(self, inspection: Inspection, progressed: Progressed) -> None:
        self._found = inspection
        self._listing = inspection.listing
        self._progressed = progressed
        self._workers = inspection.settings.workers or available_processors()
        self._sizes: dict[int, int] = {}
        self._hashes: dict[int, bytes] = {}
        self._unread: set[int] = set()
        self._done: set[int] = set()

    def look(self, now: float, seconds: float) -> None:
        """Look at the photos for so many seconds from `now` on."""
        self._stat_all()
        self._check(now + PIXELS_UNTIL * seconds, check_pixels, self._found.settings.sample)
        self._check(now + HEADERS_UNTIL * seconds, check_header)
        self._find_duplicates(now + seconds)

    def _stat_all(self) -> None:
        """Get the size of every file; those that are missing are known to fail."""
        for number, place in enumerate(self._listing.places):
            if isinstance(place, EmbeddedPhoto):
                self._found.bytes += place.size
                continue
            try:
                found = os.stat(place)  # noqa: PTH116 (on plain names half the time)
                regular = stat.S_ISREG(found.st_mode)
            except (OSError, ValueError):
                regular = False
            if regular:
                self._sizes[number] = found.st_size
                self._found.bytes += found.st_size
            else:
                self._add(number, check_pixels(place))

    def _check(self, deadline: float, check: Callable[[Place, DecodeSettings], Check], most: int | None = None) -> None:
        """Check photos that were not yet looked at, until a time and at most so many."""
        numbers = islice(until(deadline, self._left()), most)
        decoding = self._found.settings.decoding
        for number, found in check_all(numbers, self._listing.places, self._workers, lambda place: check(place, decoding)):
            self._add(number, found)
            self._progressed(self._found.looked_at, self._listing.items)

    def _left(self) -> Iterator[int]:
        """Yield the numbers of the photos that were not yet looked at: spread, but in their order where they are in a table."""
        places = self._listing.places
        order = range(len(places)) if any(isinstance(place, EmbeddedPhoto) for place in places) else spread(len(places))
        return (number for number in order if number not in self._done)

    def _add(self, number: int, check: Check) -> None:
        found, times = self._found, 1 + self._listing.repeats[number]
        self._done.add(number)
        found.looked_at += times
        found.files_looked_at += 1
        if check.decoded:
            found.decoded += times
        if check.sha256:
            self._hashes[number] = check.sha256
        path = self._listing.paths[number]
        if check.failed is not None:
            if not check.sha256:
                self._unread.add(number)
            found.files_failed += 1
            place = self._listing.places[number]
            names = (place.name if isinstance(place, EmbeddedPhoto) else place, path)
            _add_fault(found, path, check.failed, names, times)
            return
        if check.header is not None:
            _add_header(found, path, check.header, times)
        if check.decoded:
            found.decode_seconds += check.seconds
            found.timed += 1

    def _find_duplicates(self, deadline: float) -> None:
        places, repeats = self._listing.places, self._listing.repeats
        read = {number: size for number, size in self._sizes.items() if number not in self._unread}
        groups, complete = find_duplicates(places, read, self._hashes, self._workers, deadline)
        self._found.duplicate_paths = [[self._listing.paths[number] for number in group] for group in groups]
        self._found.duplicates = sum(1 + repeats[number] for group in groups for number in group[1:])
        self._found.duplicates_complete = complete


def _add_fault(inspection: Inspection, path: str, failed: Failed, names: tuple[str, ...], times: int = 1) -> None:
    detail = detail_of(failed, *names)
    key = failed.reason, cause_of(detail)
    if key not in inspection.faults and sum(reason == failed.reason for reason, _ in inspection.faults) >= MAX_CAUSES:
        key = failed.reason, "various causes"
    fault = inspection.faults.setdefault(key, Fault(detail=detail))
    fault.count += times
    fault.paths.append(path)


def _add_header(inspection: Inspection, path: str, header: PhotoHeader, times: int) -> None:
    inspection.formats[header.format] += times
    inspection.with_frames += times * header.frames
    if header.colour:
        bits = f" {header.bits} bits" if header.bits > 8 else ""
        alpha = " with transparency" if header.alpha else ""
        inspection.colours[f"{header.colour}{bits}{alpha}"] += times
    if header.size is not None:
        side = next((name for limit, name in SIDES if max(header.size) < limit), LARGEST)
        inspection.sides[side] += times
        inspection.largest = max(inspection.largest, header.size, key=lambda size: size[0] * size[1])
        if side == SIDES[0][1]:
            inspection.tiny.append(path)
