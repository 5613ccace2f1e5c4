"""Text from outside (file names, labels, names of bundles) made harmless, once, at each edge where it leaves the program.

What a terminal, a log or a page would act on is shown escaped, as Python writes it: control characters (C0, DEL and C1), line
and paragraph separators, bidirectional overrides and isolates, and what UTF-8 or HTML cannot hold. Pure functions.
"""

import html
import re

_ACTING = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"

_UNSAFE = re.compile(f"[{_ACTING}]")

_UNSAFE_IN_HTML = re.compile(rf"(?![\t\n])[{_ACTING}]")

_UNSAFE_IN_JSON = re.compile(rf"(?!\n)[{_ACTING}]")

_MARKDOWN = re.compile(r"[\\`*_\[\]|~$]")

_BACKTICKS = re.compile("`+")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def for_terminal(text: str) -> str:
    r"""Return text as one line for a terminal or a text log: a line break reads `\n`, an escape character `\x1b`."""
    return _UNSAFE.sub(_escaped, text)


def for_json(text: str) -> str:
    r"""Return the text of a JSON document for a terminal or a log: the same values, with `\u009b` for the character itself."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def for_html(text: str) -> str:
    """Return text that is harmless between tags and in attributes; tabs and line breaks stay, as HTML takes them for spaces."""
    return html.escape(_UNSAFE_IN_HTML.sub(_escaped, text))


def for_markdown(text: str) -> str:
    """Return text in one line that is plain text within a paragraph, a heading or a cell, whether HTML is let through or not.

    Markup that counts at the start of a line alone is left as it is, so a line must not begin with it.
    """
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(for_terminal(text).strip(), quote=False))


def code_for_markdown(text: str) -> str:
    """Return text as a span of code in one line of Markdown, fenced by more backticks than it holds in a row."""
    line = for_terminal(text)
    fence = "`" * (1 + max((len(found) for found in _BACKTICKS.findall(line)), default=0))
    space = " " if len(fence) > 1 or line != line.strip() else ""
    return f"{fence}{space}{line}{space}{fence}"


def for_chart(text: str) -> str:
    """Return text in one line that a chart can draw, where its font lacks control characters and a page's are replaced."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
