"""TIFF files of kinds that Pillow does not write, made by tifffile in memory."""

from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from image_files import quarters

RGB = np.asarray(quarters())
GREY = np.asarray(quarters().convert("L"))


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    """Return a TIFF of one page; `options` are those of tifffile, RGB or grey by the shape where they do not say."""
    return tiff_pages((samples, options))


def tiff_pages(*pages: tuple[np.ndarray, dict[str, Any]], **options: Any) -> bytes:
    """Return a TIFF of several pages, each with its samples and tifffile's options."""
    file = BytesIO()
    with tifffile.TiffWriter(file, **options) as writer:
        for samples, page_options in pages:
            colours = "rgb" if samples.ndim == 3 and samples.shape[-1] in (3, 4, 5) else "minisblack"
            writer.write(samples, **{"photometric": colours, "metadata": None, **page_options})
    return file.getvalue()


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with the value of a tag of its first directory, stored in the entry, replaced."""
    start = int.from_bytes(content[4:8], "little")
    for entry in range(start + 2, start + 2 + 12 * int.from_bytes(content[start : start + 2], "little"), 12):
        if int.from_bytes(content[entry : entry + 2], "little") == tag:
            return content[: entry + 8] + value.to_bytes(4, "little") + content[entry + 12 :]
    raise KeyError(tag)
