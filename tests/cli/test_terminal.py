"""Text for people: escaped, on one line, without markup."""

import pytest
from rich.text import Text

from tagger.cli.terminal import Terminal, compact_table, say

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


def test_a_compact_table_has_aligned_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Titles keep their line breaks, cells are escaped, numbers stand at the right."""
    table = compact_table("name", "macro\nacc.", "n")
    table.add_row(HOSTILE, "0.5", "1")
    table.add_row("b", "0.25", "1,000")
    Terminal().print(table)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].split() == ["macro"]
    assert lines[1].split() == ["name", "acc.", "n"]
    assert lines[-2].split()[-2:] == ["0.5", "1"]
    assert SHOWN in lines[-2]
    assert len(lines[-1]) == len(lines[-2])
