"""Find the one existing photo that a path in a table means.

The file of exactly the cell's name always counts. Where there is none, the cell is read in the ways in which programs and
people write paths, and a photo is taken only if it is the one candidate: nothing is guessed between two. The listings that this
needs are cached by folder; a table of exact names lists no folder.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tagger.catalog.spellings import clean, folded, readings
from tagger.file_kinds import IMAGE_SUFFIXES

MAX_CANDIDATES = 8
"""Candidates for one path that are followed."""

MAX_FOLDERS = 4_096
"""Folders whose listings are kept."""

WEB_FOLDERS = ("pub/media/catalog/product", "media/catalog/product", "catalog/product", "wp-content/uploads")
"""Folders of Magento and WordPress below which their exports name photos, and which those who copy photos keep or leave out."""

SHOWN = 200
"""Characters of a cell that a sentence repeats."""


class Found(NamedTuple):
    """The result of a search."""

    place: str | None
    """Where the photo lies; None where no photo is meant, or more than one may be."""
    why: str = ""
    """A sentence that says what is there instead; empty where there is nothing to say."""


class Candidates(NamedTuple):
    """The files that a path may name."""

    exact: str | None
    """The one of exactly this name."""
    alike: list[str]
    """Those whose names differ in letter case, Unicode form, blanks or invisible characters, the exact one among them."""


def joined(folder: Path, text: str) -> str:
    """Return the path `text`, relative to `folder`, as `folder / text` gives it for a plain name, in a fraction of the time."""
    return os.path.join(prefix(folder), text)


@lru_cache(maxsize=64)
def prefix(folder: Path) -> str:
    """Return a folder as text that paths are joined to, "" for the current one."""
    return "" if folder == Path() else str(folder)


def exact_place(text: str, folder: Path) -> str | None:
    """Return where the file of exactly this name lies; None where there is none."""
    place = joined(folder, text)
    return place if os.path.lexists(place) else None


def find_photo(text: str, folder: Path) -> Found:
    """Find the photo that a path means that is not the exact name of a file.

    Relative paths start from `folder`; so does one with a leading `/` for which there is no file, as a website's paths do.
    """
    base = prefix(folder)
    alike: dict[str, None] = {}
    for start, parts in _searches(text, base):
        found = lookup(start, parts)
        if found.exact is not None:
            return Found(found.exact)
        alike |= dict.fromkeys(found.alike)
    one_each = {os.path.realpath(place): place for place in alike}
    if len(one_each) == 1:
        return Found(next(iter(one_each.values())))
    if one_each:
        names = in_words([os.path.relpath(place, base or ".") for place in one_each.values()])
        return Found(None, f"{shown(text)}: no file has exactly this name, and there are {names}; write the exact name")
    return Found(None, _what_is_there(text, base))


def lookup(base: str, parts: Sequence[str]) -> Candidates:
    """Return the files below the folder `base`, "" for the current one, that the path of `parts` may name."""
    exact = os.path.join(base, *parts) if parts else base
    if parts and os.path.isfile(exact):
        return Candidates(exact, [exact])
    return Candidates(None, [place for place in _walk(base, parts) if os.path.isfile(place)])


def in_words(names: Sequence[str]) -> str:
    """Return names as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def shown(text: str) -> str:
    """Return a cell's text as a sentence repeats it: cut where it is long."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _searches(text: str, base: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders to start from, each with the parts of a path below it, the likeliest first."""
    for reading in readings(text):
        parts = [part for part in reading.split("/") if part not in ("", ".")]
        if reading.startswith("/"):
            yield "/", parts
            if ".." in parts:
                continue
        yield base, parts
        path = "/".join(parts)
        for folder in WEB_FOLDERS:
            if path.startswith(f"{folder}/"):
                yield base, parts[folder.count("/") + 1 :]
            elif ".." not in parts and _walk(base, folder.split("/")):
                yield base, [*folder.split("/"), *parts]


def _walk(base: str, parts: Sequence[str]) -> list[str]:
    """Return the entries whose paths below `base` are alike to that of `parts`."""
    places = [base]
    for part in parts:
        if part == "..":
            places = [os.path.join(place, part) for place in places]
        else:
            key = folded(part)
            places = [os.path.join(place, name) for place in places for name in _names(place).get(key, ())][:MAX_CANDIDATES]
    return places


def _what_is_there(text: str, base: str) -> str:
    """Return a sentence on what lies where a missing photo should: its name with another suffix, or not even its folder."""
    for start, parts in _searches(text, base):
        *folders, name = parts or [""]
        for place in _walk(start, folders) if name else ():
            stem = folded(os.path.splitext(name)[0])
            others = [other for other in _stems(place).get(stem, ()) if os.path.splitext(other)[1].lower() in IMAGE_SUFFIXES]
            if others:
                has = f"its folder has {in_words(others[:MAX_CANDIDATES])}"
                return f"{shown(clean(text))} does not exist; {has}"
    return ""


# Listings ----------------------------------------------------------------------------------------------------------


def _names(folder: str) -> Mapping[str, Sequence[str]]:
    """Return the names in a folder by their folded form; empty where it cannot be listed."""
    return _listed(folder, _state(folder), _same)


def _stems(folder: str) -> Mapping[str, Sequence[str]]:
    """Return the names in a folder by the folded form of their part before the suffix."""
    return _listed(folder, _state(folder), _before_suffix)


def _same(name: str) -> str:
    return name


def _before_suffix(name: str) -> str:
    return os.path.splitext(name)[0]


def _state(folder: str) -> tuple[int, int] | None:
    """Return what changes whenever a file comes into a folder or leaves it; None for no folder."""
    try:
        found = Path(folder).stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=MAX_FOLDERS)
def _listed(folder: str, state: tuple[int, int] | None, part: Callable[[str], str]) -> Mapping[str, Sequence[str]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    try:
        entries = sorted(os.listdir(folder or ".")) if state else []
    except OSError:
        entries = []
    for name in entries:
        names[folded(part(name))].append(name)
    return dict(names)
