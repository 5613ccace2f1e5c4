"""Alpha is kept beside the pixels where it says something, and premultiplied colours are recognised."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
from image_files import encoded, photo_of
from PIL import Image


def soft_cutout(colour: tuple[int, int, int], premultiplied: bool = False) -> Image.Image:
    """Return a disc with a soft edge on transparent ground, 100x100 pixels."""
    ys, xs = np.mgrid[0:100, 0:100]
    alpha = np.clip(255 - 12 * (np.hypot(xs - 50, ys - 50) - 25), 0, 255)
    share = alpha[..., None] / 255 if premultiplied else 1
    colours = np.broadcast_to(colour, (100, 100, 3)) * share
    return Image.fromarray(np.rint(np.dstack([colours, alpha])).astype(np.uint8))


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_alpha_is_kept(format: str, options: dict[str, object]) -> None:
    """A file's alpha comes out beside the pixels, in their size."""
    photo = photo_of(encoded(soft_cutout((200, 30, 40)), format, **options))
    assert photo.alpha is not None
    assert photo.pixels.shape[:2] == photo.alpha.shape
    assert (0, 255) == (photo.alpha[0, 0], photo.alpha[50, 50])


def test_alpha_that_says_nothing_is_none() -> None:
    """All opaque, all transparent and no alpha are the same."""
    for value in (0, 255):
        assert photo_of(encoded(Image.new("RGBA", (40, 30), (9, 9, 9, value)), "PNG")).alpha is None
    assert photo_of(encoded(Image.new("RGB", (40, 30)), "PNG")).alpha is None


def test_a_colour_that_is_transparent_makes_an_alpha() -> None:
    """The transparent colour of a palette or of a grey image is an alpha, too."""
    image = Image.new("P", (40, 30))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (20, 0, 40, 30))
    for format in ("PNG", "GIF"):
        alpha = photo_of(encoded(image, format, transparency=0)).alpha
        assert alpha is not None
        assert (0, 255) == (alpha[5, 5], alpha[5, 30])


def test_alpha_is_turned_with_the_pixels() -> None:
    """The orientation of a photo is that of its alpha."""
    image = Image.new("RGBA", (40, 30), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = photo_of(encoded(image, "PNG", exif=exif))
    assert photo.alpha is not None
    assert (40, 30) == photo.alpha.shape
    assert np.array_equal(photo.alpha == 0, photo.pixels[:, :, 0] == 255)


@pytest.mark.parametrize("colour", [(200, 30, 40), (60, 60, 60), (255, 255, 255)])
def test_premultiplied_colours_are_those_of_the_straight_ones(colour: tuple[int, int, int]) -> None:
    """The soft edge of a product is as bright in a file with premultiplied colours."""
    straight, multiplied = (photo_of(encoded(soft_cutout(colour, form), "PNG")).pixels.astype(int) for form in (False, True))
    assert np.abs(straight - multiplied).max() <= 6


def test_evenly_transparent_colours_are_not_divided() -> None:
    """A dark image that is half transparent everywhere may be either; it is taken as it is stored."""
    photo = photo_of(encoded(Image.new("RGBA", (40, 30), (60, 60, 60, 127)), "PNG"))
    assert abs(158 - int(photo.pixels[5, 5, 0])) <= 1
