"""Still WebP photos are decoded to the pixels of Pillow; every other container is left to Pillow."""

from io import BytesIO

import numpy as np
import pytest
from image_files import detailed, encoded, photo_of, quarters, reason_of, with_exif
from PIL import Image

from tagger.photos import decode
from tagger.photos.decode import decode_bytes
from tagger.photos.webp import open_still_webp

FILE = encoded(quarters(), "WEBP", exif=with_exif(6))
"""With chunks VP8X, VP8 and EXIF."""


def transparent() -> Image.Image:
    image = detailed(97, 67)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "opaque"])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": with_exif(6), "icc_profile": bytes(99)}])
def test_pixels_are_those_of_pillow(mode: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lossy and lossless, with transparency and metadata: the same photo."""
    image = transparent() if mode == "RGBA" else detailed(97, 67).convert("RGB" if mode == "RGB" else "RGBA")
    content = encoded(image.resize((1200, 900)), "WEBP", **options)
    opened = open_still_webp(content)
    assert opened is not None
    assert opened.size == (1200, 900)
    photo = photo_of(content)
    monkeypatch.setattr(decode, "open_still_webp", lambda _: None)
    expected = photo_of(content)
    assert np.array_equal(expected.pixels, photo.pixels)
    assert (expected.alpha is None) == (photo.alpha is None) == (mode != "RGBA")
    assert expected.alpha is None or photo.alpha is None or np.array_equal(expected.alpha, photo.alpha)


def resized(content: bytes) -> bytes:
    """Return a container whose length is right again."""
    return content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:]


def animation() -> bytes:
    buffer = BytesIO()
    quarters().save(buffer, "WEBP", save_all=True, append_images=[quarters().rotate(90)])
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        FILE[:-1],
        FILE + b"\0",
        resized(FILE[:-2]),
        resized(FILE + FILE[12:30]),
        resized(FILE[:12] + FILE[30:]),
        resized(FILE + b"ICCP\4\0\0\0abcd"),
        FILE[:20] + b"\0" + FILE[21:],
        FILE[:24] + b"\1" + FILE[25:],
        FILE.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b", 1),
        animation(),
    ],
)
def test_other_containers_are_not_still(content: bytes) -> None:
    """Containers that are cut, doubled, of another order, size or flags, and animations, are for Pillow to understand."""
    assert open_still_webp(FILE) is not None
    assert open_still_webp(content) is None


def test_damage_is_told_by_pillow() -> None:
    """A whole container with a damaged picture fails as it does without this reader."""
    content = encoded(detailed(97, 67), "WEBP", lossless=True)
    assert reason_of(decode_bytes(content[:60] + b"\xff" * 300 + content[360:], "photo.webp")) == "unreadable"
