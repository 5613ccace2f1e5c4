"""Write file names that are not UTF-8 into tables and JSON that are, and find the files again when they are read back.

Python holds the bytes of such a name that are not UTF-8 as lone surrogates (PEP 383), which UTF-8 cannot encode.
"""

import os
import re
from pathlib import Path

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
