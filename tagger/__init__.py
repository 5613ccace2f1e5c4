"""fmtag tags catalog photos: a label, a calibrated confidence and a low-confidence flag per photo.

`from tagger import Tagger` is the library, `fmtag --help` the command.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagger.errors import FmtagError
    from tagger.inference.tagger import Tagger
    from tagger.records import Tag

__version__ = "0.1.0"
"""The package is built with this version; to ask the installed package for it would take a part of every start."""

__all__ = ["FmtagError", "Tag", "Tagger", "__version__"]

_HOMES = {"FmtagError": "tagger.errors", "Tag": "tagger.records", "Tagger": "tagger.inference.tagger"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line must start without torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names too, which are not there before they are used."""
    return sorted({*globals(), *__all__})
