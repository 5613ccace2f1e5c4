"""Find a table's image column and label column by their names."""

import re
from collections.abc import Sequence

from tagger.errors import SourceError

IMAGE_COLUMNS = (
    "image image_path image_file image_filename image_src image_name product_image path file_path file filename "
    "file_name photo photo_path picture img img_path src"
).split()
"""Usual names of an image column, the likeliest first; case, spaces and underscores do not matter."""

LABEL_COLUMNS = ("label", "class", "category", "tag")
"""Usual names of a label column, the likeliest first."""


def normalised(name: str) -> str:
    """Return a column name or label without case, spaces and punctuation, to compare it by.

    Folder names cannot hold a `/`, spreadsheets rename columns, and people vary the case.
    """
    return re.sub(r"[\W_]+", "", name).casefold()


def image_column(table: str, columns: Sequence[str], given: str | None = None) -> str:
    """Return the column that holds the paths: `given`, or the first of a usual name.

    Raises `SourceError`, which names `table`, where `columns` is empty, has a name twice, or lacks such a column.
    """
    if not columns:
        raise SourceError(f"{table} is empty; a table needs a line of column names.")
    duplicates = sorted({name for name in columns if list(columns).count(name) > 1})
    if duplicates:
        names = ", ".join(map(repr, duplicates))
        raise SourceError(f"{table} has more than one column named {names}; rename all but one.")
    return _find("image", columns, given, IMAGE_COLUMNS, table)


def label_column(columns: Sequence[str], given: str | None = None, table: str = "The table") -> str:
    """Return the column that holds the labels: `given`, or the first of a usual name.

    Raises `SourceError`, which names `table`, where `columns` lacks such a column.
    """
    return _find("label", columns, given, LABEL_COLUMNS, table)


def _find(kind: str, columns: Sequence[str], given: str | None, usual: Sequence[str], table: str) -> str:
    existing = ", ".join(columns) or "none"
    if given is not None:
        if given not in columns:
            raise SourceError(f"{table} has no column {given!r}; its columns are: {existing}.")
        return given
    by_normalised = {normalised(name): name for name in reversed(columns)}  # of names that are alike the first one counts
    for name in usual:
        if normalised(name) in by_normalised:
            return by_normalised[normalised(name)]
    raise SourceError(
        f"{table} has no {kind} column that its name tells; its columns are: {existing}. Name one with --{kind}-column."
    )
