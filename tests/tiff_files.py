"""TIFF files of kinds that Pillow does not write, made by tifffile in memory."""

import struct
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


def packed_tiff(samples: np.ndarray, bits: int) -> bytes:
    """Return a grey TIFF whose samples, integers (h, w), follow each other without gaps, each row from a byte of its own.

    Written here, as tifffile needs an encoder that older versions of imagecodecs lack.
    """
    height, width = samples.shape
    ones = samples[..., None] >> np.arange(bits - 1, -1, -1) & 1
    strip = np.packbits(ones.reshape(height, width * bits).astype(np.uint8), axis=1).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: len(strip)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + strip


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with the value of a tag of its first directory, stored in the entry, replaced."""
    start = int.from_bytes(content[4:8], "little")
    for entry in range(start + 2, start + 2 + 12 * int.from_bytes(content[start : start + 2], "little"), 12):
        if int.from_bytes(content[entry : entry + 2], "little") == tag:
            return content[: entry + 8] + value.to_bytes(4, "little") + content[entry + 12 :]
    raise KeyError(tag)
