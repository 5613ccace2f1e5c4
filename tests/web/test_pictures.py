"""What the networks saw comes as PNG images with the very pixels."""

import base64

import cv2
import numpy as np

from tagger.photos.product import extract_product
from tagger.records import Failed, Photo, ProductImage, Region
from tagger.web.pictures import pictures_of

GREY = np.arange(28 * 28, dtype=np.uint32).reshape(28, 28).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8)


def pixels_of(address: str) -> np.ndarray:  # type: ignore[type-arg]
    """Return the pixels of a `data:` address, RGB where it has colours."""
    assert address.startswith("data:image/png;base64,")
    content = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    decoded = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return decoded if decoded.ndim == 2 else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def test_the_pixels_are_those_of_the_networks() -> None:
    """Grey and colour."""
    (picture,) = pictures_of(ProductImage(GREY, found=True, colour=COLOUR))
    assert picture["part"] == ""
    assert np.array_equal(pixels_of(picture["grey"]), GREY)
    assert np.array_equal(pixels_of(picture["colour"] or ""), COLOUR)


def test_each_part_of_a_person_is_shown() -> None:
    """By its name; without colours where the bundle needs none."""
    regions = (Region("upper", GREY, None, 0.6), Region("lower", 255 - GREY, COLOUR, 0.4))
    upper, lower = pictures_of(ProductImage(GREY, found=True, worn=True, region="upper", regions=regions))
    assert (upper["part"], upper["colour"], lower["part"]) == ("upper", None, "lower")
    assert np.array_equal(pixels_of(lower["grey"]), 255 - GREY)


def test_without_a_product_nothing_was_seen() -> None:
    """As where the photo could not be read."""
    blank = extract_product(Photo(np.full((50, 50, 3), 255, np.uint8)))
    assert pictures_of(blank) == pictures_of(Failed("unreadable", "")) == pictures_of(None) == ()
