"""Find files with the same bytes: of those that have one size, a few kilobytes and then the hashes are compared."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from tagger.inspection.listing import Place
from tagger.inspection.photo_checks import until
from tagger.ordered_map import map_in_order
from tagger.photos.loader import READ_AHEAD
from tagger.records import EmbeddedPhoto

PROBE = 4096
"""Bytes that are read from the middle and from the end of a file before it is read as a whole."""


def find_duplicates(
    places: Sequence[Place], sizes: Mapping[int, int], hashes: Mapping[int, bytes], workers: int, deadline: float
) -> tuple[list[list[int]], bool]:
    """Return groups of files with the same bytes, and whether all files were compared before the deadline.

    Args:
        places: where the photos lie.
        sizes: bytes per file, by its index in `places`; only these files are compared with each other.
        hashes: sha256 of the files that were read as a whole, by index.
        workers: number of threads.
        deadline: time of `time.monotonic` after which no further file is read.

    Files that cannot be read have no duplicate. Photos in the rows of a table are compared by the digest that they come with.
    """

    def read_all(numbers: Sequence[int], read: Callable[[str], bytes]) -> dict[int, bytes]:
        with ThreadPoolExecutor(workers, "inspection") as pool:
            one = lambda number: (number, read(str(places[number])))  # noqa: E731 (a name for one line)
            with closing(map_in_order(pool, one, until(deadline, numbers), READ_AHEAD * workers)) as found:
                return {number: key for number, key in found if key}

    candidates = _numbers_of(_repeated(sizes.items()))
    probes = read_all(candidates, _probe)
    alike = _numbers_of(_repeated((number, (sizes[number], probe)) for number, probe in probes.items()))
    known = {number: hashes[number] for number in alike if number in hashes}
    unknown = [number for number in alike if number not in known]
    known |= read_all(unknown, _sha256)
    embedded = _repeated((number, place.digest) for number, place in enumerate(places) if isinstance(place, EmbeddedPhoto))
    return sorted([*_repeated(known.items()), *embedded]), len(probes) == len(candidates) and len(known) == len(alike)


def _repeated(keys: Iterable[tuple[int, Hashable]]) -> list[list[int]]:
    """Return the numbers that share a key, in ascending order."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, key in keys:
        groups[key].append(number)
    return [sorted(numbers) for numbers in groups.values() if len(numbers) > 1]


def _numbers_of(groups: Iterable[Iterable[int]]) -> list[int]:
    return sorted(number for numbers in groups for number in numbers)


def _probe(place: str) -> bytes:
    """Return a hash of the middle and the end of a file; empty where it cannot be read."""
    try:
        with open(place, "rb") as file:  # noqa: PTH123 (a million Paths take seconds)
            length = file.seek(0, os.SEEK_END)
            parts = []
            for start in (length // 2, max(0, length - PROBE)):
                file.seek(start)
                parts.append(file.read(PROBE))
    except OSError:
        return b""
    return hashlib.sha256(b"".join(parts)).digest()


def _sha256(place: str) -> bytes:
    """Return the sha256 of a file; empty where it cannot be read."""
    try:
        with open(place, "rb") as file:  # noqa: PTH123 (a million Paths take seconds)
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return b""
    return digest.digest()
