"""Errors form the tree that their module draws, and each has the exit code that the drawing says."""

import inspect
import re

import pytest

from tagger import errors
from tagger.errors import FmtagError, Interrupted, LockedError, SourceError, reason_of

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and kind.__module__ == errors.__name__}


def test_the_drawn_tree_is_that_of_the_classes() -> None:
    """Every class is drawn, two spaces further in than the one it derives from."""
    drawn: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^    ((?:  )*)(\w+) +\S", errors.__doc__ or "", re.MULTILINE):
        path[len(indent) // 2 :] = [name]
        drawn[name] = path[-2] if len(path) > 1 else "Exception"
    assert drawn == {name: kind.__mro__[1].__name__ for name, kind in CLASSES.items()}


def test_a_failed_command_ends_with_1_and_a_locked_ledger_with_4() -> None:
    """Scripts tell the two by the exit code."""
    codes = {kind.exit_code for kind in CLASSES.values() if issubclass(kind, FmtagError) and kind is not LockedError}
    assert (codes, LockedError.exit_code) == ({1}, 4)


def test_an_interruption_is_no_failure() -> None:
    """It knows its signal, and whoever handles failures does not catch it."""
    assert Interrupted(15).signal == 15
    assert not issubclass(Interrupted, FmtagError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "a.jpg"), "Permission denied"),
        (OSError("the share is gone"), "the share is gone"),
        (OSError(5, ""), "[Errno 5] "),
        (ValueError("embedded null byte"), "embedded null byte"),
        (SourceError("a sentence"), "a sentence"),
        (OSError(), "OSError"),
        (KeyError(), "KeyError"),
    ],
)
def test_every_error_has_a_reason(error: Exception, reason: str) -> None:
    """The system's own words, else the error's text, else its kind: a sentence never ends with nothing in brackets."""
    assert reason_of(error) == reason
