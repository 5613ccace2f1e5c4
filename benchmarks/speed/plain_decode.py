"""Read and decode the photos of a folder at the smallest useful scale, in a process per core, and nothing else.

    python -m benchmarks.speed.plain_decode FOLDER [--binding NAME]

The part of `ceiling` that is measured, a script of its own that uses nothing of fmtag's. Prints the seconds from the first
file to the last, once all processes are there. The smallest useful scale is the least of 1, 1/2, 1/4 and 1/8 at which the
longer side keeps 400 pixels, as a product fills about half of its photo and is shown to a network with 224 pixels. Only the
decoder of JPEG has scales.
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image

SIDE = 400
"""Longer side of a decoded photo at least, in pixels, where the file has as many."""

CHUNK = 4
"""Files that a process takes at once."""

Decode = Callable[[bytes], Any]


def scale_of(longer: int) -> int:
    """Return the greatest of 1, 2, 4 and 8 by which a side can be divided without going below `SIDE`."""
    return max(scale for scale in (1, 2, 4, 8) if scale == 1 or longer // scale >= SIDE)


def simplejpeg_decode(content: bytes) -> Any:
    """Decode a JPEG by libjpeg-turbo's own interface."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    scale = scale_of(max(height, width))
    return simplejpeg.decode_jpeg(content, "RGB", min_height=-(-height // scale), min_width=-(-width // scale))


def opencv_jpeg_decode(content: bytes) -> Any:
    """Decode a JPEG by OpenCV, reduced."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    scale = scale_of(max(height, width))
    flag = cv2.IMREAD_COLOR if scale == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{scale}")
    return cv2.imdecode(np.frombuffer(content, np.uint8), flag)


def opencv_decode(content: bytes) -> Any:
    """Decode a PNG or WebP by OpenCV."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def pillow_decode(content: bytes) -> Any:
    """Decode by Pillow, a JPEG at the scale of its draft mode."""
    with Image.open(BytesIO(content)) as image:
        scale = scale_of(max(image.size))
        image.draft(None, (-(-image.width // scale), -(-image.height // scale)))
        image.load()
        return image.size


BINDINGS: dict[str, dict[str, Decode]] = {
    "jpg": {"simplejpeg": simplejpeg_decode, "opencv": opencv_jpeg_decode, "pillow": pillow_decode},
    "png": {
        "opencv": opencv_decode,
        "imagecodecs png": imagecodecs.png_decode,
        "imagecodecs spng": imagecodecs.spng_decode,
        "pillow": pillow_decode,
    },
    "webp": {"opencv": opencv_decode, "imagecodecs": imagecodecs.webp_decode, "pillow": pillow_decode},
}
"""Those that are compared, by the suffix of the files."""

BEST = {"jpg": "simplejpeg", "png": "imagecodecs png", "webp": "imagecodecs"}
"""The fastest of each, as `ceiling` found."""


def _decode(suffix: str, name: str, file: str) -> None:
    BINDINGS[suffix][name](Path(file).read_bytes())


def decode_all(folder: Path, binding: str | None = None) -> tuple[int, float]:
    """Return the number of photos below a folder and the seconds that reading and decoding them takes."""
    files = sorted(str(path) for path in folder.rglob("*.*") if path.is_file())
    suffix = Path(files[0]).suffix[1:]
    name = binding or BEST[suffix]
    processes = len(os.sched_getaffinity(0))
    with Pool(processes, cv2.setNumThreads, (1,)) as pool:
        pool.map(_nothing, range(processes * CHUNK), chunksize=CHUNK)
        started = time.perf_counter()
        for _ in pool.imap_unordered(partial(_decode, suffix, name), files, chunksize=CHUNK):
            pass
        return len(files), time.perf_counter() - started


def _nothing(number: int) -> None:
    return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--binding")
    given = parser.parse_args()
    print(decode_all(given.folder, given.binding)[1])
