"""The architecture of a network, as it is stored on a bundle's card."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

MAX_ENSEMBLE_MEMBERS = 32
"""Most networks of an ensemble; the gain comes from the first few."""


Family: TypeAlias = Literal["residual", "plain", "resnet18", "mobilenet-v3", "efficientnet-b0"]

FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture of a `Network`, as it is stored on a bundle's card."""

    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each stage. Every stage halves height and width; the first one of the residual family only if `pooled`."""
    blocks: int | tuple[int, ...] = 1
    """Residual blocks, or convolutions of the plain family, per stage: one number for all stages, or one for each."""
    stem: int = 0
    """Channels of the convolution before residual stages; 0 for as many as the first stage has."""
    pooled: bool = False
    """Whether stages are downsampled by max-pooling instead of strides."""
    classes: int = 10
    """Classes of the first head, for images in Fashion-MNIST's own format."""
    photo_classes: int = 0
    """Classes of the second head, for photos; 0 if one head serves both."""
    mean: float = 0.2860
    """Mean of the training images' pixels, in 0..1, by which the input is normalized."""
    deviation: float = 0.3530
    """Standard deviation of the training images' pixels, in 0..1."""
    family: Family = "residual"
    """Kind of network; those of torchvision have one shape, to which only `classes`, `photo_classes` and `members` apply."""
    norms: bool = True
    """Plain family: whether batch normalization follows each convolution."""
    dense: tuple[int, ...] = ()
    """Plain family: widths of the dense layers before the head."""
    dropout: float = 0.0
    """Plain family: share of the input of each dense layer and of the head that is dropped in training, 0 to less than 1."""
    members: int = 1
    """Number of networks of this shape side by side, as an ensemble."""

    @property
    def sees_any_side(self) -> bool:
        """Whether the network takes images of other sizes than 28x28: not if its feature maps are flattened."""
        return self.family != "plain"

    @property
    def depths(self) -> tuple[int, ...]:
        """Number of blocks of each stage."""
        return (self.blocks,) * len(self.widths) if isinstance(self.blocks, int) else self.blocks

    def __post_init__(self) -> None:
        """Refuse architectures that cannot be built or would take absurd memory, as a damaged card may hold."""
        if not (1 <= len(self.widths) <= 4 and all(1 <= width <= 4096 for width in self.widths)):
            raise ValueError(f"widths must be one to four numbers from 1 to 4096, not {self.widths}")
        if len(self.depths) != len(self.widths) or not all(1 <= depth <= 32 for depth in self.depths):
            raise ValueError("blocks must be 1 to 32, one number or one for each stage")
        if self.family not in FAMILIES:
            raise ValueError(f"the family must be one of {', '.join(FAMILIES)}, not {self.family}")
        if len(self.dense) > 4 or not all(1 <= width <= 4096 for width in self.dense) or not 0 <= self.dropout < 1:
            raise ValueError("dense must be at most four numbers from 1 to 4096, dropout 0 to less than 1")
        if not 0 <= self.stem <= 4096 or not 2 <= self.classes <= 10_000 or not 0 < self.deviation < math.inf:
            raise ValueError("stem must be 0 to 4096, classes 2 to 10000, deviation positive")
        if self.photo_classes not in (0, self.classes, self.classes + 1):
            raise ValueError("photo_classes must be 0, classes, or one more, for what is none of them")
        if not math.isfinite(self.mean) or not 1 <= self.members <= MAX_ENSEMBLE_MEMBERS:
            raise ValueError(f"mean must be a number, members 1 to {MAX_ENSEMBLE_MEMBERS}")
