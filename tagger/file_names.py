"""File names that are not UTF-8, in tables and JSON that are: written with escapes, and found again when they are read back.

Python holds such a name's other bytes as lone surrogates (PEP 383), which UTF-8 has no form for.
"""

import os
import re
from pathlib import Path

_ESCAPE = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")


def escape_surrogates(text: str) -> str:
    r"""Return text that UTF-8 can hold: lone surrogates become `\udcff`, which JSON reads as the same name again."""
    return text.encode("utf-8", "backslashreplace").decode()


def unescape_surrogates(text: str) -> str:
    r"""Return text with the lone surrogates that `escape_surrogates` wrote as `\udcff`."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def resolve_escaped(file: Path) -> Path:
    """Return a file that a table names: the one of just that name, or where none is, the one that `escape_surrogates` wrote so."""
    if "\\ud" in (name := str(file)) and not os.path.lexists(file):
        meant = Path(unescape_surrogates(name))
        return meant if os.path.lexists(meant) else file
    return file
