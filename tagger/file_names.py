"""Write file names that are not UTF-8 into tables and JSON that are, find them again, and shorten names to what fits.

Python holds the bytes of such a name that are not UTF-8 as lone surrogates (PEP 383), which UTF-8 cannot encode.
"""

import hashlib
import os
import re
from pathlib import Path

LONGEST_NAME = 255
"""Bytes that a file's name has at most."""

_ESCAPE = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")


def escape_surrogates(text: str) -> str:
    r"""Return text that UTF-8 can encode: lone surrogates become `\udcff`, which JSON reads as the same name again."""
    return text.encode("utf-8", "backslashreplace").decode()


def unescape_surrogates(text: str) -> str:
    r"""Return text with the lone surrogates that `escape_surrogates` wrote as `\udcff`."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def resolve_escaped(file: Path) -> Path:
    """Return the existing file that a table names: the one of exactly that name, else the one whose escaped name it is.

    Where neither exists it is `file` itself.
    """
    if "\\ud" in (name := str(file)) and not os.path.lexists(file):
        unescaped = Path(unescape_surrogates(name))
        return unescaped if os.path.lexists(unescaped) else file
    return file


def shortened(name: str, length: int) -> str:
    """Return the start of a name that takes at most `length` bytes, without a part of a letter."""
    while len(os.fsencode(name)) > length:
        name = name[:-1]
    return name


def with_ending(name: str, ending: str, longest: int = LONGEST_NAME) -> str:
    """Return a name with an ending; where that takes more than `longest` bytes, the name's hash stands for its end."""
    if len(os.fsencode(name + ending)) <= longest:
        return name + ending
    ending = f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{ending}"
    return shortened(name, longest - len(os.fsencode(ending))) + ending
