"""Look at the files of a folder that are left out: some of them may be photos."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.file_kinds import START, is_photo
from tagger.inspection.listing import Noted
from tagger.inspection.photo_checks import until

PICTURE_SUFFIXES = frozenset(
    ".psd .psb .xcf .svg .eps .ai .pdf .jxl .jp2 .j2k .jpx .jxr .tga .exr .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .raw".split()
)
"""Suffixes of pictures that may be left out; those that a run reads are not, and so are never met here."""

MEANT = ("hidden", "exclude", "include", "pattern")
"""Words in the reason of an entry that is left out on purpose."""


@dataclass
class LeftOut:
    """What was found among the files that are left out."""

    checked: int = 0
    """Files whose first bytes were read."""
    complete: bool = True
    """Whether that was done for all of them."""
    photos: Noted = field(default_factory=Noted)
    """Files whose content is a photo of a format that is read."""
    pictures: Counter[str] = field(default_factory=Counter)
    """Other files by suffix, where that is one of a picture."""


def look_at_left_out(root: Path, ignored: Sequence[tuple[str, str]], deadline: float) -> LeftOut:
    """Read the first bytes of the files that are left out, but not on purpose, until a time of `time.monotonic`.

    Args:
        root: folder that the paths start from.
        ignored: path and reason of each entry that is left out.
        deadline: after which no further file is opened.
    """
    found = LeftOut()
    doubtful = [path for path, why in ignored if not any(word in why for word in MEANT)]
    for path in until(deadline, doubtful):
        found.checked += 1
        suffix = os.path.splitext(path)[1].lower()
        if _is_photo(os.path.join(root, path)):
            found.photos.add(path)
        elif suffix in PICTURE_SUFFIXES:
            found.pictures[suffix] += 1
    found.complete = found.checked == len(doubtful)
    return found


def _is_photo(place: str) -> bool:
    try:
        if not os.path.isfile(place):
            return False
        with open(place, "rb") as file:  # noqa: PTH123 (a million Paths take seconds)
            return is_photo(file.read(START))
    except (OSError, ValueError):
        return False
