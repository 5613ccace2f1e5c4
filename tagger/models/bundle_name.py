"""Which names a bundle can have: such that it is found by them, on any system, and shown as they are."""

from tagger.errors import BundleError
from tagger.escaping import for_terminal

DEFAULT_FILE = "default"
"""File in the user's folder of bundles with the name of the one that tags where none is named."""

LONGEST_NAME = 100
"""Characters."""

_SEPARATORS = frozenset("/\\:")
"""Of folders, here or where a bundle may be copied to."""


def check_name(name: str) -> None:
    """Refuse a name that a new bundle cannot have; raises `BundleError`."""
    if name == DEFAULT_FILE:
        why = "the file of that name says which bundle tags where none is named"
    elif not 1 <= len(name) <= LONGEST_NAME:
        why = f"a name has 1 to {LONGEST_NAME} characters"
    elif name.startswith(("-", ".")):
        why = f"options and hidden files begin with {name[0]}"
    elif name != name.strip() or for_terminal(name) != name or _SEPARATORS & set(name):
        why = "a name holds no separators of folders, no control characters, and no blanks at its ends"
    else:
        return
    raise BundleError(f"{name!r} cannot be the name of a bundle, as {why}; give it another name.")
