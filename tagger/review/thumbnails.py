"""Make the pictures of the review page: photos in two sizes, and what the networks saw of them, kept in a cache on disk.

All are encoded anew from decoded pixels, upright, in sRGB and on white: no byte of a catalog's file reaches a browser, and so
neither its metadata nor what a decoder of a browser would stumble over.
"""

from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np
from PIL import Image

from tagger.arrays import Pixels, as_uint8
from tagger.errors import reason_of
from tagger.photos.decode import SIDE, decode_bytes
from tagger.photos.product import VERSION as PRODUCT_VERSION
from tagger.photos.product import extract_product
from tagger.photos.profile import to_srgb
from tagger.photos.settings import DecodeSettings
from tagger.processors import available_processors
from tagger.records import Failed, Photo
from tagger.review.photos import FoundPhoto, Photos, Refused
from tagger.review.picture_cache import LIMIT_BYTES, PictureCache

Size: TypeAlias = Literal["grid", "view"]
SIDES: dict[Size, int] = {"grid": 320, "view": 1600}
"""Longer side of a photo in pixels at most; smaller ones are not enlarged."""

Seen: TypeAlias = Literal["grey", "colour"]
SEEN: tuple[Seen, ...] = get_args(Seen)
"""What the small network sees, 28x28 pixels in grey, and the backbone, 224x224 in colour."""

VERSION = 1
"""Increased with every change of how photos are made into pictures."""

QUALITY = {"grid": 82, "view": 88}
"""Of JPEG, 0..100. WebP has half the bytes, and takes ten times as long."""

PLACEHOLDER_TYPE = "image/svg+xml"

_WORDS = {
    "missing": "missing",
    "unreadable": "damaged",
    "truncated": "cut short",
    "too_large": "too large",
    "not_an_image": "not a photo",
}
"""What a placeholder says of a photo that cannot be decoded, by the reason."""


@dataclass(frozen=True)
class Picture:
    """A picture for a browser."""

    content: bytes
    media_type: str
    problem: str = ""
    """Why it is a placeholder, in a sentence, which may have a path in it; empty for a picture of the photo."""


class NetworkInputs(NamedTuple):
    """What the networks saw of a photo."""

    grey: Picture
    """PNG, 28x28 pixels."""
    colour: Picture
    """PNG, 224x224 pixels; a placeholder for images that were in the form of the first network's already."""


class Thumbnails:
    """Pictures of a ledger's photos, for any number of threads; none of its methods raises anything because of a photo.

    Args:
        photos: where the bytes come from.
        folder: of the cache; None takes that of the user, which all catalogs share.
        limit: bytes that the cache keeps.
    """

    def __init__(self, photos: Photos, folder: Path | None = None, limit: int = LIMIT_BYTES) -> None:
        self._photos = photos
        self._cache = PictureCache(folder or user_folder(), limit)
        # As many as there are processors: more would only hold more decoded photos in memory.
        self._places = BoundedSemaphore(available_processors())

    def picture(self, item: int, size: Size) -> Picture:
        """Return the photo of an item as JPEG, or a placeholder where it is not shown or cannot be decoded."""
        found = self._photos.find(item)
        if isinstance(found, Refused):
            return _placeholder("not shown", found.sentence)
        name = f"{found.sha256.hex()}-{size}-{VERSION}"
        if (kept := self._cache.read(name)) is not None:
            return Picture(kept, "image/jpeg")
        with self._places:
            content = self._photos.read(found)
            if isinstance(content, Refused):
                return _placeholder("not shown", content.sentence)
            photo = _decoded(content, found, SIDES[size])
            if isinstance(photo, Failed):
                return _failed(photo, found)
            made = _as_jpeg(to_srgb(_shrunk(photo.pixels, SIDES[size]), content), QUALITY[size])
        self._cache.write(name, made)
        return Picture(made, "image/jpeg")

    def network_inputs(self, item: int) -> NetworkInputs:
        """Return what the networks saw of an item's photo; of a person, the garment that the framing makes most probable."""
        found = self._photos.find(item)
        if isinstance(found, Refused):
            return _twice(_placeholder("not shown", found.sentence))
        names = [f"{found.sha256.hex()}-{seen}-{VERSION}-{PRODUCT_VERSION}" for seen in SEEN]
        kept = [self._cache.read(name) for name in names]
        if kept[0] is not None and kept[1] is not None:
            return NetworkInputs(*(_png(content) for content in kept if content is not None))
        with self._places:
            content = self._photos.read(found)
            if isinstance(content, Refused):
                return _twice(_placeholder("not shown", content.sentence))
            made = _network_inputs(content, found)
        for name, picture in zip(names, made, strict=True):
            if not picture.problem:
                self._cache.write(name, picture.content)
        return made


def user_folder() -> Path:
    """Return the folder of the cache that all catalogs of a user share."""
    from platformdirs import user_cache_path

    return user_cache_path("fmtag", appauthor=False) / "thumbnails"


def _decoded(content: bytes, found: FoundPhoto, side: int) -> Photo | Failed:
    """Decode a photo at least as large as `side` where its file is; a damaged one as far as it goes."""
    return decode_bytes(content, found.key, DecodeSettings(allow_truncated=True), side)


def _network_inputs(content: bytes, found: FoundPhoto) -> NetworkInputs:
    photo = _decoded(content, found, SIDE)
    if isinstance(photo, Failed):
        return _twice(_failed(photo, found))
    try:
        product = extract_product(photo)
    except Exception as error:
        return _twice(_placeholder("not found", f"{found.key}: no product could be extracted ({reason_of(error)})."))
    if not product.found:
        return _twice(_placeholder("no product", f"{found.key}: no product stands out from the background."))
    grey = _png(_as_png(product.pixels))
    if product.colour is None:
        return NetworkInputs(grey, _placeholder("grey only", f"{found.key} is seen in grey alone."))
    return NetworkInputs(grey, _png(_as_png(product.colour)))


def _shrunk(pixels: Pixels, side: int) -> Pixels:
    """Return pixels, uint8 (h, w, 3), with a longer side of at most `side`."""
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    size = max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width)))
    return as_uint8(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _as_jpeg(pixels: Pixels, quality: int) -> bytes:
    import simplejpeg

    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling="420")
    return encoded


def _as_png(pixels: Pixels) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _png(content: bytes) -> Picture:
    return Picture(content, "image/png")


def _failed(failed: Failed, found: FoundPhoto) -> Picture:
    return _placeholder(_WORDS.get(failed.reason, "not shown"), f"{failed.detail.removeprefix(f'{found.key}: ')}.")


def _twice(picture: Picture) -> NetworkInputs:
    return NetworkInputs(picture, picture)


def _placeholder(words: str, problem: str) -> Picture:
    """Return a picture with a few words on grey, readable on a light and a dark page."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" width="320" height="320">'
        '<rect width="320" height="320" fill="#e4e4e7"/><path d="M96 112h128v96H96zM96 112l128 96M224 112l-128 96"'
        ' fill="none" stroke="#71717a" stroke-width="3"/><text x="160" y="256" text-anchor="middle"'
        f' font-family="sans-serif" font-size="26" fill="#3f3f46">{escape(words)}</text></svg>'
    )
    return Picture(svg.encode(), PLACEHOLDER_TYPE, problem)
