"""Commands of the web name what is to be installed where it is missing."""

import pytest
from helpers import assert_one_sentence, run_cli

from tagger.cli import web_extra


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the packages and the command that installs them."""
    monkeypatch.setattr(web_extra, "find_spec", lambda name: None if name == "uvicorn" else object())
    result = run_cli("review", "tags.csv")
    assert_one_sentence(result, 1, "needs uvicorn", 'pip install "fmtag[web]"')


def test_nothing_is_missing_here() -> None:
    """The extra of the tests holds it."""
    web_extra.require_web()
