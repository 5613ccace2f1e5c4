"""Read a list of paths from a stream, one a line or each ended by NUL, as soon as each has come."""

import codecs
import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from tagger.catalog.items import make_item
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import EMPTY, JSON, TEXT, UNKNOWN, is_photo, kind_of
from tagger.records import Item

CHUNK = 1 << 16

MAX_PATH = 1 << 20
"""Bytes that every path is shorter than; a stream with more before the next separator is no list."""

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def listed_items(stream: IO[bytes], null_separated: bool = False, fetch: bool = False) -> Iterator[Item]:
    """Yield an item for each path of a list; an empty line is an item too, so that output rows and lines correspond.

    The list is in UTF-8, with or without a byte order mark, or in UTF-16 with one; bytes of names that are not UTF-8 are kept.
    Lines end with LF or CRLF; `null_separated` paths with NUL. `fetch` tells whether photos at addresses are fetched. Raises
    `SourceError` where the stream cannot be read or holds something else than a list.
    """
    end = b"\0" if null_separated else b"\n"
    for place in _split(_as_utf8(_chunks(stream)), end):
        path = os.fsdecode(place if null_separated else place.rstrip(b"\r"))
        yield make_item(path, Path(path), {}, fetch=fetch)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what a stream has, without waiting for a whole chunk."""
    read = getattr(stream, "read1", stream.read)
    try:
        while chunk := read(CHUNK):
            yield chunk
    except (OSError, ValueError) as error:
        raise SourceError(f"Standard input cannot be read: {reason_of(error)}; pipe a list of paths into it.") from error


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same text without a byte order mark, UTF-16 as UTF-8."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(codecs.BOM_UTF8):
            break
    if not head.startswith(_UTF16_MARKS):
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
    for chunk in chain([head], chunks):
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")


def _split(chunks: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    """Yield what stands before each separator, and after the last one if that is not nothing."""
    rest, first = b"", True
    for chunk in chunks:
        *places, rest = (rest + chunk).split(end)
        for place in places:
            if first:
                _check_first(place, rest, end)
                first = False
            yield place
        if len(rest) > MAX_PATH:
            _check_first(rest, b"", end)
            raise SourceError(f"Standard input holds {MAX_PATH:,} bytes that no path ends in; give a list of paths.")
    if rest:
        if first:
            _check_first(rest, b"", end)
        if first and end == b"\0" and b"\n" in rest.rstrip(b"\r\n"):
            raise SourceError("Standard input holds no NUL after a path; leave out -0 (--null), which is for find -print0.")
        yield rest


def _check_first(place: bytes, after: bytes, end: bytes) -> None:
    """Raise `SourceError` where the first path and what follows show that the stream is no list, or one of another kind."""
    start = place + end + after[:4096]
    kind = kind_of(start)
    control = re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]", start.replace(b"\0", b"") if end == b"\0" else start)
    if control and is_photo(start):
        raise SourceError("Standard input holds a photo, not a list of paths; give the file itself as the source.")
    if control and kind not in (TEXT, EMPTY, UNKNOWN, JSON):
        raise SourceError(f"Standard input holds {kind.name}, not a list of paths; give the file itself as the source.")
    if re.match(rb'\{\s*"', place):
        raise SourceError("Standard input holds JSON, not a list of paths; write it to a file that ends in .jsonl.")
    if end != b"\0" and b"\0" in place:
        utf16 = b"\0" in (place[0:1], place[1:2]) and place.count(b"\0") >= len(place) // 3
        raise SourceError(
            "Standard input holds UTF-16 text without a byte order mark; write the list as UTF-8."
            if utf16
            else "Standard input holds NUL bytes; give -0 (--null) for paths that end with them, as from find -print0."
        )
