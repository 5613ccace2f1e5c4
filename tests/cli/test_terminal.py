"""Text for people: escaped, on one line, without markup."""

from pathlib import Path

import pytest
from rich.text import Text

from tagger.cli import terminal
from tagger.cli.terminal import Terminal, results_console, say
from tagger.errors import OutputError

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


def test_results_are_printed_beside_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where one of the files is standard output; with no file at all standard output has to be open."""
    assert not results_console([None, tmp_path / "a.json"]).stderr
    assert results_console([None, Path("-")]).stderr
    assert results_console([tmp_path / "a.json", Path("/dev/stdout")]).stderr
    assert not results_console([None]).stderr
    monkeypatch.setattr(terminal, "why_closed", lambda descriptor: "it is closed")
    assert not results_console([None, tmp_path / "a.json"]).stderr
    with pytest.raises(OutputError, match="it is closed; give it a file or a pipe"):
        results_console([None])
