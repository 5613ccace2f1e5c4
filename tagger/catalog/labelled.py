"""A table or a folder of labelled photos as a stream of items whose columns are `label`, `kind` and `group`."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tagger.catalog import source
from tagger.errors import DatasetError, SourceError
from tagger.file_names import escape_surrogates
from tagger.records import Item

LABELS_FILE = "labels.csv"
"""A folder with such a table is labelled by it, instead of by its subfolders."""


def labelled_items(given: str, image_column: str | None = None, label_column: str | None = None) -> Iterator[Item]:
    """Yield the labelled photos of a table with an image and a label column, or of a folder with one subfolder a class.

    Columns `kind` and `group` are those of the table, empty where it has none. Raises `SourceError` or `DatasetError`
    where the source is neither.
    """
    path = labels_location(given)
    opened = source.open_source(str(path), image_column)
    if not path.is_dir():
        if not opened.columns:
            raise SourceError(
                f"{given} is a single photo without a label; give a folder with one subfolder per class, or a table with an "
                "image and a label column."
            )
        column = source.label_column(opened.columns, label_column, str(path))
        of_a_run = "group_confidence" in opened.columns  # there, `group` is a group of labels, not of photos
        for item in opened.items:
            cells = {
                "label": item.columns[column],
                "kind": item.columns.get("kind"),
                "group": None if of_a_run else item.columns.get("group"),
            }
            # Parquet has None for what is missing among texts, and nan, which is no number, among numbers.
            texts = {name: "" if cell is None or cell != cell else _readable(cell) for name, cell in cells.items()}
            flagged = str(item.columns.get("low_confidence", "")).casefold() == "true"
            yield Item(item.path, item.file, {**texts, "flagged": flagged and of_a_run}, item.problem)
        return
    for item in opened.items:
        folder, slash, _ = item.path.partition("/")
        if not slash:
            raise DatasetError(
                f"{given} holds {item.path} outside any subfolder; sort the photos into one subfolder a class, "
                "or give a table with an image and a label column."
            )
        yield Item(
            item.path, item.file, {"label": escape_surrogates(folder), "kind": "", "group": "", "flagged": False}, item.problem
        )


def photo_files(sources: Iterable[str], image_column: str | None = None) -> Iterator[Path]:
    """Yield the files of the photos of all sources that can be read; of others it is no matter here."""
    for given in sources:
        with suppress(SourceError):
            items = source.open_source(str(labels_location(given)), image_column).items
            yield from (Path(item.file) for item in items if item.file is not None)


def labels_location(given: str) -> Path:
    """Return the table or folder that a source names: a folder's own table where it holds one."""
    table = Path(given, LABELS_FILE)
    return table if os.path.isfile(table) else Path(given)


def _readable(cell: object) -> object:
    """Return a cell of which nothing is left that UTF-8 cannot hold: labels go into cards, groups into tables."""
    return escape_surrogates(cell) if isinstance(cell, str) else cell


def normalised(label: str) -> str:
    """Return a label without case, spaces and punctuation: folders cannot hold a /, and people vary the case."""
    return re.sub(r"[\W_]+", "", label).casefold()
