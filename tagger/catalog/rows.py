"""Lay out the rows of an output: its columns, one row per photo, and the text form of a cell."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tagger.records import Item, Tag

Row: TypeAlias = dict[str, Any]
"""The values of a row by column name, in the order of the columns."""

Columns: TypeAlias = Mapping[str, str | None]
"""Output columns in order, each mapped to the source column that it repeats, or to None for one of fmtag's own."""


@dataclass(frozen=True)
class TextRows:
    """Some rows of an output as text, in the order of its columns."""

    lines: Sequence[bytes]
    """The cells of each row, in UTF-8 and with commas between: a line of a CSV, unless a cell has to be quoted."""
    cells: Callable[[], Iterable[Sequence[str]]]
    """Returns the same rows cell by cell, which takes longer; file names that are no Unicode hold lone surrogates."""


COLUMNS = ("path", "tag", "confidence", "low_confidence", "reason", "group", "group_confidence", "duplicate_of")
"""fmtag's own columns that every output has; `tag_2`, `confidence_2` and so on, and last `model`, follow."""

DECIMALS = 4
"""Decimals of the confidences in text formats."""


def output_columns(source_columns: Sequence[str], top_k: int) -> dict[str, str | None]:
    """Return the columns of an output: those of the source, then fmtag's own for `top_k` tags per photo.

    A source column with the name of one of fmtag's is kept as `source_NAME`.
    """
    own = [*COLUMNS]
    for rank in range(2, top_k + 1):
        own += [f"tag_{rank}", f"confidence_{rank}"]
    own.append("model")
    taken = {*own, *source_columns}
    columns: dict[str, str | None] = {}
    for name in source_columns:
        kept = name
        while kept in own or (kept != name and kept in taken):
            kept = f"source_{kept}"
        columns[kept] = name
    return {**columns, **dict.fromkeys(own)}


def output_row(item: Item, tag: Tag, model: str, columns: Columns, duplicate_of: str = "") -> Row:
    """Return the row of one photo in the columns that `output_columns` returned."""
    label, confidence = tag.ranked[0] if tag.ranked else ("", None)
    own: Row = {
        "path": item.path,
        "tag": label,
        "confidence": confidence,
        "low_confidence": tag.low_confidence,
        "reason": tag.reason,
        "group": tag.group,
        "group_confidence": tag.group_confidence,
        "duplicate_of": duplicate_of,
        "model": model,
    }
    for rank, (label, confidence) in enumerate(tag.ranked[1:], 2):
        own |= {f"tag_{rank}": label, f"confidence_{rank}": confidence}
    return {name: item.columns.get(source) if source is not None else own.get(name) for name, source in columns.items()}


def tag_cells(tag: Tag) -> tuple[str, str, str, str, str, str]:
    """Return tag, confidence, low_confidence, reason, group and group_confidence as a CSV has them."""
    label, confidence = tag.ranked[0] if tag.ranked else ("", None)
    group_confidence = format_confidence(tag.group_confidence)
    return label, format_confidence(confidence), format_cell(tag.low_confidence), tag.reason, tag.group, group_confidence


def format_confidence(value: float | None) -> str:
    """Return a confidence 0..1 with `DECIMALS` decimals, empty for None."""
    return "" if value is None else f"{value:.{DECIMALS}f}"


def format_cell(value: Any) -> str:
    """Return the text form of a cell: JSON for lists and objects, empty for a missing value."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list() | tuple() | dict():
            return format_json(value)
        case float() if math.isnan(value):
            return ""
    return str(value)


def format_json(value: Any) -> str:
    """Return a value as JSON; NaN and infinities, which JSON lacks, are null, and dates and the like their text."""
    return json.dumps(_finite(value), ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [_finite(part) for part in value]
        case dict():
            return {str(name): _finite(part) for name, part in value.items()}
    return value
