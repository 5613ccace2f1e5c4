"""Tell the pictures among the entries of a folder that are left out, by what the walk found out and by their suffixes."""

import os
from collections.abc import Iterable

from tagger.catalog.content import CAMERA_RAW, LEFTOVER, NOT_A_PHOTO, PHOTOSHOP
from tagger.inspection.listing import Noted

LOOK_ALIKES = (CAMERA_RAW, PHOTOSHOP, LEFTOVER)
"""Reasons of entries that are left out although they hold a picture."""

PICTURE_SUFFIXES = frozenset(
    ".svg .eps .ai .pdf .xcf .indd .sketch .jxr .wdp .tga .exr .hdr .ico .pcx .heics .mp4 .mov".split()
)
"""Suffixes of pictures and films that are not read; entries that a user's pattern leaves out are not among them."""


def pictures_left_out(ignored: Iterable[tuple[str, str]]) -> dict[str, Noted]:
    """Return the pictures among the entries that are left out, by the reason or, where that tells nothing, by their suffix."""
    found: dict[str, Noted] = {}
    for path, why in ignored:
        kind = why if why in LOOK_ALIKES else os.path.splitext(path)[1].lower() if why == NOT_A_PHOTO else ""
        if kind in LOOK_ALIKES or kind in PICTURE_SUFFIXES:
            found.setdefault(kind, Noted()).add(path)
    return found
