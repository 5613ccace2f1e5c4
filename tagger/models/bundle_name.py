"""Check names of new bundles: a bundle must be found by its name on any system, and the name shown as it is."""

from tagger.errors import BundleError
from tagger.escaping import for_terminal

DEFAULT_FILE = "default"
"""File in the user's folder of bundles that holds the name of the default bundle."""

LONGEST_NAME = 100
"""Most characters of a name."""

_SEPARATORS = frozenset("/\\:")
"""Separators of folders on this system or on one that a bundle may be copied to."""


def check_name(name: str) -> None:
    """Raise `BundleError` if a new bundle cannot have that name."""
    if name == DEFAULT_FILE:
        why = "the file of that name holds the name of the default bundle"
    elif not 1 <= len(name) <= LONGEST_NAME:
        why = f"a name has 1 to {LONGEST_NAME} characters"
    elif name.startswith(("-", ".")):
        why = f"options and hidden files begin with {name[0]}"
    elif name != name.strip() or for_terminal(name) != name or _SEPARATORS & set(name):
        why = "a name has no path separators, no control characters, and no blanks at its ends"
    else:
        return
    raise BundleError(f"{name!r} cannot be the name of a bundle, as {why}; give it another name.")
