"""The size of a photo is limited by the memory that decoding it takes, or by the number of pixels that the user gives."""

import threading
from io import BytesIO

import numpy as np
import pytest
from image_files import encoded, photo_of, png, quarters, reason_of, sample
from PIL import Image
from tiff_files import RGB, tiff, with_tag

from tagger.photos import limits
from tagger.photos.decode import decode_bytes
from tagger.photos.limits import check_size, pillow_memory, taking_turns
from tagger.photos.opened import ImageFault, OpenedImage
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed


def opened(width: int, height: int, memory: int = 0) -> OpenedImage:
    """Return an image of that size, not to be loaded."""
    return OpenedImage((width, height), memory, lambda: Image.new("L", (1, 1)))


def huge_jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    """Return a JPEG whose header has that size; its pixels are those of a small one."""
    content = bytearray(encoded(quarters(), "JPEG", progressive=progressive))
    at = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(content)


def test_photos_of_phones_are_read() -> None:
    """A JPEG of 200 megapixels is decoded at an eighth, without a warning."""
    file = BytesIO()
    Image.new("L", (16_320, 12_240), 200).save(file, "JPEG", quality=20)
    photo = photo_of(file.getvalue())
    assert photo.pixels.shape == (383, 510, 3)
    assert np.abs(photo.pixels.astype(int) - 200).max() <= 3


@pytest.mark.parametrize("size", [(11_648, 8_736), (14_204, 10_652), (16_320, 12_240)])
@pytest.mark.parametrize("progressive", [False, True])
def test_photos_of_studio_cameras_are_allowed(size: tuple[int, int], progressive: bool) -> None:
    """JPEGs of 102, 151 and 200 megapixels are no bombs, progressive ones neither."""
    assert reason_of(decode_bytes(huge_jpeg(*size, progressive), "large.jpg")) != "too_large"


@pytest.mark.parametrize(
    "content",
    [
        png(60_000, 60_000, 8, 2, b""),
        png(60_000, 60_000, 1, 0, b""),
        encoded(Image.new("L", (4, 4)), "GIF").replace(b"\x04\x00\x04\x00", b"\x60\xea\x60\xea"),
        with_tag(with_tag(tiff(RGB), 256, 60_000), 257, 60_000),
        huge_jpeg(65_000, 65_000),
        huge_jpeg(30_000, 15_000, progressive=True),
    ],
    ids=["png", "1-bit png", "gif", "tiff", "jpeg", "progressive jpeg"],
)
def test_bombs_are_refused(content: bytes) -> None:
    """What would take gigabytes fails by its header, in a sentence that names the remedy."""
    failed = decode_bytes(content, "bomb")
    assert isinstance(failed, Failed)
    assert failed.reason == "too_large"
    assert "give --max-pixels" in failed.detail


def test_the_limit_of_the_user_counts_alone() -> None:
    """A given number of pixels replaces the limits of memory and pixels, up and down."""
    check_size(opened(100_000, 100_000, 10**12), 10**10)
    check_size(opened(10, 10), None)
    with pytest.raises(ImageFault, match=r"^10x10 pixels, more than --max-pixels 99$") as caught:
        check_size(opened(10, 10), 99)
    assert caught.value.reason == "too_large"
    small = DecodeSettings(max_pixels=96 * 64 - 1)
    for name in ("jpeg", "png", "tiff", "gif", "webp"):
        assert reason_of(decode_bytes(sample(name), name, small)) == "too_large"
        assert reason_of(decode_bytes(sample(name), name, DecodeSettings(max_pixels=120 * 90))) == "a photo"


def test_the_default_limits() -> None:
    """By memory, and by a number of pixels that no camera has."""
    check_size(opened(20_000, 20_000, limits.MAX_MEMORY), None)
    with pytest.raises(ImageFault, match=r"^20000x20000 pixels need more than 1.25 GB of memory; give --max-pixels 400000000"):
        check_size(opened(20_000, 20_000, limits.MAX_MEMORY + 1), None)
    with pytest.raises(ImageFault, match=r"^500000001x1 pixels, more than 500,000,000; give --max-pixels 500000001"):
        check_size(opened(limits.MAX_PIXELS + 1, 1), None)


def test_memory_by_mode() -> None:
    """Colours take more than greys, transparency more than none, and a progressive JPEG its coefficients at any scale."""
    memory = {mode: pillow_memory(Image.new(mode, (100, 100))) for mode in ("L", "RGB", "RGBA", "CMYK")}
    assert memory["L"] < memory["RGB"] < memory["RGBA"] == memory["CMYK"]
    assert pillow_memory(Image.new("RGB", (800, 800)), 8) == pillow_memory(Image.new("RGB", (100, 100)))
    coefficients = {}
    for subsampling in (0, 2):
        content = encoded(Image.new("RGB", (800, 800)), "JPEG", progressive=True, subsampling=subsampling)
        with Image.open(BytesIO(content)) as image:
            coefficients[subsampling] = pillow_memory(image, 8) - pillow_memory(Image.new("RGB", (100, 100)))
    assert coefficients == {0: 800 * 800 * 6, 2: 800 * 800 * 3}


def test_large_photos_take_turns() -> None:
    """While one large photo is decoded another waits, and a small one does not."""
    order: list[str] = []

    def decode(name: str, memory: int) -> None:
        with taking_turns(memory):
            order.append(name)

    with taking_turns(limits.ALONE_FROM + 1):
        threads = [threading.Thread(target=decode, args=each) for each in (("large", limits.ALONE_FROM + 1), ("small", 1))]
        for thread in threads:
            thread.start()
        threads[1].join(10)
        assert order == ["small"]
    threads[0].join(10)
    assert order == ["small", "large"]
