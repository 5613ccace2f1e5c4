"""Values that packages pass to each other: frozen records without logic."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, Pixels

FailedReason: TypeAlias = Literal["missing", "unreadable", "truncated", "too_large", "not_an_image", "bad_row"]
FAILED_REASONS: tuple[FailedReason, ...] = get_args(FailedReason)
"""Why a photo could not be read."""

NoImage: TypeAlias = Literal["no_image"]
NO_IMAGE: NoImage = "no_image"
"""Why a row of a table has no tag where it names no image: not a failure, and not counted as a photo."""

Reason: TypeAlias = Literal["", "low_confidence", "not_recognised", "reviewed"] | FailedReason | NoImage
"""Why a tag is flagged or missing, or that a person decided it; empty for a tag that is neither."""

NO_COLUMNS: Mapping[str, object] = MappingProxyType({})
"""The columns of an item that comes from no table; cannot be changed, as items share it."""


@dataclass(frozen=True)
class Failed:
    """A photo that could not be read, or a row without one: a value in its own row, never an exception."""

    reason: FailedReason | NoImage
    detail: str
    """One sentence for the log."""


class EmbeddedPhoto(NamedTuple):
    """A photo whose bytes are in a Parquet table; `embedded_photos` reads them."""

    name: str
    """That it goes by in the output: the path that the table gives it, or `TABLE#ROW`."""
    table: str
    """Path of the table's file."""
    row: int
    """Number of its row, from 0."""
    column: str
    keys: tuple[str | int, ...]
    """What leads from the cell to the bytes: keys of structures and indices of lists."""
    size: int
    """Bytes."""
    digest: int
    """First 8 bytes of their sha256, as `Content.mtime_ns` has them."""


class RemotePhoto(NamedTuple):
    """A photo at an address: an object of a bucket, or a file of a web server; `storage.objects` reads them."""

    address: str
    """Such as `s3://bucket/key`, the key as it is and not percent-encoded, or `https://host/path`; without its signature."""
    size: int | None = None
    """Bytes, as listed; None where they are not known."""
    state: int | None = None
    """Tells one version of the object from another, as `Content.mtime_ns` has it; None where nothing does."""
    signature: str = ""
    """Parameters of the query that sign the address, a credential: never stored, logged or reported."""

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]


class RemoteFolder(NamedTuple):
    """The part of a bucket that a source is, which relative keys start from."""

    address: str
    """Ends with `/`."""


Holder: TypeAlias = Path | EmbeddedPhoto | RemotePhoto
"""What holds a photo's bytes: its file, a row of a table, or an address."""


class Item(NamedTuple):
    """One photo to tag: a file of a folder, a row of a table or a line of a list."""

    path: str
    """As the source gave it; for a folder relative to it, with `/`."""
    place: str | Path | EmbeddedPhoto | RemotePhoto | None
    """Where the photo lies; None where none can be read."""
    columns: Mapping[str, object] = NO_COLUMNS
    """The cells of its table row by column name, unchanged."""
    problem: Failed | None = None
    """Set where the source itself knows that no file can be opened, as for a row without a path."""

    @property
    def file(self) -> Path | None:
        """`place` as a Path, None where no file is the photo; made on access, as a million Paths take seconds."""
        return None if self.place is None or isinstance(self.place, EmbeddedPhoto | RemotePhoto) else Path(self.place)

    @property
    def holder(self) -> Holder | None:
        """What holds the photo's bytes; None where none can be read."""
        return self.place if isinstance(self.place, EmbeddedPhoto | RemotePhoto) else self.file


@dataclass(frozen=True)
class Photo:
    """A decoded photo: upright RGB pixels, no larger than needed."""

    pixels: Pixels
    truncated: bool = False
    """Whether the file ended early or was damaged inside, so that the decoder filled up the rest."""
    alpha: Pixels | None = None
    """uint8 (h, w), the size of `pixels`, 255 = opaque: the file's transparency, which `pixels` shows on white. None where it
    has none, or the same nothing everywhere: all opaque or all transparent."""


