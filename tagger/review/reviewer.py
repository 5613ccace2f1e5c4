"""Name who decides."""

import getpass

UNKNOWN = "reviewer"
"""Name of a user without one, as in a container."""


def login_name() -> str:
    """Return the name that the user is logged in with, or `UNKNOWN`."""
    try:
        return getpass.getuser() or UNKNOWN
    except (OSError, KeyError, ImportError):  # ImportError on Windows, which has no pwd
        return UNKNOWN
