"""Read a label map: a shop's own names for a bundle's labels."""

from collections.abc import Sequence
from pathlib import Path

from tagger.catalog.dialect import without_empty_end
from tagger.catalog.spreadsheets import workbook_rows
from tagger.catalog.table_kinds import table_kind
from tagger.catalog.tables import damaged_table
from tagger.catalog.text_tables import text_rows
from tagger.errors import SourceError, reason_of


def read_label_map(path: Path, labels: Sequence[str]) -> dict[str, str]:
    """Return the shop's name of each of `labels`, from a table of text or an Excel workbook: first two columns label and name.

    The first line holds column names. Raises `SourceError` where the file cannot be read, names a label that is not one of
    `labels`, or lacks one of them.
    """
    try:
        rows = _rows(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from error
    names = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}
    unknown, missing = sorted(set(names) - set(labels)), [label for label in labels if label not in names]
    if unknown or missing:
        what = f"names labels that the bundle lacks: {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise SourceError(f"{path} {what}; below a line of column names it needs a line for each of {', '.join(labels)}.")
    return names


def _rows(path: Path) -> list[list[str]]:
    def is_header(cells: Sequence[str]) -> bool:
        return len(without_empty_end(cells)) > 1

    kind = table_kind(path)
    if kind == "workbook":
        return list(workbook_rows(path, is_header)[1])
    if kind != "text":
        raise damaged_table(path, ValueError("not a table of two columns"))
    return [row.cells for row in text_rows(path, is_header)[1] if not row.fault]