RegionName: TypeAlias = Literal["upper", "lower", "whole"]
"""What of a person a part of a photo shows: above the hips, the legs, or from the neck down."""


@dataclass(frozen=True)
class Region:
    """A part of a photo that may be the product, where a person wears more than one garment."""

    name: RegionName
    pixels: Pixels
    """uint8 (28, 28), as in `ProductImage`."""
    colour: Pixels | None
    """uint8 (224, 224, 3), as in `ProductImage`."""
    prior: float
    """How likely it is the product by the framing alone, 0..1; the priors of a photo sum to 1."""


@dataclass(frozen=True)
class ProductImage:
    """The image that the network sees: uint8 (28, 28) grey, 0 = background, as Fashion-MNIST's images are."""

    pixels: Pixels
    found: bool
    """Whether a product stands out from the background of the photo."""
    truncated: bool = False
    """Whether the photo's file ended early or was damaged inside."""
    worn: bool = False
    """Whether the product was cut out of a person who wears it."""
    native: bool = False
    """Whether it is one of Fashion-MNIST's own images, or in their form, and not cut out of a photo."""
    colour: Pixels | None = None
    """uint8 (224, 224, 3): the product's box in RGB on an even ground; None for images of Fashion-MNIST's form."""
    region: RegionName | None = None
    """What of the person who wears it the product is; None where nobody does."""
    regions: tuple[Region, ...] = ()
    """All parts of the photo that may be the product, the one above first; empty where there is no choice."""


@dataclass(frozen=True)
class NetworkOutputs:
    """What a bundle's networks return for n parts of photos, float32, each row computed from its part alone."""

    small: Float32s
    """Calibrated probabilities of the small network (n, labels + 1); the last column is none of the labels."""
    maps: Float32s
    """Its pooled feature maps (n, d)."""
    features: Float32s | None = None
    """The backbone's features (n, F), 0 for images that have no colours; None without a backbone."""
    logits: Float32s | None = None
    """Its logits of ImageNet's classes (n, 1000), likewise."""


@dataclass(frozen=True)
class Content:
    """The content of a file as it was read, and what tells cheaply whether it has changed since."""

    sha256: bytes
    size: int
    """Bytes."""
    mtime_ns: int | None
    """Time of the last change, in nanoseconds since 1970; None where a later change could have the same time.

    A photo in a table has no time of its own: it is the first 8 bytes of its sha256. That of an object in a bucket
    stands for its entity tag, version and size."""


@dataclass(frozen=True)
class Result:
    """The outcome of a photo: all that its tag is decided from."""

    failed: Failed | None = None
    probabilities: NDArray[np.float32] | None = None
    """float32 (labels,), 0..1; None where the photo could not be read or no product stands out in it."""
    truncated: bool = False
    embedding: bytes | None = None
    """What a bundle with a backbone computes the probabilities from, at most 300 bytes; None for bundles without one."""
    reviewed: str | None = None
    """The label that a person decided on, empty for none of the labels; it outranks all else. None without a decision."""


@dataclass(frozen=True)
class Tag:
    """A photo's labels with their probabilities, and whether a person should check them."""

    ranked: tuple[tuple[str, float], ...]
    """(label, calibrated probability 0..1) of every label, most probable first; empty where the photo has no tag."""
    low_confidence: bool
    """Whether a person should check the photo."""
    reason: Reason
    """Why the tag is flagged, or why there is none; empty for an unflagged tag."""
    group: str = ""
    """The group of the label; empty where the photo has no tag."""
    group_confidence: float | None = None
    """Sum of the probabilities of the group's labels, 0..1; None where the photo has no tag."""
    path: str = ""
    """The path as `Tagger.tag` got it; empty for images and arrays, and for tags of a run."""

    @property
    def label(self) -> str:
        """The most probable label; empty where the photo has no tag."""
        return self.ranked[0][0] if self.ranked else ""

    @property
    def confidence(self) -> float:
        """Calibrated probability of the label, 0..1, rounded to four decimals; 0 where the photo has no tag."""
        return self.ranked[0][1] if self.ranked else 0.0
