"""Escape untrusted text (file names, labels, names of bundles) for terminals, logs, JSON, HTML, Markdown and charts.

Each text is escaped once, where it leaves the program. Characters that a terminal, a log or a page would act on are written as
Python escapes them: control characters (C0, DEL and C1), line and paragraph separators, bidirectional marks, overrides and
isolates, and what UTF-8 or HTML cannot hold. Pure functions.
"""

import html
import re

_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"

_UNSAFE = re.compile(f"[{_CONTROLS}]")

_UNSAFE_IN_HTML = re.compile(rf"(?![\t\n])[{_CONTROLS}]")

_UNSAFE_IN_JSON = re.compile(rf"(?!\n)[{_CONTROLS}]")

_MARKDOWN = re.compile(r"[\\`*_\[\]|~$]")

_BACKTICKS = re.compile("`+")


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def for_terminal(text: str) -> str:
    r"""Return text as one line for a terminal or a text log: a line break becomes `\n`, an escape character `\x1b`."""
    return _UNSAFE.sub(_escaped, text)


def for_json(text: str) -> str:
    r"""Return a JSON document for a terminal or a log: the same values, with control characters as JSON escapes (`\u009b`)."""
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def for_html(text: str) -> str:
    """Return text for HTML, between tags and in attributes; tabs and line breaks stay, as HTML renders them as spaces."""
    return html.escape(_UNSAFE_IN_HTML.sub(_escaped, text))


def for_markdown(text: str) -> str:
    """Return text as one line of Markdown that renders as plain text in a paragraph, a heading or a cell.

    HTML is escaped too. Markup that counts only at the start of a line is left as it is, so a line must not begin with it.
    """
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(for_terminal(text).strip(), quote=False))


def code_for_markdown(text: str) -> str:
    """Return text as a code span in one line of Markdown, fenced by more backticks than the text holds in a row."""
    line = for_terminal(text)
    fence = "`" * (1 + max((len(match) for match in _BACKTICKS.findall(line)), default=0))
    space = " " if len(fence) > 1 or line != line.strip() else ""
    return f"{fence}{space}{line}{space}{fence}"


def for_chart(text: str) -> str:
    """Return text as one line that a chart can draw: what is not printable, which fonts lack, becomes U+FFFD."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
