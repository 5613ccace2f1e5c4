"""fmtag tags catalog photos: a label, a calibrated confidence and a low-confidence flag per photo.

`from tagger import Tagger` is the library, `fmtag --help` the command.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagger.errors import FmtagError
    from tagger.inference.tagger import Tagger
    from tagger.records import Tag

    __version__: str

__all__ = ["FmtagError", "Tag", "Tagger", "__version__"]

_HOMES = {"FmtagError": "tagger.errors", "Tag": "tagger.records", "Tagger": "tagger.inference.tagger"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line must start without torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names too, which are not there before they are used."""
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Return the version of the installed package; "0+unknown" for a source checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fmtag")
    except PackageNotFoundError:
        return "0+unknown"
