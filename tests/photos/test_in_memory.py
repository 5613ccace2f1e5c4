"""PIL images and arrays are decoded as files of the same content are."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_photo
from PIL import Image

from tagger.photos import decode, in_memory, limits
from tagger.photos.in_memory import array_to_image, decode_image, load_image
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed, Photo, ProductImage


def turned() -> Image.Image:
    """Return a photo that EXIF says is to be turned."""
    image = draw_photo(1, (700, 500))
    image.getexif()[0x0112] = 6
    return image


def see_through() -> Image.Image:
    """Return a photo whose left half is transparent, with black under it."""
    image = draw_photo(2).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 120, 320))
    return image


def deep() -> Image.Image:
    """Return a grey photo of 16 bits."""
    return Image.fromarray(np.asarray(draw_photo(3).convert("L")).astype(np.uint16) * 257)


FILES = {
    "exif.jpg": (turned, {}),
    "exif.png": (turned, {}),
    "alpha.png": (see_through, {}),
    "alpha.webp": (see_through, {"lossless": True}),
    "palette.gif": (lambda: draw_photo(4).convert("P"), {}),
    "deep.png": (deep, {}),
    "cmyk.jpg": (lambda: draw_photo(5).convert("CMYK"), {}),
    "large.jpg": (lambda: draw_photo(6, (1200, 900)), {}),
}


def save(name: str, folder: Path) -> Path:
    """Save a photo of that kind and return its file."""
    make, options = FILES[name]
    image = make()
    if name.startswith("exif"):
        options = {"exif": image.getexif()}
    image.save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_an_opened_image_has_the_pixels_of_its_file(name: str, tmp_path: Path) -> None:
    """Orientation, transparency, palettes, 16 bits and reduced JPEGs give the very pixels, and the image stays as it is."""
    file = save(name, tmp_path)
    expected = decode.decode(file)
    assert isinstance(expected, Photo)
    with Image.open(file) as image:
        size = image.size
        decoded = decode_image(image)
        assert isinstance(decoded, Photo)
        assert np.array_equal(decoded.pixels, expected.pixels)
        assert image.size == size
        assert np.asarray(image).shape[:2] == size[::-1]


@pytest.mark.parametrize("name", FILES)
def test_a_loaded_image_has_them_too(name: str, tmp_path: Path) -> None:
    """An image whose pixels are in memory is decoded alike; JPEGs, read from files at reduced size, round differently."""
    file = save(name, tmp_path)
    expected = decode.decode(file)
    assert isinstance(expected, Photo)
    with Image.open(file) as image:
        image.load()
    decoded = decode_image(image)
    assert isinstance(decoded, Photo)
    apart = np.abs(decoded.pixels.astype(int) - expected.pixels)
    assert decoded.pixels.shape == expected.pixels.shape
    assert apart.mean() < 1.5
    assert name.endswith(".jpg") or apart.max() == 0


def test_an_image_that_was_changed_is_taken_as_it_is(tmp_path: Path) -> None:
    """What was drawn into an image after loading is seen, and not the file that it is from; so is a later frame."""
    file = save("large.jpg", tmp_path)
    with Image.open(file) as image:
        image.paste((255, 0, 0), (0, 0, 1200, 900))
    decoded = decode_image(image)
    assert isinstance(decoded, Photo)
    assert (decoded.pixels == (255, 0, 0)).all()
    frames = [Image.new("L", (9, 9), 0), Image.new("L", (9, 9), 255)]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "frames.gif") as image:
        image.seek(1)
        decoded = decode_image(image)
    assert isinstance(decoded, Photo)
    assert (decoded.pixels == 255).all()


def test_the_position_in_the_file_is_kept() -> None:
    """An image from an open file can be loaded afterwards as if nobody had read from it."""
    encoded = BytesIO()
    draw_photo(1).save(encoded, "JPEG")
    with Image.open(encoded) as image:
        first = decode_image(image)
        second = decode_image(image)
        assert isinstance(first, Photo)
        assert isinstance(second, Photo)
        assert np.array_equal(first.pixels, second.pixels)
        image.load()


def test_formats_that_files_are_not_read_in_are_images_all_the_same() -> None:
    """Whoever opens an image of another format has decided on it already."""
    encoded = BytesIO()
    draw_photo(1).save(encoded, "PPM")
    with Image.open(encoded) as image:
        assert isinstance(decode_image(image), Photo)


def test_failures_are_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed, a cut, an empty and a too large image fail with their reason; nothing is raised."""
    file = save("large.jpg", tmp_path)
    with Image.open(file) as image:
        pass
    assert isinstance(decode_image(image), Failed)
    (tmp_path / "cut.jpg").write_bytes(file.read_bytes()[:3000])
    with Image.open(tmp_path / "cut.jpg") as image:
        cut = decode_image(image)
        rescued = decode_image(image, DecodeSettings(allow_truncated=True))
    assert isinstance(cut, Failed)
    assert cut.reason == "truncated"
    assert isinstance(rescued, Photo)
    assert rescued.truncated
    assert isinstance(decode_image(Image.new("RGB", (0, 0))), Failed)
    monkeypatch.setattr(limits, "MAX_PIXELS", 99)
    too_large = decode_image(Image.new("RGB", (10, 10)))
    assert isinstance(too_large, Failed)
    assert too_large.reason == "too_large"


def test_what_fails_in_extraction_is_a_failure_of_that_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image in which something stands out gives a product image; an error in between is a reason, not an exception."""
    assert isinstance(load_image(draw_photo(1)), ProductImage)
    monkeypatch.setattr(in_memory, "extract_product", lambda photo: 1 / 0)
    failed = load_image(draw_photo(1))
    assert isinstance(failed, Failed)
    assert (failed.reason, "division" in failed.detail) == ("unreadable", True)
    assert isinstance(load_image(Image.new("RGB", (0, 0))), Failed)

    def fail(photo: Photo) -> ProductImage:
        raise MemoryError

    monkeypatch.setattr(in_memory, "extract_product", fail)
    silent = load_image(draw_photo(1))
    assert isinstance(silent, Failed)
    assert "MemoryError" in silent.detail


@pytest.mark.parametrize(("shape", "mode"), [((6, 8, 3), "RGB"), ((6, 8), "L"), ((8, 3), "L"), ((1, 1), "L")])
def test_arrays_become_images(shape: tuple[int, ...], mode: str) -> None:
    """Three channels are RGB and none are grey, whatever the sides; strided arrays too."""
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    image = array_to_image(array)
    assert (image.mode, image.size) == (mode, shape[1::-1])
    assert np.array_equal(np.asarray(image), array)
    assert np.array_equal(np.asarray(array_to_image(array[::-1])), array[::-1])


@pytest.mark.parametrize("shape", [(6,), (6, 8, 1), (6, 8, 4), (2, 6, 8, 3), (0, 8), (8, 0, 3), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """The error gives dtype and shape, and what is accepted."""
    with pytest.raises(ValueError, match=r"dtype uint8 and shape \(.*give uint8 arrays of shape \(height, width, 3\)"):
        array_to_image(np.zeros(shape, np.uint8))
