"""Settings of how photos are decoded, shared by every command that reads photos."""

from dataclasses import dataclass

DECODER = 2
"""Increased with every release that reads more files: a photo that an older one gave up on is tried again."""


@dataclass(frozen=True)
class DecodeSettings:
    """Settings of how photos are decoded."""

    allow_truncated: bool = False
    """Whether files that end early are decoded as far as they go, and marked."""
    max_pixels: int | None = None
    """Photos with more pixels are not decoded; None allows as many as `limits.MAX_MEMORY` holds."""

    @property
    def limits(self) -> str:
        """What decides, apart from `allow_truncated`, which files can be read: equal for runs that fail for the same files."""
        return f"{DECODER}" if self.max_pixels is None else f"{DECODER} max_pixels={self.max_pixels}"


DEFAULT_DECODING = DecodeSettings()
