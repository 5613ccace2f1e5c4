"""What a user may choose, in one frozen object a command."""

from typing import Literal, TypeAlias, get_args

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)

Format: TypeAlias = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)


DEFAULT_MODEL = "catalog"
"""The shipped bundle that tags where no other is named."""
