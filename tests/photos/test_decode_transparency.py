"""Transparent pixels of every kind of file are composited on white."""
# ruff: noqa: SIM300 - the expected value stands first

import struct

import numpy as np
import pytest
from image_files import (
    BLUE,
    GREEN,
    GREY,
    RED,
    WHITE,
    YELLOW,
    Colour,
    assert_all,
    assert_quarters,
    chunk,
    encoded,
    photo_of,
    png,
    quarters,
)
from PIL import Image

from tagger.records import Photo


def cutout(hidden: Colour, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return the quarters with the right half fully transparent and `hidden` under it."""
    image = quarters(*size).convert("RGBA")
    image.paste((*hidden, 0), (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True, "exact": True}, 0),
        ("WEBP", {"quality": 95, "exact": True}, 8),
        ("AVIF", {"quality": 95, "speed": 10}, 8),
        ("HEIF", {"quality": 95}, 8),
        ("TIFF", {}, 0),
    ],
)
def test_transparency_is_white(format: str, options: dict[str, object], tolerance: int) -> None:
    """Fully transparent pixels become white, whatever colour is stored under the transparency."""
    photo = photo_of(encoded(cutout((0, 0, 0)), format, **options))
    assert_quarters(photo, RED, WHITE, BLUE, WHITE, tolerance=tolerance)


def test_half_transparency_is_mixed_with_white() -> None:
    """A half transparent colour comes out half as strong on white."""
    photo = photo_of(encoded(Image.new("RGBA", (20, 10), (0, 0, 0, 127)), "PNG"))
    assert_all(photo, GREY)


def test_hidden_colour_does_not_bleed_when_shrunk() -> None:
    """The colour hidden under full transparency shows not even at the product's rim after shrinking."""
    ys, xs = np.mgrid[0:1000, 0:1200]
    pixels = np.zeros((1000, 1200, 4), np.uint8)
    pixels[:] = (255, 0, 0, 0)
    pixels[(xs - 600) ** 2 + (ys - 500) ** 2 < 300**2] = (100, 100, 100, 255)
    photo = photo_of(encoded(Image.fromarray(pixels), "PNG"))
    assert (500, 600, 3) == photo.pixels.shape
    assert np.ptp(photo.pixels.astype(int), axis=2).max() <= 1
    assert_all(Photo(photo.pixels[:5]), WHITE)
    assert_all(Photo(photo.pixels[240:260, 290:310]), (100, 100, 100))


def test_palette_with_one_transparent_colour() -> None:
    """A palette PNG whose tRNS chunk hides one colour shows white there."""
    image = quarters().quantize(4)
    hidden = image.getpixel((90, 2))
    photo = photo_of(encoded(image, "PNG", transparency=hidden))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW, tolerance=4)


def test_palette_with_an_alpha_for_each_colour() -> None:
    """A palette PNG whose tRNS chunk holds an alpha for each colour is composited on white by them."""
    image = Image.new("P", (96, 64))
    image.putpalette([*RED, *GREEN, *BLUE, 0, 0, 0])
    for index, corner in enumerate([(0, 0), (48, 0), (0, 32), (48, 32)]):
        image.paste(index, (*corner, corner[0] + 48, corner[1] + 32))
    photo = photo_of(encoded(image, "PNG", transparency=bytes([255, 0, 255, 127])))
    assert_quarters(photo, RED, WHITE, BLUE, GREY)


@pytest.mark.parametrize("size", [(96, 64), (480, 320)])
def test_colour_with_one_transparent_colour(size: tuple[int, int]) -> None:
    """An RGB PNG whose tRNS chunk hides one colour shows white there."""
    photo = photo_of(encoded(quarters(*size), "PNG", transparency=GREEN))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW)


def test_grey_with_one_transparent_grey() -> None:
    """A grey PNG whose tRNS chunk hides one grey shows white there."""
    image = Image.new("L", (96, 64), 128)
    image.paste(7, (48, 0, 96, 64))
    assert_quarters(photo_of(encoded(image, "PNG", transparency=7)), GREY, WHITE, GREY, WHITE)


def test_16_bit_grey_with_one_transparent_grey() -> None:
    """A 16-bit grey PNG whose tRNS chunk hides one grey shows white there."""
    row = b"\0" + struct.pack(">H", 32896) * 20 + struct.pack(">H", 300) * 20
    content = png(40, 30, 16, 0, row * 30, chunk(b"tRNS", struct.pack(">H", 300)))
    assert_quarters(photo_of(content), GREY, WHITE, GREY, WHITE)


def test_grey_with_alpha() -> None:
    """A grey PNG with alpha is composited on white."""
    image = Image.new("LA", (96, 64), (128, 255))
    image.paste((0, 0), (48, 0, 96, 64))
    assert_quarters(photo_of(encoded(image, "PNG")), GREY, WHITE, GREY, WHITE)


def test_16_bit_grey_with_alpha() -> None:
    """A 16-bit grey PNG with alpha is composited on white and not clipped."""
    row = b"\0" + struct.pack(">HH", 32896, 65535) * 20 + struct.pack(">HH", 0, 0) * 20
    assert_quarters(photo_of(png(40, 30, 16, 4, row * 30)), GREY, WHITE, GREY, WHITE)


def test_transparent_gif() -> None:
    """A GIF's transparent colour comes out white."""
    image = quarters().quantize(4)
    photo = photo_of(encoded(image, "GIF", transparency=image.getpixel((90, 2))))
    assert_quarters(photo, RED, WHITE, BLUE, YELLOW, tolerance=4)
