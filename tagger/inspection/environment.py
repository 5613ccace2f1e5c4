"""Describe the installation and the machine, as far as they matter for reading photos; imports none of what it names."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from tagger.processors import available_processors

PACKAGES = ("fmtag", "pillow", "numpy", "pandas", "pyarrow", "onnxruntime", "torch", "pillow-heif", "openpyxl")
"""Packages whose versions decide what can be read and how fast."""


class Environment(NamedTuple):
    """The installation and the machine."""

    python: str
    system: str
    packages: dict[str, str]
    """Version per package; empty where it is not installed."""
    processors: int
    """Processors that this process may use."""
    memory: int | None
    """Bytes of memory; None where the system does not tell."""
    free_disk: int | None
    """Bytes that are free where the command was called, which is where outputs without a folder are written."""
    writable: bool
    """Whether files can be written there."""


def describe_environment() -> Environment:
    """Return the installation and the machine."""
    try:
        free_disk: int | None = shutil.disk_usage(".").free
    except OSError:
        free_disk = None
    return Environment(
        platform.python_version(),
        f"{sys.platform} {platform.machine()}",
        {name: _version(name) for name in PACKAGES},
        available_processors(),
        _memory(),
        free_disk,
        os.access(".", os.W_OK | os.X_OK),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None
