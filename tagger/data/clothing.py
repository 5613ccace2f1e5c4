"""Folders of labelled photos such as the clothing dataset."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from tagger.data.labels import LABELS, NONE
from tagger.errors import DatasetError
from tagger.file_names import resolve_escaped


@dataclass(frozen=True)
class ClothingPhoto:
    """A photo to learn from: its class, `NONE` for one of none of them, and whose it is."""

    file: Path
    label: int
    group: str


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
"""The classes of the labels of Fashion-MNIST, of the clothing dataset, and of our own tables; others are left out."""

_LAYOUTS = (("labels.csv", "path", "group", ("",)), ("images.csv", "image", "sender_id", ("images", "images_original")))
"""Table, columns of the file and of whose it is, and folders of the photos: ours, and the clothing dataset's own."""


def read_clothing_photos(folder: Path) -> list[ClothingPhoto]:
    """Return the photos of a folder with a table of labels, such as the clothing dataset of Alexey Grigorev (CC0-1.0).

    The table is `labels.csv` (columns path, label and group) or the dataset's own `images.csv`. Photos with a label that
    is not in `LABEL_CLASSES`, such as "Not sure", are left out. Raises `DatasetError` where there is no such table, or no photo.
    """
    for name, file_column, group_column, places in _LAYOUTS:
        if (folder / name).is_file():
            rows = _rows(folder / name)
            place = next((folder / place for place in places if (folder / place).is_dir()), folder)
            if rows and not {file_column, "label", group_column} <= rows[0].keys():
                raise DatasetError(f"{folder / name} needs the columns {file_column}, label and {group_column}.")
            photos = [
                ClothingPhoto(_photo_file(place, row[file_column]), LABEL_CLASSES[row["label"]], row[group_column] or "")
                for row in rows
                if row["label"] in LABEL_CLASSES and row[file_column]
            ]
            if photos:
                return photos
            raise DatasetError(
                f"{folder / name} names no photo with a label that fmtag knows; these are: {', '.join(LABEL_CLASSES)}."
            )
    raise DatasetError(f"{folder} holds neither labels.csv nor images.csv; give a folder of photos with a table of labels.")


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table} cannot be read as a CSV in UTF-8 ({error}); mend or replace it.") from error


def table_checksum(folder: Path) -> dict[str, str]:
    """Return the sha256 of a folder's table of labels by its name."""
    table = next(folder / name for name, *_ in _LAYOUTS if (folder / name).is_file())
    return {table.name: hashlib.sha256(table.read_bytes()).hexdigest()}


def _photo_file(place: Path, name: str) -> Path:
    return resolve_escaped(place / name if Path(name).suffix else place / f"{name}.jpg")
