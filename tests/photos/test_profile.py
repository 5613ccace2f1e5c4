"""Colours of a photo with a profile are shown as they are meant, and a damaged profile does no harm."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from tagger.photos import profile as profile_module
from tagger.photos.decode import decode_bytes
from tagger.photos.profile import to_srgb
from tagger.records import Photo

LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XYZ = b"XYZ \0\0\0\0"


def fixed(value: float) -> bytes:
    """Return a number as ICC profiles store it, in 16 bits before and behind the point."""
    return round(value * 65536).to_bytes(4, "big", signed=True)


def swapped(profile: bytes = SRGB) -> bytes:
    """Return a profile under another name in which red and green have changed places."""
    count = int.from_bytes(profile[128:132], "big")
    tags = {profile[at : at + 4]: profile[at + 4 : at + 12] for at in range(132, 132 + 12 * count, 12)}
    tags[b"rXYZ"], tags[b"gXYZ"] = tags[b"gXYZ"], tags[b"rXYZ"]
    table = b"".join(name + place for name, place in tags.items())
    return (profile[:132] + table + profile[132 + len(table) :]).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


def encoded(profile: bytes | None, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return an image file of mostly red pixels with a profile."""
    image = Image.new("RGB", (40, 40), (200, 30, 40)).convert(mode)
    image.save(file := io.BytesIO(), kind, icc_profile=profile)
    return file.getvalue()


def shown(content: bytes) -> tuple[int, ...]:
    """Return the colour that a file is shown in."""
    photo = decode_bytes(content, "photo")
    assert isinstance(photo, Photo)
    return tuple(int(value) for value in to_srgb(photo.pixels, content)[20, 20])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_colours_are_converted(kind: str) -> None:
    """What a file calls red is shown as green where its profile says that it is, whatever the format."""
    red, green, _ = shown(encoded(swapped(), kind))
    assert green > 150 > 60 > red


@pytest.mark.parametrize("profile", [None, SRGB, LAB, b"", b"no profile", swapped()[:200], SRGB[:16] + b"RGB " + bytes(500)])
def test_other_profiles_change_nothing(profile: bytes | None) -> None:
    """Neither none, nor sRGB, nor one that is damaged or of another space; pixels that need no change are not copied."""
    content = encoded(profile)
    pixels = np.full((4, 4, 3), 7, np.uint8)
    assert to_srgb(pixels, content) is pixels


def test_what_is_no_image_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes without an image, grey and CMYK photos, and profiles of more bytes than any has, keep their numbers."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert to_srgb(pixels, b"no image") is pixels
    assert to_srgb(pixels, encoded(None, "JPEG", "CMYK")) is pixels
    monkeypatch.setattr(profile_module, "MAX_BYTES", 300)
    assert to_srgb(pixels, encoded(swapped())) is pixels
