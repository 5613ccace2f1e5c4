"""Find a table's image columns and label column by their names."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagger.catalog.cell_images import SEPARATORS
from tagger.errors import SourceError

IMAGE_COLUMNS = (
    "image image_path image_file image_filename image_src image_name product_image path file_path file filename "
    "file_name photo photo_path picture img img_path src "
    "images image_url image_urls image_link main_image primary_image photos photo_file photo_url photo_name pictures "
    "picture_url picture_file img_url img_src product_photo product_picture "
    # German, French, Spanish and Portuguese, Italian, Dutch, Polish, Scandinavian, Czech, Hungarian, Turkish, and so on
    "bild bilder bilddatei bildname bildpfad bild_url produktbild produktbilder artikelbild hauptbild foto fotos "
    "photographie visuel visuels image_principale url_image imagen imágenes imagenes imagem imagens immagine immagini "
    "fotografia afbeelding afbeeldingen zdjęcie zdjecie zdjęcia zdjecia obraz obrazek obrazy obrazki billede billeder bilde "
    "kuva kuvat obrázek obrázky kép képek görsel görseller resim изображение изображения фото 画像 图片 圖片 이미지 "
    "dateiname datei pfad fichier archivo"
).split()
"""Usual names of an image column, the likeliest first; case, spaces and underscores do not matter."""

LABEL_COLUMNS = ("label", "class", "category", "tag")
"""Usual names of a label column, the likeliest first."""


@dataclass(frozen=True)
class ImageColumns:
    """The columns of a table that hold images, and how a cell holds several of them."""

    main: str
    """The column whose image counts."""
    further: tuple[str, ...] = ()
    """Columns of further images of the same product, in the order in which they stand in for an empty `main`."""
    separators: str = SEPARATORS
    """Characters that may separate several images in a cell; empty where a cell holds one image, whatever it contains."""
    no_image: frozenset[str] = frozenset()
    """Cells that mean that the row has no image."""

    def images(self, cells: Mapping[str, object]) -> list[object]:
        """Return the values of a row's image columns, the one that counts first, "" for one that means no image."""
        values = [cells[self.main], *(cells[name] for name in self.further)]
        return ["" if isinstance(value, str) and value.strip() in self.no_image else value for value in values]


def normalised(name: str) -> str:
    """Return a column name or label without case, spaces and punctuation, to compare it by.

    Folder names cannot hold a `/`, spreadsheets rename columns, and people vary the case.
    """
    return re.sub(r"[\W_]+", "", name).casefold()


def key_of(name: str) -> str:
    """Return a column name in the form that usual names are compared in: `normalised`, accents composed."""
    return normalised(unicodedata.normalize("NFKC", name))


def unique_names(cells: Sequence[str]) -> list[str]:
    """Return the names of columns from a header's cells: without blanks and marks around them, each name once.

    A further column of the same name is `name.2`, `name.3` and so on. One without a name is `column_5` by its place, but for
    the first one, as data frames write their index without a name.
    """
    names = [cell.strip(" \t\r\n\v\f\0\xa0\ufeff\u200b") for cell in cells]
    names = [name or (f"column_{at}" if at > 1 else "") for at, name in enumerate(names, 1)]
    taken, unique = set(names), set[str]()
    for at, name in enumerate(names):
        number = 2
        while names[at] in unique:
            if (other := f"{name}.{number}") not in taken:
                names[at] = other
            number += 1
        unique.add(names[at])
    return names


def usual_image_column(columns: Sequence[str]) -> str | None:
    """Return the first column of the likeliest usual name of an image column; None where no name tells."""
    return _first_usual(columns, IMAGE_COLUMNS)


def numbered_image_columns(columns: Sequence[str]) -> list[str]:
    """Return columns of a usual name and a number (`image_1`, `Bild 2`, `Image 3 URL`, `image.2`), by their numbers."""
    usual = {key_of(name) for name in IMAGE_COLUMNS}
    found = []
    for at, name in enumerate(columns):
        key = key_of(name)
        numbers = re.findall(r"\d+", key)
        if len(numbers) == 1 and re.sub(r"\d+", "", key) in usual:
            found.append((int(numbers[0]), at, name))
    return [name for _, _, name in sorted(found)]


def given_column(columns: Sequence[str], given: str) -> str | None:
    """Return the column that a user named: of exactly this name, else the only one that differs in case or punctuation."""
    if given in columns:
        return given
    alike = [name for name in columns if key_of(name) == key_of(given)]
    return alike[0] if len(alike) == 1 and key_of(given) else None


def require_column(kind: str, table: str, columns: Sequence[str], given: str | None, found: str | None) -> str:
    """Return the column `found`; raise `SourceError` where it is None, with the columns of the table and the option."""
    if found is not None:
        return found
    existing = ", ".join(columns) or "none"
    if given is not None:
        raise SourceError(f"{table} has no column {given!r}; its columns are: {existing}.")
    raise SourceError(
        f"{table} has no {kind} column that its name tells; its columns are: {existing}. Name one with --{kind}-column."
    )


def label_column(columns: Sequence[str], given: str | None = None, table: str = "The table") -> str:
    """Return the column that holds the labels: `given`, or the first of a usual name.

    Raises `SourceError`, which names `table`, where `columns` lacks such a column.
    """
    found = _first_usual(columns, LABEL_COLUMNS) if given is None else given_column(columns, given)
    return require_column("label", table, columns, given, found)


def _first_usual(columns: Sequence[str], usual: Sequence[str]) -> str | None:
    by_key = {key_of(name): name for name in reversed(columns)}  # of names that are alike the first one counts
    return next((by_key[key_of(name)] for name in usual if key_of(name) in by_key), None)
