"""Printing for people: every text is escaped here, so that no name of a file, label or bundle acts on the terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from tagger.errors import OutputError
from tagger.escaping import for_terminal
from tagger.streams import STDOUT, is_standard_output, why_closed


def results_console(outputs: Iterable[Path | None]) -> "Terminal":
    """Return the console to print results on, beside which a command writes `outputs`.

    Where one of them is standard output that is standard error, so that the two are not mixed. Raises `OutputError` where
    there are none, and standard output is closed, so that the work would be for nothing.
    """
    given = [path for path in outputs if path is not None]
    if not given:
        require_standard_output()
    return Terminal(stderr=any(map(is_standard_output, given)))


def require_standard_output() -> None:
    """Raise `OutputError` where standard output is closed, for a command that has no other result."""
    if why := why_closed(STDOUT):
        raise OutputError(f"The result goes to standard output, but {why}; give it a file or a pipe.")


class Terminal(Console):
    """A console that prints texts and tables as they are: no markup, no emoji codes, each text on one line.

    Text that fmtag itself styles or breaks is a `rich.text.Text`, which is printed unchanged.
    """

    def __init__(self, stderr: bool = False, highlight: bool = True) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=highlight)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text that rich lays out: a cell, a title or an argument of `print`."""
        return super().render_str(for_terminal(text), **options)


def say(text: str, err: bool = False) -> None:
    """Print one line on standard output or standard error."""
    click.echo(for_terminal(text), err=err)
