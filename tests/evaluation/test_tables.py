"""One table is the same text on a terminal, in Markdown and in HTML, whatever its cells hold."""

import io

import pytest
from evaluation_helpers import HOSTILE, Page, markdown_tables
from rich.console import Console

from tagger.evaluation.tables import (
    Column,
    Table,
    interval_cell,
    make_table,
    optional_cell,
    render_html,
    render_markdown,
    render_terminal,
)

PLAIN = make_table(("class", "n", "taken for"), [("Bag", "12", "Shirt"), ("Coat", "3", "")], "By class", "A note.", text=(0, 2))


def printed(table: Table, width: int = 80) -> str:
    """Return what a terminal of that width shows of a table."""
    console = Console(file=io.StringIO(), width=width, markup=True)
    console.print(render_terminal(table))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_all_renderers_show_every_cell() -> None:
    """The rows of the table are read back from Markdown and HTML, and stand on the terminal."""
    [rows] = markdown_tables("\n".join(render_markdown(PLAIN)))
    assert [tuple(row.values()) for row in rows] == list(PLAIN.rows)
    assert list(rows[0]) == [column.title for column in PLAIN.columns]
    assert Page(render_html(PLAIN)).rows("By class") == [list(row) for row in PLAIN.rows]
    shown = printed(PLAIN)
    assert all(cell in shown for row in PLAIN.rows for cell in row)
    assert "By class" in shown


def test_markdown_has_heading_note_and_alignment() -> None:
    """A level makes the title a heading; the note stands above the table, and numbers are aligned right."""
    assert render_markdown(PLAIN, level=2)[:6] == [
        "## By class",
        "",
        "A note.",
        "",
        "| class | n | taken for |",
        "|---|---:|---|",
    ]
    assert render_markdown(PLAIN)[0] == "A note."
    assert render_markdown(PLAIN)[-1] == ""


def test_html_has_row_headers_and_text_columns() -> None:
    """The first cell of a row is its header, text columns after it have a class, and the note stands above."""
    page = Page(render_html(PLAIN))
    assert [head["scope"] for head in page.all("th")] == ["col"] * 3 + ["row"] * 2
    assert [cell.get("class") for cell in page.all("td")] == [None, "text"] * 2
    assert render_html(PLAIN).startswith("<p>A note.</p>")


@pytest.mark.parametrize("text", [*HOSTILE, "a|b", "[bold]markup[/bold]", ":smile:"])
def test_cells_never_act(text: str) -> None:
    """No cell, title or note breaks out of its place: not as markup, not as a control sequence, not as a further column."""
    table = make_table((text, "n"), [(text, "1")], title=text, note=text)
    lines = render_markdown(table, level=1)
    assert not any(character in "".join(lines) for character in "\n\x1b\x00<")
    assert len(lines) == 8
    assert lines[6].replace("\\|", "").count("|") == 3
    page = Page(render_html(table))
    assert {tag for tag, _ in page.tags} <= {"p", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    shown = printed(table, 400)
    assert not any(character in shown for character in "\x1b\x00")
    assert all(marks in shown for marks in ("[bold]", ":smile:") if marks in text)


def test_titles_of_numbers_break_on_a_terminal() -> None:
    """A terminal shows the short title, broken at spaces, so that narrow numbers have narrow columns."""
    table = Table("", (Column("photos", "left"), Column("calibration error", short="calib. error")), (("set", "0.1"),))
    assert "calib." in printed(table)
    assert "calibration" not in printed(table)
    assert "calib. error" not in printed(table)
    assert "calibration error" in render_markdown(table)[0]


def test_long_names_are_folded() -> None:
    """A name longer than a terminal is wide is folded rather than cut, and the numbers stay whole."""
    table = make_table(("photos", "n"), [("x" * 100, "12,345")])
    shown = printed(table, 40)
    assert shown.count("x") == 100
    assert "12,345" in shown


def test_rows_must_fit_the_columns() -> None:
    """A row with a cell too few or too many is a mistake of the program and refused."""
    with pytest.raises(ValueError, match="1 cells in a table of 2"):
        make_table(("a", "b"), [("only",)])


def test_cells_of_metrics() -> None:
    """Shares have three decimals and their interval; what does not exist is a dash."""
    assert interval_cell((0.5, 0.25, 1.0)) == "0.500 (0.250-1.000)"
    assert (optional_cell(0.12345), optional_cell(0.12345, 4), optional_cell(None)) == ("0.123", "0.1235", "-")
