"""The shape of a network, as it stands in a bundle's card."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

MAX_ENSEMBLE_MEMBERS = 32
"""Of an ensemble; the gain is in the first few."""


Family: TypeAlias = Literal["residual", "plain", "resnet18", "mobilenet-v3", "efficientnet-b0"]

FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a `Network`, as it stands in a bundle's card.

    `widths` are the channels of each stage, and `blocks` its number of residual blocks, or of plain convolutions: one number
    for all, or one for each. Every stage after the first halves height and width, plain ones all do; where it is `pooled`, all
    stages do, by a max-pool. `stem` is the number of channels of the convolution before residual stages, 0 for as many as the
    first stage has. `norms`, `dense` and `dropout` are the plain family's: whether batch norms follow its convolutions, the
    widths of the dense layers before the head, and the share of their input that is dropped in training. Other families have
    one shape. `members` is how many networks of that shape stand side by side, an ensemble. `classes` are Fashion-MNIST's, and
    `photo_classes` those of a second head, for photos; 0 where one head does both. `mean` and `deviation` are those of the
    training pictures, in 0..1.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int | tuple[int, ...] = 1
    stem: int = 0
    pooled: bool = False
    classes: int = 10
    photo_classes: int = 0
    mean: float = 0.2860
    deviation: float = 0.3530
    family: Family = "residual"
    norms: bool = True
    dense: tuple[int, ...] = ()
    dropout: float = 0.0
    members: int = 1

    @property
    def sees_any_side(self) -> bool:
        """Whether the network takes pictures of another side than 28 pixels: not where maps are flattened."""
        return self.family != "plain"

    @property
    def depths(self) -> tuple[int, ...]:
        """The number of blocks of each stage."""
        return (self.blocks,) * len(self.widths) if isinstance(self.blocks, int) else self.blocks

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built or would take absurd memory, as a damaged card may hold."""
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
