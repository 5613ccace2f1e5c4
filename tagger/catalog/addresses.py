"""Match web addresses, and paths of another computer, to photos that lie beside the table, by the end of their names.

An export holds where a photo is on the web; whoever has downloaded the photos has them under the last parts of that address.
Such a name is shorter than the address, so two addresses may come to one file: `settle_addresses` then refuses both.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tagger.catalog.places import Found, in_words, lookup, prefix, shown
from tagger.catalog.spellings import clean, decode_percent
from tagger.records import Failed, Item, RemotePhoto

_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://|//[^/\s]+\.[^/\s]+/|www\.[^/\s]+/", re.IGNORECASE)

_OTHER_COMPUTER = re.compile(r"(file:/{0,3})?[a-z]:[\\/]|\\\\[^\\/]+[\\/]", re.IGNORECASE)

_BEFORE_HOST = re.compile(r"([a-z][a-z0-9+.-]*:)?/*", re.IGNORECASE)

_BEFORE_PATH = re.compile(r"(file:/{0,3})?([a-z]:)?", re.IGNORECASE)

_DATA = re.compile(r"data:image/", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Return whether a cell holds a web address: with a scheme other than file, beginning with `//` and a domain, or `www.`."""
    return ("//" in text or "www." in text.lower()) and _ADDRESS.match(clean(text)) is not None


def is_foreign(text: str) -> bool:
    r"""Return whether a cell names a photo on another computer: an address, a drive (`C:\`) or a server (`\\nas\`)."""
    return (":" in text or "//" in text or "\\\\" in text or "www." in text.lower()) and (
        is_address(text) or _OTHER_COMPUTER.match(clean(text)) is not None
    )


def is_by_name(text: str, place: str) -> bool:
    """Return whether a photo was found by the end of a foreign name, which may lead to another one."""
    return is_foreign(text) and text != place


def is_image_data(text: str) -> bool:
    """Return whether a cell holds the bytes of an image as a `data:` address."""
    return "data:" in text[:40].lower() and _DATA.match(clean(text[:40])) is not None


def find_by_name(text: str, folder: Path) -> Found:
    """Find the photo below `folder` that a foreign name means: by the longest of its ends that a file has.

    Of an address the query and the fragment are left out, unless a file is named with them, as wget does.
    """
    ends = _ends(clean(text))
    for start in range(len(ends[0])):
        for parts in ends:
            exact, alike = lookup(prefix(folder), parts[start:])
            if exact is not None or len(alike) == 1:
                return Found(exact or alike[0])
            if alike:
                return Found(None, f"{shown(text)}: several files are named like it, {in_words(alike)}; keep one of them")
    return Found(None)


def _ends(text: str) -> list[list[str]]:
    """Return folders and name of a foreign file, in each of the ways in which it may have been saved; all equally long."""
    if _ADDRESS.match(text) is None:
        path = _BEFORE_PATH.sub("", text, count=1).replace("\\", "/")
        return _decoded([[part for part in path.split("/") if part]])
    rest = _BEFORE_HOST.sub("", html.unescape(text).partition("#")[0], count=1)
    path, mark, query = rest.partition("?")
    *folders, name = [part for part in path.split("/") if part] or [""]
    names = [f"{name}?{query}", f"{name}@{query}", name] if mark else [name]
    return _decoded([[*folders, one] for one in names])


def _decoded(paths: list[list[str]]) -> list[list[str]]:
    """Return paths and, after each, what its percent codes mean; none that leads out of its folder."""
    both = []
    for parts in paths:
        both.append(parts)
        if any("%" in part for part in parts):
            both.append([decode_percent(part) for part in parts])
    return [
        parts for parts in both if parts and not any(part in ("", ".", "..") or re.search(r"[/\0]", part) for part in parts)
    ] or [[]]


def settle_addresses(items: Iterable[Item], again: Callable[[], Iterable[Item]]) -> Iterator[Item]:
    """Yield the items of a table, but none of two different addresses that were matched to one file.

    Both are rows without a photo, as it may belong to either. `again` yields the same items once more, which is needed
    where the table has a matched address.
    """
    contested: frozenset[int] | None = None
    for item in items:
        if not _is_matched(item):
            yield item
            continue
        if contested is None:
            contested = _contested(again())
        if hash(item.place) not in contested:
            yield item
            continue
        detail = f"{item.path}: another address of the table ends in the same name, so {item.place} may be the photo of either"
        yield Item(item.path, None, item.columns, Failed("bad_row", detail))


def _is_matched(item: Item) -> bool:
    """Return whether an item is a file that was found by the end of a foreign name, which is no photo at an address."""
    without = item.place is None or item.problem is not None or isinstance(item.place, RemotePhoto)
    return not without and is_foreign(item.path)


def _contested(items: Iterable[Item]) -> frozenset[int]:
    """Return the hashes of the files that two different addresses were matched to; hashes, as a table may have a million."""
    addresses: dict[int, int] = {}
    contested = set()
    for item in items:
        if _is_matched(item):
            place, address = hash(item.place), hash(_canonical(item.path))
            if addresses.setdefault(place, address) != address:
                contested.add(place)
    return frozenset(contested)


def _canonical(text: str) -> str:
    """Return an address in the form that equal ones have in common: http is https, and a host has no case."""
    address = clean(text).partition("#")[0]
    if _ADDRESS.match(address) is None:
        return address.replace("\\", "/").casefold()
    host, slash, path = _BEFORE_HOST.sub("", html.unescape(address), count=1).partition("/")
    return host.lower() + slash + path
