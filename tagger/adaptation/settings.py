"""The settings of `fmtag adapt` and `fmtag pick`."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tagger.catalog.settings import DEFAULT_READING, SourceSettings
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.settings import DEFAULT_MODEL, Device

OtherLabels: TypeAlias = Literal["keep", "drop"]

OTHER_LABELS: tuple[OtherLabels, ...] = get_args(OtherLabels)


@dataclass(frozen=True)
class AdaptSettings:
    """The settings of `fmtag adapt` and `fmtag pick`."""

    catalog: str
    out: str
    """Folder of the new bundle; for `fmtag pick`, the table to write."""
    start: str = DEFAULT_MODEL
    """Bundle to adapt."""
    labels: str | None = None
    """A table, a folder with one subfolder per class, or a corrected output of `fmtag run`."""
    reading: SourceSettings = DEFAULT_READING
    label_column: str | None = None
    other_labels: OtherLabels | None = None
    """Whether the bundle's labels that the table does not name are kept; None keeps them if the table names any label of the
    bundle."""
    deep: bool = False
    """Whether to fine-tune the backbone too, and not only to fit an adapter."""
    force: bool = False
    """Whether to write the bundle even if its accuracy falls or the catalog is unsuitable."""
    device: Device = "auto"
    workers: int | None = None
    decoding: DecodeSettings = DEFAULT_DECODING
