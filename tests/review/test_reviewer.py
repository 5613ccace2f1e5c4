"""Who decides has a name, even where the system has none."""

import getpass

import pytest

from tagger.review.reviewer import UNKNOWN, login_name


def test_the_login_name_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that the system tells."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert login_name() == "ada"


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set"), ImportError("pwd")])
def test_a_user_without_a_name_has_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """In a container whose user is unknown, and on Windows without variables."""

    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert login_name() == UNKNOWN
