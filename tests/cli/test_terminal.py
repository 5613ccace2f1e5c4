"""Text for people: escaped, on one line, without markup."""

import pytest
from rich.text import Text

from tagger.cli.terminal import Terminal, say

HOSTILE = "[red]x[/] :shoe:\n\x1b[31m"
SHOWN = "[red]x[/] :shoe:\\n\\x1b[31m"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no line be broken for lack of columns."""
    monkeypatch.setenv("COLUMNS", "200")


def test_texts_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither markup nor emoji codes are interpreted, and control characters are escaped; own styles stay."""
    Terminal().print(HOSTILE)
    Terminal(stderr=True).print(HOSTILE)
    say(HOSTILE)
    say(HOSTILE, err=True)
    Terminal().print(Text("first\nsecond"))
    out, err = capsys.readouterr()
    assert out.splitlines() == [SHOWN, SHOWN, "first", "second"]
    assert err.splitlines() == [SHOWN, SHOWN]
