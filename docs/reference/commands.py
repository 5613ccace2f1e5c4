"""Writes the command reference from the click tree itself, when MkDocs builds the site (a hook in `.mkdocs.yml`).

What it prints is what `--help` prints, so help texts are written in one place.
"""

import html
import inspect
from collections.abc import Iterator
from typing import Any

import click

from tagger.cli.main import cli

MARK = "<!-- commands -->"
"""The line of a page that the reference replaces."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's Markdown with the reference in place of its mark; MkDocs calls this for each page."""
    return markdown.replace(MARK, reference(cli)) if MARK in markdown else markdown


def reference(group: click.Group, name: str = "fmtag") -> str:
    """Return the Markdown of all commands of a group."""
    return "\n\n".join(section(command, context) for command, context in walk(group, context_of(group, name)))


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and all below it, each with the context that its usage line needs."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from walk(below, context_of(below, name, context))


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """Return the context in which a command prints its help."""
    return click.Context(command, parent, name, **command.context_settings)


def section(command: click.Command, context: click.Context) -> str:
    """Return one command: usage, help text, and a table of its options."""
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    options = "".join(
        f"| <code>{cell(html.escape(names))}</code> | {cell(text)} |\n" for names, text in rows if names.startswith("-")
    )
    return (
        f"## `{context.command_path}`\n\n```text\n{context.command_path} {usage}\n```\n\n"
        f"{inspect.cleandoc(command.help or '').split(chr(12))[0]}\n\n| option | meaning |\n|---|---|\n{options}"
    )


def cell(text: str) -> str:
    """Return text that stays within one cell of a Markdown table and makes no link."""
    return text.replace("|", "&#124;").replace("[", "&#91;").replace("\n", " ")
