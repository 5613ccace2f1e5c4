"""Read folders of labelled photos whose labels map to Fashion-MNIST's, such as the clothing dataset."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagger.data.labels import LABELS, NONE
from tagger.errors import DatasetError
from tagger.file_names import resolve_escaped


@dataclass(frozen=True)
class ClothingPhoto:
    """A labelled photo."""

    file: Path
    label: int
    """Index into `LABELS`, or `NONE`."""
    group: str
    """Sender or product: photos of a group belong to the same split. Empty where the table does not name it."""


LABEL_CLASSES = {
    **dict(zip(LABELS, range(len(LABELS)), strict=True)),
    "T-Shirt": 0,
    "Polo": 0,
    "Top": 0,
    "Undershirt": 0,
    "Pants": 1,
    "Hoodie": 2,
    "Longsleeve": 2,
    "Blazer": 4,
    "Outwear": 4,
    "Blouse": 6,
    "Body": NONE,
    "Hat": NONE,
    "Shorts": NONE,
    "Skirt": NONE,
    "OOD": NONE,
}
"""Class of each label of Fashion-MNIST, the clothing dataset and `labels.csv`; photos with other labels are left out."""


class _Layout(NamedTuple):
    """Where a folder keeps its labels and photos."""

    table: str
    file_column: str
    group_column: str
    photo_folders: tuple[str, ...]
    """Possible subfolders of the photos; the folder itself where none of them exists."""


_LAYOUTS = (
    _Layout("labels.csv", "path", "group", ()),
    _Layout("images.csv", "image", "sender_id", ("images", "images_original")),  # as the clothing dataset is published
)

LABEL_TABLES = tuple(layout.table for layout in _LAYOUTS)
"""Names of the label tables that a folder may hold."""


def read_clothing_photos(folder: Path) -> list[ClothingPhoto]:
    """Read the label table of a folder, such as the clothing dataset of Alexey Grigorev (CC0-1.0).

    The table is `labels.csv` (columns path, label and group) or, where it is missing, the dataset's own `images.csv`. Photos
    with a label that is not in `LABEL_CLASSES`, such as "Not sure", are left out. No photo is opened.

    Raises:
        DatasetError: if no table exists, it cannot be read, lacks a column, or names no photo with a known label.
    """
    layout = _layout_of(folder)
    table, file_column, group_column = folder / layout.table, layout.file_column, layout.group_column
    rows = _rows(table)
    if rows and not {file_column, "label", group_column} <= rows[0].keys():
        raise DatasetError(f"{table} needs the columns {file_column}, label and {group_column}.")
    photo_folder = next((folder / name for name in layout.photo_folders if (folder / name).is_dir()), folder)
    photos = [
        ClothingPhoto(_photo_file(photo_folder, row[file_column]), LABEL_CLASSES[row["label"]], row[group_column] or "")
        for row in rows
        if row["label"] in LABEL_CLASSES and row[file_column]
    ]
    if not photos:
        known = ", ".join(LABEL_CLASSES)
        raise DatasetError(f"{table} names no photo with a label that fmtag knows; use one of: {known}.")
    return photos


def _layout_of(folder: Path) -> _Layout:
    for layout in _LAYOUTS:
        if (folder / layout.table).is_file():
            return layout
    raise DatasetError(f"{folder} holds neither labels.csv nor images.csv; give a folder of photos with a table of labels.")


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table} cannot be read as a CSV in UTF-8 ({error}); repair or replace it.") from error


def table_checksum(folder: Path) -> dict[str, str]:
    """Return the sha256 of a folder's label table, keyed by the table's name.

    Raises:
        DatasetError: if the folder holds no label table.
    """
    layout = _layout_of(folder)
    return {layout.table: hashlib.sha256((folder / layout.table).read_bytes()).hexdigest()}


def _photo_file(folder: Path, name: str) -> Path:
    """Return the file of a table's entry; the clothing dataset names photos without their suffix."""
    return resolve_escaped(folder / name if Path(name).suffix else folder / f"{name}.jpg")
