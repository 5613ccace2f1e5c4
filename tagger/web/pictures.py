"""Show what the networks saw of a photo, as PNG images in `data:` addresses."""

import base64
from typing import TypedDict

import cv2

from tagger.arrays import Pixels, as_uint8
from tagger.records import Failed, ProductImage, RegionName


class Picture(TypedDict):
    """What the networks saw of one part of a photo that may be the product."""

    part: str
    """`upper`, `lower` or `whole` of a person; empty where no person wears the product."""
    grey: str
    """The image of the small network, 28x28 pixels, as a `data:` address."""
    colour: str | None
    """That of the backbone, 224x224 pixels; None without a backbone, or where the photo has Fashion-MNIST's own form."""


def pictures_of(outcome: ProductImage | Failed | None) -> tuple[Picture, ...]:
    """Return what the networks saw of a photo: a picture for each part that may be the product, the most probable one first.

    Empty where the photo could not be read, or where no product stands out in it.
    """
    if not isinstance(outcome, ProductImage) or not outcome.found:
        return ()
    parts: list[tuple[RegionName | None, Pixels, Pixels | None]]
    parts = [(region.name, region.pixels, region.colour) for region in outcome.regions]
    return tuple(
        Picture(part=name or "", grey=_png(grey), colour=None if colour is None else _png(_as_bgr(colour)))
        for name, grey, colour in parts or [(outcome.region, outcome.pixels, outcome.colour)]
    )


def _as_bgr(pixels: Pixels) -> Pixels:
    """Return an image in the order of colours that OpenCV writes."""
    return as_uint8(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def _png(pixels: Pixels) -> str:
    """Return an image, uint8 (h, w) or (h, w, 3) BGR, as a `data:` address."""
    return f"data:image/png;base64,{base64.b64encode(cv2.imencode('.png', pixels)[1].tobytes()).decode()}"
