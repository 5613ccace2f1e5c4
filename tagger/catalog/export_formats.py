"""Know the exports of common shop systems: the columns that hold images, and what separates several images in a cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from tagger.catalog.cell_images import SEPARATORS
from tagger.catalog.columns import (
    ImageColumns,
    given_column,
    key_of,
    numbered_image_columns,
    require_column,
    usual_image_column,
)
from tagger.catalog.settings import DEFAULT_READING, SourceSettings, TableFormat
from tagger.errors import SourceError


@dataclass(frozen=True)
class ExportFormat:
    """The columns of an export, by names that are compared without case, spaces and punctuation."""

    image: tuple[str, ...]
    """Names of the column whose image counts, one of which an export has."""
    further: tuple[str, ...]
    """Columns of further images, in the order in which they stand in for an empty one."""
    separators: str
    """Characters that separate several images in a cell; empty where a cell holds one."""
    recognised: tuple[frozenset[str], ...]
    """Sets of columns that no other table has; a table with all columns of one set, and `image`, is this export."""
    no_image: frozenset[str] = frozenset()
    """Cells that mean that the row has no image."""


def _sets(*lists: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(key_of(name) for name in names.split(", ")) for names in lists)


EXPORT_FORMATS: dict[TableFormat, ExportFormat] = {
    # help.shopify.com/en/manual/products/import-export/using-csv: the headers of 2025 and, second, those of before. A row is a
    # variant, a further image of the product, or both.
    "shopify": ExportFormat(
        image=("Product image URL", "Image Src"),
        further=("Variant image URL", "Variant Image"),
        separators="",
        recognised=_sets("URL handle", "Handle", "Product image URL, Image position", "Image Src, Image Position"),
    ),
    # WooCommerce's product CSV (class-wc-product-csv-exporter.php): "Images", separated by commas, in the shop's language.
    "woocommerce": ExportFormat(
        image=(
            *("Images", "Bilder", "Imágenes", "Immagini", "Afbeeldingen", "Imagens", "Obrazki", "Billeder", "Kuvat", "Obrázky"),
            *("Képek", "Imagini", "Görseller", "Изображения", "画像"),
        ),
        further=(),
        separators=",",
        recognised=_sets(
            "ID, Type, SKU", "SKU, Published", "ID, SKU", "SKU, Name", "ID, Typ, Artikelnummer", "ID, UGS", "ID, Tipo"
        ),
    ),
    # Magento 2's product export, and Magento 1's with its one image per row (_media_image).
    "magento": ExportFormat(
        image=("base_image", "image"),
        further=("small_image", "thumbnail_image", "thumbnail", "swatch_image", "additional_images", "_media_image"),
        separators=",",
        recognised=_sets("sku, base_image", "base_image, small_image", "sku, small_image, thumbnail", "sku, _attribute_set"),
        no_image=frozenset({"no_selection", "__EMPTY__VALUE__"}),
    ),
    # support.google.com/merchants/answer/7052112; Meta's and Pinterest's catalogs have the same columns.
    "google": ExportFormat(
        image=("image_link",),
        further=("additional_image_link", "additional_image_links", "lifestyle_image_link"),
        separators=",",
        recognised=_sets("id", "additional_image_link", "google_product_category"),
    ),
    # PrestaShop's import and sample files: columns by semicolons, the images of a cell by commas.
    "prestashop": ExportFormat(
        image=("Image URLs (x,y,z...)", "Image URLs", "URL des images (x,y,z...)", "Bild-URLs (x,y,z...)"),
        further=(),
        separators=",",
        recognised=_sets(
            "Image URLs (x,y,z...)", "URL des images (x,y,z...)", "Bild-URLs (x,y,z...)", "Product ID", "Reference #"
        ),
    ),
}
"""The exports that fmtag knows, in the order in which they are tried."""


def recognised_format(columns: Sequence[str]) -> TableFormat:
    """Return whose export a table is, by the names of its columns; `plain` where it is none that is known."""
    keys = {key_of(name) for name in columns}
    for name, format in EXPORT_FORMATS.items():
        if keys.intersection(map(key_of, format.image)) and any(needed <= keys for needed in format.recognised):
            return name
    return "plain"


def image_columns(table: str, columns: Sequence[str], reading: SourceSettings = DEFAULT_READING) -> ImageColumns:
    """Return the columns of a table that hold images: the given one, those of an export, or the first of a usual name.

    `columns` are unique names, as `unique_names` returns. Raises `SourceError`, which names `table`, where there is no such
    column.
    """
    if not columns:
        raise SourceError(f"{table} is empty; a table needs a line of column names.")
    found = find_image_columns(columns, reading)
    if found is None and reading.image_column is None and reading.table_format in EXPORT_FORMATS:
        names = " or ".join(EXPORT_FORMATS[reading.table_format].image[:2])
        raise SourceError(
            f"{table} has no column {names} of --table-format {reading.table_format}; its columns are: {', '.join(columns)}. "
            "Leave the option out, or name the column with --image-column."
        )
    require_column("image", table, columns, reading.image_column, found.main if found else None)
    assert found is not None
    return found


def facts_of(columns: Sequence[str], images: ImageColumns, reading: SourceSettings) -> tuple[tuple[str, str], ...]:
    """Return whose export a table is, where that is known, and its image columns, name and text each, for `Source.facts`."""
    name = recognised_format(columns) if reading.table_format == "auto" else reading.table_format
    export = (("export of", name),) if name in EXPORT_FORMATS else ()
    further = (("further image columns", ", ".join(images.further)),) if images.further else ()
    return (*export, ("image column", images.main), *further)


def find_image_columns(columns: Sequence[str], reading: SourceSettings = DEFAULT_READING) -> ImageColumns | None:
    """Return the columns of a table that hold images; None where there is no such column."""
    name = recognised_format(columns) if reading.table_format == "auto" else reading.table_format
    found = _columns_of_export(EXPORT_FORMATS[name], columns) if name in EXPORT_FORMATS else _usual_columns(columns)
    if reading.image_column is None:
        return found
    given = given_column(columns, reading.image_column)
    if given is None:
        return None
    if found is not None and found.main == given:
        return found
    return ImageColumns(given, separators=_separators(reading))


def _columns_of_export(format: ExportFormat, columns: Sequence[str]) -> ImageColumns | None:
    keys = [key_of(name) for name in columns]

    def named(names: Sequence[str]) -> list[str]:
        wanted = [key_of(name) for name in names]
        # A column that an export has several times (additional_image_link) is here `name.2`, whose key ends in the number.
        return [
            column
            for one in wanted
            for column, key in zip(columns, keys, strict=True)
            if key == one or (key.startswith(one) and key[len(one) :].isdigit())
        ]

    main = named(format.image)
    if not main:
        return None
    further = [column for column in [*main[1:], *named(format.further)] if column != main[0]]
    return ImageColumns(main[0], tuple(dict.fromkeys(further)), format.separators, format.no_image)


def _usual_columns(columns: Sequence[str]) -> ImageColumns | None:
    usual, numbered = usual_image_column(columns), numbered_image_columns(columns)
    main = usual if usual is not None else next(iter(numbered), None)
    if main is None:
        return None
    return ImageColumns(main, tuple(column for column in numbered if column != main))


def _separators(reading: SourceSettings) -> str:
    """Return what separates images in a column that the user named, which may be another one than the export's own."""
    format = EXPORT_FORMATS.get(reading.table_format)
    return SEPARATORS if format is None else format.separators
