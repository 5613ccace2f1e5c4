"""Settings of how a source of photos is read, shared by every command that reads one."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

TableFormat: TypeAlias = Literal["auto", "plain", "shopify", "woocommerce", "magento", "google", "prestashop"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)
"""Whose export a table is; `auto` tells it by the names of the columns, `plain` is for no known shop system."""


@dataclass(frozen=True)
class SourceSettings:
    """Settings of how a source of photos is read."""

    image_column: str | None = None
    """Column of a table that holds the images; None takes it from the column names."""
    table_format: TableFormat = "auto"
    """Whose export a table is: which columns hold images, and what separates several images in a cell."""
    all_images: bool = False
    """Whether each image of a table's row is an item of its own; else the first one counts."""
    exclude: tuple[str, ...] = ()
    """Patterns by gitignore's rules of entries of a folder that are left out; one that begins with `!` is an exception."""
    include: tuple[str, ...] = ()
    """Patterns by gitignore's rules of the files of a folder that are read; without any all are."""
    null_separated: bool = False
    """Whether the paths on standard input end with NUL, as `find -print0` writes them, instead of a line break."""
    fetch: bool = False
    """Whether photos at addresses are fetched, and sources in buckets read, which `fmtag run` alone does."""


DEFAULT_READING = SourceSettings()

WITH_FETCHING = SourceSettings(fetch=True)
