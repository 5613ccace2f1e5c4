"""Inspect a source: list all of it, open its photos and decode a sample of them within a given time."""

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from tagger.inspection.duplicates import find_duplicates
from tagger.inspection.left_out import LeftOut, look_at_left_out
from tagger.inspection.listing import Listing, list_source
from tagger.inspection.photo_checks import Check, check_all, check_header, check_pixels, spread, until
from tagger.inspection.remedies import cause_of, is_address
from tagger.inspection.settings import InspectionSettings
from tagger.photos.header import PhotoHeader
from tagger.photos.loader import available_processors

PIXELS_UNTIL, HEADERS_UNTIL, LEFT_OUT_UNTIL = 0.5, 0.75, 0.85
"""Shares of the time after which no further pixels are decoded, no further headers and no files left out are read.

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
    left_out: LeftOut = field(default_factory=LeftOut)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Items that would fail, as far as they were looked at."""
        return sum(fault.count for fault in self.faults.values())

    @property
    def complete(self) -> bool:
        """Whether every photo was decoded."""
        return self.decoded == self.listing.items - self.listing.without_image

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
        _add_fault(inspection, path, problem.reason, cause_of(problem, path, settings.source))
        inspection.looked_at += 1
        inspection.decoded += 1
    now = time.monotonic()
    left = max(settings.seconds * MIN_SHARE, settings.seconds - (now - started))
    _Inspector(inspection, progressed).look(now, left)
    inspection.seconds = time.monotonic() - started
    return inspection


def why_nothing(inspection: Inspection) -> str:
    """Return the sentence with which a run refuses a source without items; empty where it has some."""
    source, ignored = inspection.settings.source, len(inspection.listing.ignored_paths)
    return "" if inspection.listing.items else f"{source} holds no photos ({ignored} other entries); nothing was written."


class _Inspector:
    """Looks at the files of a source, most thoroughly at the first ones of a sample that is spread over it."""

    def __init__(self, inspection: Inspection, progressed: Progressed) -> None:
        self._found = inspection
        self._listing = inspection.listing
        self._progressed = progressed
        self._workers = inspection.settings.workers or available_processors()
        self._sizes: dict[int, int] = {}
        self._hashes: dict[int, bytes] = {}
        self._failed: set[int] = set()

    def look(self, now: float, seconds: float) -> None:
        """Look at the files for so many seconds from `now` on."""
        self._stat_all()
        order = self._existing_in_spread_order()
        pixels = until(now + PIXELS_UNTIL * seconds, islice(order, self._found.settings.sample))
        self._add_all(check_all(pixels, self._listing.places, self._workers, check_pixels))
        # takewhile has taken the first number after the deadline, too; the order starts anew and knows what is done
        headers = until(now + HEADERS_UNTIL * seconds, self._existing_in_spread_order())
        self._add_all(check_all(headers, self._listing.places, self._workers, check_header))
        ignored = self._listing.ignored_paths
        self._found.left_out = look_at_left_out(self._listing.root, ignored, now + LEFT_OUT_UNTIL * seconds)
        self._find_duplicates(now + seconds)

    def _stat_all(self) -> None:
        """Get the size of every file; those that are missing are known to fail."""
        self._done: set[int] = set()
        for number, place in enumerate(self._listing.places):
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

    def _existing_in_spread_order(self) -> Iterator[int]:
        return (number for number in spread(len(self._listing.places)) if number not in self._done)

    def _add_all(self, checks: Iterator[tuple[int, Check]]) -> None:
        for number, check in checks:
            self._add(number, check)
            self._progressed(self._found.looked_at, self._listing.items)

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
            self._failed.add(number)
            found.files_failed += 1
            cause = cause_of(check.failed, self._listing.places[number], path)
            _add_fault(found, path, check.failed.reason, cause, times)
            return
        _add_header(found, path, check.header or PhotoHeader("other", None, ""), times)
        if check.decoded:
            found.decode_seconds += check.seconds
            found.timed += 1

    def _find_duplicates(self, deadline: float) -> None:
        readable = {number: size for number, size in self._sizes.items() if number not in self._failed}
        groups, complete = find_duplicates(self._listing.places, readable, self._hashes, self._workers, deadline)
        paths, repeats = self._listing.paths, self._listing.repeats
        self._found.duplicate_paths = [[paths[number] for number in group] for group in groups]
        self._found.duplicates = sum(1 + repeats[number] for group in groups for number in group[1:])
        self._found.duplicates_complete = complete


def _add_fault(inspection: Inspection, path: str, reason: str, cause: str, times: int = 1) -> None:
    causes = sum(known == reason for known, _ in inspection.faults)
    if (reason, cause) not in inspection.faults and causes >= MAX_CAUSES:
        cause = "various causes"
    fault = inspection.faults.setdefault((reason, cause), Fault())
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
