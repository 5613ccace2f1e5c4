"""The image columns of exports of shop systems are known."""

import pytest

from tagger.catalog.cell_images import SEPARATORS
from tagger.catalog.columns import ImageColumns, unique_names
from tagger.catalog.export_formats import EXPORT_FORMATS, image_columns, recognised_format
from tagger.catalog.settings import TABLE_FORMATS, SourceSettings
from tagger.errors import SourceError

EXPORTS = {
    "Handle;Title;Image Src;Image Position;Variant Image": ("shopify", "Image Src", ("Variant Image",), ""),
    "Title;URL handle;Product image URL;Variant image URL": ("shopify", "Product image URL", ("Variant image URL",), ""),
    "ID;Type;SKU;Name;Images": ("woocommerce", "Images", (), ","),
    "ID;Typ;Artikelnummer;Name;Bilder": ("woocommerce", "Bilder", (), ","),
    "sku;base_image;small_image;thumbnail_image;additional_images": (
        "magento",
        "base_image",
        ("small_image", "thumbnail_image", "additional_images"),
        ",",
    ),
    "sku;_attribute_set;image;small_image;thumbnail": ("magento", "image", ("small_image", "thumbnail"), ","),
    "id;title;image link;additional image link": ("google", "image link", ("additional image link",), ","),
    "id;image_link;additional_image_link;additional_image_link": (
        "google",
        "image_link",
        ("additional_image_link", "additional_image_link.2"),
        ",",
    ),
    "Product ID;Name *;Image URLs (x,y,z...)": ("prestashop", "Image URLs (x,y,z...)", (), ","),
    "sku;image;image": ("plain", "image", ("image.2",), SEPARATORS),
    "sku;image_2;image_1": ("plain", "image_1", ("image_2",), SEPARATORS),
    "sku;Zdjęcie": ("plain", "Zdjęcie", (), SEPARATORS),
}


@pytest.mark.parametrize("header", EXPORTS)
def test_an_export_is_told_by_its_columns(header: str) -> None:
    """The column that counts, further ones in order, and what separates images in a cell."""
    columns = unique_names(header.split(";"))
    name, main, further, separators = EXPORTS[header]
    found = image_columns("t.csv", columns)
    assert (recognised_format(columns), found.main, found.further, found.separators) == (name, main, further, separators)


def test_a_given_column_wins() -> None:
    """Also over the export's own."""
    columns = ["Handle", "Image Src", "Variant Image"]
    assert image_columns("t.csv", columns, SourceSettings("variant image")) == ImageColumns("Variant Image")


def test_an_export_that_the_table_is_not_is_refused() -> None:
    """The sentence names its columns and the option; `plain` takes usual names alone."""
    with pytest.raises(SourceError, match=r"no column Product image URL or Image Src of --table-format shopify"):
        image_columns("t.csv", ["sku", "image"], SourceSettings(table_format="shopify"))
    plain = image_columns("t.csv", ["id", "image_link", "additional_image_link"], SourceSettings(table_format="plain"))
    assert plain == ImageColumns("image_link")


def test_a_table_without_columns_is_empty() -> None:
    """The error names the table."""
    with pytest.raises(SourceError, match=r"^t\.csv is empty"):
        image_columns("t.csv", [])


def test_every_export_has_a_setting() -> None:
    """`auto` and `plain` are the others."""
    assert {*EXPORT_FORMATS, "auto", "plain"} == set(TABLE_FORMATS)
