"""Types and defaults of settings that several commands share; each command's own settings are one frozen dataclass."""

from typing import Literal, TypeAlias, get_args

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)
"""Devices to compute on; `auto` takes the fastest that is available."""

TRAINING_DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")

Format: TypeAlias = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""Formats of an output, which are also the suffixes that name them."""

DEFAULT_MODEL = "catalog"
"""Name of the shipped bundle that is used where no other is given."""

SMALL_MODEL = "catalog-small"
"""Name of the shipped bundle of the default one's small network alone, from which training starts."""
