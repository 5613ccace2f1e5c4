"""Settings of how a source of photos is read, shared by every command that reads one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceSettings:
    """Settings of how a source of photos is read."""

    image_column: str | None = None
    """Column of a table that holds the images; None takes it from the column names."""
    all_images: bool = False
    """Whether each image of a table's row is an item of its own; else the first one counts."""


DEFAULT_READING = SourceSettings()
