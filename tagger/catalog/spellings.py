"""Read the ways in which programs and people write the path of a file: pure functions of text, which look at no disk."""

import html
import os
import re
import unicodedata
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from tagger.file_names import unescape_surrogates

_INVISIBLE = "".join(map(chr, (0xAD, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065))))
_INVISIBLE += "".join(map(chr, (*range(0x2066, 0x206A), 0xFE0E, 0xFE0F, 0xFEFF)))
"""Invisible characters: soft hyphens, zero-width and direction marks, selectors, the byte order mark."""

_BLANKS = "".join(
    map(chr, (*range(0x21), *range(0x7F, 0xA1), 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)

_QUOTES = "\"'`" + "".join(map(chr, (0xAB, 0xB4, 0xBB, *range(0x2018, 0x2020), 0x2039, 0x203A)))

_AROUND = _BLANKS + _INVISIBLE + _QUOTES + ",;|"
"""What stands around a path and is no part of it."""

_HIDDEN = re.compile(f"[{re.escape(_INVISIBLE)}]")
_SPACE = re.compile(f"[{re.escape(_BLANKS)}]+")


def clean(text: str) -> str:
    """Return text without blanks, quotes, separators and invisible characters around it, nor `=`, as in `="text"`."""
    return text.strip(_AROUND).removeprefix('="').strip(_AROUND)


def folded(name: str) -> str:
    """Return the form that the names of one file have in common, whatever their letter case, Unicode form and blanks."""
    if not name.isascii():
        with suppress(UnicodeEncodeError):  # lone surrogates that are no bytes of a file name
            raw = os.fsencode(name)
            name = raw.decode() if _is_utf8(raw) else raw.decode("cp1252", "replace")  # as an older system wrote names
        name = _HIDDEN.sub("", unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()))
    return _SPACE.sub(" ", name).strip().casefold()


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode_percent(text: str) -> str:
    """Return text with its percent codes decoded, as UTF-8 or else as Windows-1252, which older shops write."""
    if "%" not in text:
        return text
    raw = unquote_to_bytes(text.encode("utf-8", "replace"))
    return raw.decode() if _is_utf8(raw) else raw.decode("cp1252", "replace")


def readings(text: str) -> list[str]:
    """Return the paths that a cell may mean, the nearest to its text first, with `/` between folders.

    None of them leads further than the text itself does: a `..` or a leading `/` that only decoding brings about is left out.
    """
    forms = [clean(text)]
    for change in (
        unescape_surrogates,
        _without_scheme,
        html.unescape,
        _slashes,
        decode_percent,
        decode_percent,
        _slashes,
        clean,
    ):
        forms += [changed for changed in map(change, forms) if changed not in forms]
    climbs, rooted = _climbs(_slashes(forms[0])), forms[0].startswith(("/", "\\")) or forms[0][:5].lower() == "file:"
    kept = (
        form if rooted else form.lstrip("/") for form in forms if form and "\0" not in form and (climbs or not _climbs(form))
    )
    return list(dict.fromkeys(kept))


def _climbs(path: str) -> bool:
    return ".." in path.split("/")


def _slashes(text: str) -> str:
    return text.replace("\\", "/")


def _without_scheme(text: str) -> str:
    """Return the path of a file address: `file:///srv/a.jpg`, `file://localhost/srv/a.jpg`, `file:a.jpg` (RFC 8089)."""
    if text[:5].lower() != "file:":
        return text
    rest = _slashes(text[5:])
    if rest.startswith("///"):
        rest = rest[2:]
    elif rest.lower().startswith("//localhost/"):
        rest = rest[len("//localhost") :]
    elif rest.startswith("//"):  # file://photos/a.jpg names a computer, but people mean a folder
        rest = rest[2:]
    return rest[1:] if re.match(r"/[a-z]:/", rest, re.IGNORECASE) else rest
