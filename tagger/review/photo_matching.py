"""Find the photos of a ledger that a table or an export of another tool means, and never guess between two."""

import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from tagger.file_names import unescape_surrogates
from tagger.review.answers import Answer
from tagger.review.ledger_reader import LedgerReader
from tagger.run.ledger_values import storable, text_of

Unmatched: TypeAlias = Literal["unknown", "ambiguous", "changed", "unread"]
"""Why no photo is found: none of that name, several with different bytes, other bytes than the file is about, or one that
could not be read when fmtag ran."""


class Match(NamedTuple):
    """A photo of the last output."""

    item: int
    sha256: bytes
    tag: str
    """Of its row."""
    flagged: bool
    """Whether its row is flagged."""


class PhotoFinder:
    """Find photos of a ledger by what other files call them.

    In this order: the path as the output has it; the sha256; the same file by another path; the only photo whose path ends as
    the given one does, or the other way round.

    Args:
        reader: of the ledger.
        url_prefix: what stands before the paths, as `label_studio.image_address` puts it there; may be empty.
    """

    def __init__(self, reader: LedgerReader, url_prefix: str = "") -> None:
        self._reader = reader
        self._prefix = url_prefix

    def find_all(self, answers: Sequence[Answer]) -> list[Match | Unmatched]:
        """Return the photo of each answer, or why there is none; raises `LedgerError` where the ledger cannot be read."""
        found = [self._exactly(one) for one in answers]
        open_ones = [number for number, match in enumerate(found) if match is None]
        spellings = {
            number: _parts(spelling for path in answers[number].paths for spelling in self._spellings(path))
            for number in open_ones
        }
        by_name = self._photos_named({parts[-1] for several in spellings.values() for parts in several})
        for number in open_ones:
            found[number] = _only_one(spellings[number], by_name)
        return [match or "unknown" for match in found]

    # Helpers -------------------------------------------------------------------------------------------------------

    def _exactly(self, answer: Answer) -> Match | Unmatched | None:
        """Return the photo of exactly that path or of those bytes; None where its path has to be looked for."""
        here = next((found for path in answer.paths for name in self._exact(path) if (found := self._at(name))), None)
        if here is None and answer.sha256 is None:
            place = answer.place if answer.place is not None else next(map(Path, filter(os.path.isabs, answer.paths)), None)
            here = self._at_place(place) if place is not None else None
        if answer.sha256 is None:
            return here
        if isinstance(here, Match) and here.sha256 == answer.sha256:
            return here
        same = self._reader.rows(f"{_MATCH} AND sha256 = ? LIMIT 1", (answer.sha256,))
        return _match(same[0]) if same else "unknown" if here is None else "changed"

    def _at(self, key: str) -> Match | Unmatched | None:
        found = self._reader.rows(f"{_MATCH} AND key = ?", (storable(key),))
        return _match(found[0]) if found else None

    def _at_place(self, place: Path) -> Match | Unmatched | None:
        """Return the photo of a file, whatever the source calls it; None where it has none there."""
        if self._root is None:
            return None
        for name in dict.fromkeys((str(place.absolute()), os.path.realpath(place))):
            for root in dict.fromkeys((self._root, os.path.realpath(self._root))):
                if name.startswith(os.path.join(root, "")) and (found := self._at(Path(name).relative_to(root).as_posix())):
                    return found
            if found := self._at(name):
                return found
        return None

    @cached_property
    def _root(self) -> str | None:
        found = self._reader.rows("SELECT root FROM runs WHERE finished IS NOT NULL ORDER BY id DESC LIMIT 1")
        return text_of(found[0][0]) if found and found[0][0] else None

    def _exact(self, path: str) -> Iterator[str]:
        """Yield the keys that a path is exactly: as it is, with the bytes that are no Unicode, without the prefix."""
        yield path
        if "\\ud" in path:
            yield unescape_surrogates(path)
        if self._prefix and path.startswith(self._prefix):
            rest = path.removeprefix(self._prefix)
            yield unquote(rest, errors="surrogateescape")
            yield unescape_surrogates(rest)

    def _spellings(self, path: str) -> Iterator[str]:
        """Yield what may be the path of a photo within an address: its path, and that of a query `?d=`, decoded."""
        yield path
        parts = urlsplit(path) if re.match(r"[a-z][a-z0-9+.-]*://|/data/", path, re.IGNORECASE) else None
        if parts is None:
            return
        local = dict(parse_qsl(parts.query, errors="surrogateescape")).get("d")
        yield local if local else unquote(parts.path, errors="surrogateescape")
        if upload := re.search(r"/data/upload/(?:\d+/)?[0-9a-f]{8}-([^/]+)$", unquote(parts.path)):
            yield upload[1]

    def _photos_named(self, names: set[str]) -> dict[str, list[tuple[tuple[str, ...], Match | Unmatched]]]:
        """Return the photos whose file has one of these names, with the parts of their paths, by name."""
        found: defaultdict[str, list[tuple[tuple[str, ...], Match | Unmatched]]] = defaultdict(list)
        if not names:
            return found
        for key, place, *columns in self._reader.rows(_ALL):
            paths = [text_of(key)]
            if place is not None and isinstance(stored := json.loads(place), str):
                paths.append(stored)
            for parts in _parts(paths):
                for name in dict.fromkeys((parts[-1], uploaded_name(parts[-1]))):
                    if name in names:
                        found[name].append(((*parts[:-1], name), _match(columns)))
        return found


def uploaded_name(name: str) -> str:
    """Return a file's name as Label Studio keeps it after an upload: blanks become `_`, what is no letter or digit goes."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _parts(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the folders and the name of each path, letters with accents composed; none for paths without a name."""
    split = (tuple(part for part in unicodedata.normalize("NFC", path).split("/") if part not in ("", ".")) for path in paths)
    return [parts for parts in dict.fromkeys(split) if parts]


def _only_one(
    spellings: Sequence[tuple[str, ...]], by_name: dict[str, list[tuple[tuple[str, ...], Match | Unmatched]]]
) -> Match | Unmatched:
    """Return the photo whose path ends as a spelling does, or the other way round; not one of several with other bytes."""
    found: dict[object, Match | Unmatched] = {}
    for parts in spellings:
        for own, match in by_name.get(parts[-1], ()):
            length = min(len(own), len(parts))
            if own[-length:] == parts[-length:]:
                found[match.sha256 if isinstance(match, Match) else (own, match)] = match
    if not found:
        return "unknown"
    return next(iter(found.values())) if len(found) == 1 else "ambiguous"


def _match(row: Sequence[object]) -> Match | Unmatched:
    item, sha256, tag, low_confidence = row
    if not isinstance(sha256, bytes):
        return "unread"
    return Match(int(str(item)), sha256, str(tag or ""), low_confidence == "true")


_MATCH = """
    SELECT items.id, sha256, tag, low_confidence FROM items LEFT JOIN contents ON contents.id = content
    WHERE published IS NOT NULL
"""

_ALL = """
    SELECT key, place, items.id, sha256, tag, low_confidence FROM items LEFT JOIN contents ON contents.id = content
    LEFT JOIN places ON places.item = items.id WHERE published IS NOT NULL
"""
