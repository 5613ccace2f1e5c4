"""Printing for people: every text is escaped here, so that no name of a file, label or bundle acts on the terminal."""

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from tagger.escaping import for_terminal


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
