"""Open photos and decode a sample of them, spread over the source, within a given time."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from itertools import takewhile
from math import gcd
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from tagger.inspection.listing import Place
from tagger.ordered_map import map_in_order
from tagger.photos.containers import without_text_before
from tagger.photos.decode import decode_bytes, size_of
from tagger.photos.header import PhotoHeader, read_header
from tagger.photos.loader import READ_AHEAD, name_of
from tagger.photos.reading import read_holder
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import EmbeddedPhoto, Failed

Value = TypeVar("Value")

_END_BYTES = 64
"""Bytes at the end of a file that hold the end marker of a whole one."""

_LARGE = 50_000_000
"""Pixels above which it depends on more than the header whether a photo is too large."""

_END_MARKERS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}


class Check(NamedTuple):
    """What was found out about one file."""

    header: PhotoHeader | None = None
    """None where the photo fails."""
    failed: Failed | None = None
    decoded: bool = False
    """Whether its pixels were decoded, or a failure was found; otherwise its header alone was read."""
    seconds: float = 0.0
    """Processor time of decoding, in seconds."""
    sha256: bytes = b""
    """Of its content; empty where it was not read as a whole."""


def spread(count: int) -> Iterator[int]:
    """Yield the numbers below `count` once each, so that the first ones are spread evenly whatever their number.

    Steps of the golden ratio, the additive recurrence with the lowest discrepancy; a step without a common divisor with
    `count` meets every number once, and every place within a product's photos equally often.
    """
    step = max(1, round(count * 0.6180339887))
    while gcd(step, count) > 1:
        step += 1
    number = 0
    for _ in range(count):
        yield number
        number = (number + step) % count


def until(deadline: float, values: Iterable[Value]) -> Iterator[Value]:
    """Yield the values up to a time of `time.monotonic`."""
    return takewhile(lambda _: time.monotonic() < deadline, values)


def check_all(
    numbers: Iterable[int], places: Sequence[Place], workers: int, check: Callable[[Place], Check]
) -> Iterator[tuple[int, Check]]:
    """Yield each of `numbers` with the check of that place, in threads and in their order."""

    def numbered(number: int) -> tuple[int, Check]:
        return number, check(places[number])

    with (
        ThreadPoolExecutor(workers, "inspection") as pool,
        closing(map_in_order(pool, numbered, numbers, READ_AHEAD * workers)) as checks,
    ):
        yield from checks


def check_pixels(place: Place, decoding: DecodeSettings = DEFAULT_DECODING) -> Check:
    """Read and decode a photo as a run does."""
    holder = place if isinstance(place, EmbeddedPhoto) else Path(place)
    content = read_holder(holder)
    if isinstance(content, Failed):
        return Check(failed=content, decoded=True)
    encoded, known = content
    started = time.thread_time()
    photo = decode_bytes(encoded, name_of(holder), decoding)
    seconds = time.thread_time() - started
    if isinstance(photo, Failed):
        return Check(None, photo, True, seconds, known.sha256)
    header = read_header(BytesIO(without_text_before(encoded))) or PhotoHeader("other", None, "")
    if header.size is None or header.frames:
        header = header._replace(size=size_of(encoded))
    return Check(header, None, True, seconds, known.sha256)


def check_header(place: Place, decoding: DecodeSettings = DEFAULT_DECODING) -> Check:
    """Read the header of a file; one whose header or end looks damaged is decoded, so that the reason is that of a run."""
    if isinstance(place, EmbeddedPhoto):
        return check_pixels(place, decoding)
    try:
        if not os.path.isfile(place):
            return check_pixels(place, decoding)
        with open(place, "rb") as file:  # noqa: PTH123 (a million Paths take seconds)
            header = read_header(file)
            whole = header is not None and _is_usual(header) and _ends_well(file, header)
    except (OSError, ValueError):
        return check_pixels(place, decoding)
    return Check(header) if whole else check_pixels(place, decoding)


def _is_usual(header: PhotoHeader) -> bool:
    """Return whether a header leaves no doubt that its photo is read, unless its data is damaged."""
    if header.size is None or (header.format == "TIFF" and header.frames):  # the first page may be a preview
        return False
    return header.size[0] * header.size[1] <= _LARGE


def _ends_well(file: IO[bytes], header: PhotoHeader) -> bool:
    marker = _END_MARKERS.get(header.format.split()[0])
    if marker is None:
        return True
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _END_BYTES))
    return marker in file.read()
