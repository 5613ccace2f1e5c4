"""The settings of `fmtag adapt` and `fmtag pick`."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tagger.settings import DEFAULT_MODEL, Device

OtherLabels: TypeAlias = Literal["keep", "drop"]

OTHER_LABELS: tuple[OtherLabels, ...] = get_args(OtherLabels)


@dataclass(frozen=True)
class AdaptSettings:
    """What `fmtag adapt` and `fmtag pick` were asked for."""

    catalog: str
    out: str
    """Folder of the new bundle."""
    start: str = DEFAULT_MODEL
    labels: str | None = None
    """A table, a folder with one subfolder a class, or a corrected output of `fmtag run`."""
    image_column: str | None = None
    label_column: str | None = None
    other_labels: OtherLabels | None = None
    """What becomes of the bundle's labels that the table does not name; None keeps them if the table names some of them."""
    deep: bool = False
    """Whether the network learns too, not only what stands beside it."""
    force: bool = False
    """Whether to write a bundle that is less right than the one begun with, or learnt from too little."""
    device: Device = "auto"
    workers: int | None = None
