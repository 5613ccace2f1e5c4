"""Read labelled photos from a table, or from a folder with one subfolder per class, as a stream of items."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tagger.catalog.columns import label_column as find_label_column
from tagger.catalog.items import with_image
from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.catalog.source import open_source
from tagger.errors import DatasetError, SourceError
from tagger.file_names import escape_surrogates
from tagger.records import Item

LABELS_FILE = "labels.csv"
"""A folder that holds a table of this name is labelled by it, instead of by its subfolders."""


def labelled_items(given: str, reading: SourceSettings = DEFAULT_READING, label_column: str | None = None) -> Iterator[Item]:
    """Yield the labelled photos of a table with an image and a label column, or of a folder with one subfolder per class.

    Rows of a table without an image are passed over, as they show nothing that could be labelled.
    The items' columns are `label`, `kind` and `group` (text, empty where the table lacks them) and `flagged` (whether the
    row comes from an output of a run that flagged it). Raises `SourceError` or `DatasetError` where the source is neither.
    """
    path = labels_location(given)
    if path.is_dir():
        yield from _items_of_folder(given, path, reading)
    else:
        yield from _items_of_table(given, path, reading, label_column)


def _items_of_table(given: str, path: Path, reading: SourceSettings, label_column: str | None) -> Iterator[Item]:
    opened = open_source(str(path), reading)
    if not opened.columns:
        raise SourceError(
            f"{given} is a single photo without a label; give a folder with one subfolder per class, or a table with an "
            "image and a label column."
        )
    column = find_label_column(opened.columns, label_column, str(path))
    of_a_run = "group_confidence" in opened.columns  # an output's `group` is a group of labels, not of photos
    for item in with_image(opened.items):
        cells = {
            "label": item.columns[column],
            "kind": item.columns.get("kind"),
            "group": None if of_a_run else item.columns.get("group"),
        }
        flagged = str(item.columns.get("low_confidence", "")).casefold() == "true"
        texts = {name: _text(cell) for name, cell in cells.items()}
        yield Item(item.path, item.place, {**texts, "flagged": flagged and of_a_run}, item.problem)


def _items_of_folder(given: str, path: Path, reading: SourceSettings) -> Iterator[Item]:
    for item in open_source(str(path), reading).items:
        folder, slash, _ = item.path.partition("/")
        if not slash:
            raise DatasetError(
                f"{given} holds {item.path} outside any subfolder; sort the photos into one subfolder per class, "
                "or give a table with an image and a label column."
            )
        columns = {"label": escape_surrogates(folder), "kind": "", "group": "", "flagged": False}
        yield Item(item.path, item.place, columns, item.problem)


def photo_files(sources: Iterable[str], reading: SourceSettings = DEFAULT_READING) -> Iterator[Path]:
    """Yield the files of the photos of all sources; a source that cannot be read is passed over."""
    for given in sources:
        with suppress(SourceError):
            items = open_source(str(labels_location(given)), reading).items
            yield from (Path(item.file) for item in items if item.file is not None)


def labels_location(given: str) -> Path:
    """Return the table or folder that holds a source's labels: for a folder its own `labels.csv` if it has one."""
    table = Path(given, LABELS_FILE)
    return table if os.path.isfile(table) else Path(given)


def _text(cell: object) -> object:
    """Return a cell with "" for a missing value, and text that UTF-8 can hold: labels go into cards, groups into tables."""
    # Parquet has None for a missing text and nan, which is not equal to itself, for a missing number.
    if cell is None or cell != cell:
        return ""
    return escape_surrogates(cell) if isinstance(cell, str) else cell
