"""Make image files of many kinds, damaged ones and whole ones with harmless oddities, for `benchmarks.robustness.damage`."""

import random
from collections.abc import Callable, Iterator
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageCms

HOLE = 4096
"""Bytes of a hole, the size of a page in memory and of a block on most disks; at most a quarter of the file."""

PLACES = 10
"""Places of a file at which it is damaged, one in the middle of each tenth."""

END = b"\xff\xd9"
"""End marker of a JPEG."""

Encode = Callable[[bytes], bytes]
"""Makes a file from a photo's own file."""


def _written(format: str, mode: str = "RGB", **options: object) -> Encode:
    def encode(content: bytes) -> bytes:
        file = BytesIO()
        with Image.open(BytesIO(content)) as image:
            image.convert("RGB").convert(mode).save(file, format, **options)
        return file.getvalue()

    return encode


def _as_given(content: bytes) -> bytes:
    return content


# Damaged files -----------------------------------------------------------------------------------------------------

ENCODINGS: dict[str, Encode] = {
    "JPEG as given": _as_given,
    "JPEG progressive": _written("JPEG", quality=90, progressive=True),
    "JPEG optimised": _written("JPEG", quality=90, optimize=True),
    "JPEG restarts": _written("JPEG", quality=90, restart_marker_rows=1),
    "PNG": _written("PNG"),
    "WebP": _written("WEBP", quality=90),
    "WebP lossless": _written("WEBP", lossless=True, method=0),
    "TIFF LZW": _written("TIFF", compression="tiff_lzw"),
    "TIFF deflate": _written("TIFF", compression="tiff_adobe_deflate"),
}
"""Kinds of files that are damaged."""

_END_MARKERS = {"JPEG": END, "PNG": b"\0\0\0\0IEND\xaeB`\x82"}


def _end_marker(encoding: str) -> bytes:
    return _END_MARKERS.get(encoding.split()[0], b"")


def _holed(content: bytes, at: int, fill: bytes) -> bytes:
    return content[:at] + fill[: len(content) - at] + content[at + len(fill) :]


def damaged(content: bytes, encoding: str, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield (kind of damage, file) of a whole file, each kind at each of the places; those that change nothing are left out."""
    size, end = len(content), _end_marker(encoding)
    hole = min(HOLE, size // 4)
    for place in range(PLACES):
        at = size * (2 * place + 1) // (2 * PLACES)
        files = {
            "zeros to the end": content[:at] + bytes(size - at),
            "zeros, end marker": content[:at] + bytes(max(0, size - at - len(end))) + end,
            "cut, end marker": content[:at] + end,
            "4 KiB missing": content[:at] + content[at + hole :],
            "4 KiB random": _holed(content, at, rng.randbytes(hole)),
            "4 KiB zeroed": _holed(content, at, bytes(hole)),
        }
        yield from ((kind, file) for kind, file in files.items() if file != content)


# Whole files -------------------------------------------------------------------------------------------------------


def _by_cv2(suffix: str, *options: int) -> Encode:
    def encode(content: bytes) -> bytes:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        return cv2.imencode(suffix, pixels, options)[1].tobytes()

    return encode


def _with_exif(content: bytes) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9286] = 1, "a camera", "a comment " * 50
    return _written("JPEG", quality=92, exif=exif.tobytes())(content)


def _with_thumbnail(content: bytes) -> bytes:
    small = BytesIO()
    with Image.open(BytesIO(content)) as image:
        image.convert("RGB").resize((64, 96)).save(small, "JPEG")
    return content[:2] + b"\xff\xe1" + (8 + small.tell()).to_bytes(2, "big") + b"Exif\0\0" + small.getvalue() + content[2:]


def _with_profile(content: bytes) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return _written("JPEG", quality=85, icc_profile=profile)(content)


def _two_pictures(content: bytes) -> bytes:
    file = BytesIO()
    with Image.open(BytesIO(content)) as image:
        image.convert("RGB").save(file, "MPO", save_all=True, append_images=[image.convert("RGB").resize((32, 32))])
    return file.getvalue()


_VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + random.Random(0).randbytes(5000)
_CV2_SAMPLINGS = {"4:4:4": 0x111111, "4:4:0": 0x121111, "4:2:2": 0x211111, "4:1:1": 0x411111}

WHOLE: dict[str, Encode] = {
    **{f"JPEG quality {quality}": _written("JPEG", quality=quality) for quality in (30, 50, 75, 90, 95, 100)},
    "JPEG optimised": _written("JPEG", quality=85, optimize=True),
    "JPEG optimised 4:4:4": _written("JPEG", quality=95, subsampling=0, optimize=True),
    **{f"JPEG progressive, quality {quality}": _written("JPEG", quality=quality, progressive=True) for quality in (30, 85, 98)},
    "JPEG grey": _written("JPEG", "L"),
    "JPEG grey progressive": _written("JPEG", "L", progressive=True),
    "JPEG CMYK": _written("JPEG", "CMYK"),
    "JPEG restarts of rows": _written("JPEG", restart_marker_rows=1),
    "JPEG restarts of blocks, progressive": _written("JPEG", restart_marker_blocks=11, progressive=True),
    **{
        f"JPEG by OpenCV, {name}": _by_cv2(".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor)
        for name, factor in _CV2_SAMPLINGS.items()
    },
    "JPEG by OpenCV, progressive": _by_cv2(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "JPEG by OpenCV, restarts": _by_cv2(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    "JPEG with EXIF": _with_exif,
    "JPEG with a thumbnail": _with_thumbnail,
    "JPEG with a profile": _with_profile,
    "MPO": _two_pictures,
    "JPEG and a video": lambda content: content + _VIDEO,
    "JPEG and zeros": lambda content: content + bytes(2048),
    "JPEG and another": lambda content: content + content,
    "JPEG padded with zeros before its end": lambda content: content[:-2] + bytes(512) + END,
    "JPEG padded with fill bytes before its end": lambda content: content[:-2] + b"\xff" * 16 + END,
    "JPEG with eight bytes before its end": lambda content: content[:-2] + b"\x10\x7f\x20\0\x33\x44\x11\x05" + END,
    "PNG": _written("PNG"),
    "PNG of a palette": _written("PNG", "P"),
    "PNG grey": _written("PNG", "L"),
    "PNG by OpenCV": _by_cv2(".png"),
    "WebP": _written("WEBP", quality=80),
    "WebP lossless": _written("WEBP", lossless=True, method=0),
    "TIFF": _written("TIFF"),
    "TIFF LZW": _written("TIFF", compression="tiff_lzw"),
    "TIFF deflate": _written("TIFF", compression="tiff_adobe_deflate"),
    "TIFF JPEG": _written("TIFF", compression="jpeg"),
    "TIFF PackBits": _written("TIFF", compression="packbits"),
    "TIFF by OpenCV": _by_cv2(".tif"),
    "GIF": _written("GIF", "P"),
    "BMP": _written("BMP"),
    "AVIF": _written("AVIF", speed=10),
}
"""Kinds of whole files; the photo's own file is a JPEG."""
