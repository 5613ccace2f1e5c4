"""Tables of plain text, rendered for a terminal, as Markdown and as HTML.

Cells are plain text until a renderer escapes them, so no label, file name or bundle name acts on a terminal or a page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich import table as rich_table
from rich.text import Text

from tagger.escaping import for_html, for_markdown, for_terminal
from tagger.metrics.significance import Interval

MISSING = "-"
"""The cell of a metric that does not exist, such as the accuracy of no photos."""


@dataclass(frozen=True)
class Column:
    """A column of a table: text is aligned left, numbers right."""

    title: str
    align: Literal["left", "right"] = "right"
    short: str = ""
    """The title on a terminal, where the full one is too wide."""


@dataclass(frozen=True)
class Table:
    """A table of plain text; the first cell of each row names the row."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence needed to read the table."""

    def __post_init__(self) -> None:
        """Raise `ValueError` where a row has more or fewer cells than the table has columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns")


def make_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", note: str = "", text: Sequence[int] = (0,)
) -> Table:
    """Return a table whose columns hold numbers, except for those at the positions `text`."""
    columns = tuple(Column(name, "left" if at in text else "right") for at, name in enumerate(titles))
    return Table(title, columns, tuple(map(tuple, rows)), note)


def interval_cell(interval: Interval) -> str:
    """Return a share 0..1 with its interval, as in `0.912 (0.900-0.920)`."""
    share, low, high = interval
    return f"{share:.3f} ({low:.3f}-{high:.3f})"


def optional_cell(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals, or `-` for None."""
    return MISSING if value is None else f"{value:.{digits}f}"


def render_terminal(table: Table) -> rich_table.Table:
    """Return a table that `rich` prints, with narrow padding and the titles of number columns broken at spaces.

    A long first column is folded rather than cut. The note is not shown.
    """
    shown = rich_table.Table(
        title=Text(for_terminal(table.title), "table.title") if table.title else None, box=box.SIMPLE_HEAD, padding=(0, 0)
    )
    for column in table.columns:
        name = for_terminal(column.short or column.title)
        left = column.align == "left"
        shown.add_column(
            Text(name if left else name.replace(" ", "\n")), justify=column.align, overflow="fold" if left else "ellipsis"
        )
    for row in table.rows:
        shown.add_row(*(Text(for_terminal(cell)) for cell in row))
    return shown


def render_markdown(table: Table, level: int = 0) -> list[str]:
    """Return the lines of a Markdown table with its note above and an empty line after both.

    `level` 1..6 makes the title a heading of that level; 0 leaves it out, for tables below a heading of the caller's.
    """
    lines = [f"{'#' * level} {for_markdown(table.title)}", ""] if level and table.title else []
    if table.note:
        lines += [for_markdown(table.note), ""]
    rules = {"left": "---", "right": "---:"}
    lines += [
        _markdown_row([column.title for column in table.columns]),
        f"|{'|'.join(rules[column.align] for column in table.columns)}|",
        *map(_markdown_row, table.rows),
        "",
    ]
    return lines


def render_html(table: Table) -> str:
    """Return an HTML table whose caption is the title and whose first column holds row headers, below its note.

    Text columns after the first get the class `text`, which a style sheet can align left.
    """
    kinds = [' class="text"' if at and column.align == "left" else "" for at, column in enumerate(table.columns)]
    head = "".join(
        f'<th scope="col"{kind}>{for_html(column.title)}</th>' for kind, column in zip(kinds, table.columns, strict=True)
    )
    lines = [
        f'<tr><th scope="row">{for_html(first)}</th>'
        + "".join(f"<td{kind}>{for_html(cell)}</td>" for kind, cell in zip(kinds[1:], cells, strict=True))
        + "</tr>"
        for first, *cells in table.rows
    ]
    note = [f"<p>{for_html(table.note)}</p>"] if table.note else []
    caption = f"<caption>{for_html(table.title)}</caption>"
    return "\n".join([*note, "<table>", caption, f"<thead><tr>{head}</tr></thead>", "<tbody>", *lines, "</tbody>", "</table>"])


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(for_markdown, cells))} |"
