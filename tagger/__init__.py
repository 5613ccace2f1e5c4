"""fmtag tags catalog photos: a tag, a believable confidence and a low-confidence flag for each.

`from tagger import Tagger` is the library; `fmtag --help` the command.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagger.errors import FmtagError
    from tagger.inference.tagger import Tagger
    from tagger.records import Tag

__all__ = ["FmtagError", "Tag", "Tagger"]

_HOMES = {"FmtagError": "tagger.errors", "Tag": "tagger.records", "Tagger": "tagger.inference.tagger"}


def __getattr__(name: str) -> object:
    """Import the public names when first used: the command line must start without torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
