"""Escaped text is plain text wherever it is shown, and everyday text is unchanged."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tagger.data.labels import LABELS
from tagger.escaping import code_for_markdown, for_chart, for_html, for_json, for_markdown, for_terminal

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What may not reach a terminal; line breaks are checked where they matter."""

MARKDOWN = MarkdownIt("commonmark").enable("table")


@settings(max_examples=50)
@given(st.text() | st.text(st.sampled_from("\\`*_[]|~$<>&#-+.1 \n\ta")))
def test_markdown_reads_back_as_the_text(text: str) -> None:
    """A cell of a table holds the text and no markup, and so does a code span."""
    shown = for_terminal(text).strip()
    tokens = MARKDOWN.parse(f"| title |\n| --- |\n| {for_markdown(text)} |")
    assert not [token for token in tokens if token.type == "html_block"]
    inline = [token for token in tokens if token.type == "inline"]
    children = [child for token in inline[1:] for child in token.children or []]
    assert {child.type for child in children} <= {"text"}
    assert "".join(child.content for child in children) == shown
    if shown:
        (code,) = [child for token in MARKDOWN.parse(code_for_markdown(text)) for child in token.children or []]
        assert (code.type, code.content.strip()) == ("code_inline", shown)


@given(st.text(st.characters()))
def test_no_control_character_is_shown(text: str) -> None:
    """A text is one line without control characters, JSON keeps its value, and printable text is unchanged."""
    shown = for_terminal(text)
    assert not CONTROLS.search(shown)
    assert "\n" not in shown
    if text.isprintable():
        assert shown == text
    written = for_json(json.dumps([text], ensure_ascii=False))
    assert not CONTROLS.search(written)
    assert json.loads(written) == [text]
    assert not CONTROLS.search(for_html(text).replace("\t", ""))
    assert "<" not in for_html(text)
    assert for_chart(text).isprintable()


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("\n", r"\n"),
        ("\t", r"\t"),
        ("\0", r"\x00"),
        ("\x1f", r"\x1f"),
        ("\x7f", r"\x7f"),
        ("\x9f", r"\x9f"),
        ("\u061c", r"\u061c"),
        ("\u200e", r"\u200e"),
        ("\u200f", r"\u200f"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u2069", r"\u2069"),
        ("\ud800", r"\ud800"),
        ("\udfff", r"\udfff"),
        ("\ufdd0", r"\ufdd0"),
        ("\uffff", r"\uffff"),
    ],
)
def test_terminals_show_the_escape(character: str, escape: str) -> None:
    """The first and the last character of every escaped range; their printable neighbours are unchanged."""
    assert for_terminal(f"a{character}b") == f"a{escape}b"
    assert for_terminal(" ~\u00a0\u2027\u202f\u2065\u206a\ud7ff\ue000\ufdcf\ufdf0\ufffd") == (
        " ~\u00a0\u2027\u202f\u2065\u206a\ud7ff\ue000\ufdcf\ufdf0\ufffd"
    )


def test_html_keeps_tabs_and_line_breaks() -> None:
    """HTML renders them as spaces; quotes are escaped for attributes, and a lone surrogate, which UTF-8 lacks, is shown."""
    assert (
        for_html("a\tb\n<c> \"d\" 'e' & \x1b\ud800")
        == r"a	b" + "\n&lt;c&gt; &quot;d&quot; &#x27;e&#x27; &amp; " + r"\x1b\ud800"
    )


def test_json_keeps_its_line_breaks() -> None:
    """Those between the values of an indented document stay, other control characters become JSON escapes."""
    assert for_json('{\n "a": "\x7f\u2028"\n}') == '{\n "a": "\\u007f\\u2028"\n}'


@pytest.mark.parametrize(
    ("text", "code"),
    [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), (" a ", "`  a  `"), ("a\nb", "`a\\nb`"), ("", "``")],
)
def test_code_is_fenced_by_more_backticks_than_it_holds(text: str, code: str) -> None:
    """A space on either side keeps backticks and blanks at the ends apart from the fence."""
    assert code_for_markdown(text) == code


def test_charts_show_one_printable_line() -> None:
    """Blanks are one space each, and what no font can draw is the replacement character."""
    assert for_chart(" a\n\tb\x1bc\u202e ") == "a b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}"


def test_the_shipped_labels_are_unchanged() -> None:
    """Escaping leaves everyday labels alone, so that published reports stay as they are."""
    for label in LABELS:
        assert {for_terminal(label), for_markdown(label), for_html(label), for_chart(label)} == {label}
