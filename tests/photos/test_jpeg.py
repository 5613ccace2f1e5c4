"""JPEG data is decoded to the pixels of Pillow; whatever its kind, damage inside is heard and harmless oddities are not."""
# ruff: noqa: SIM300 - the expected value stands first

import random
import re
from collections.abc import Callable
from functools import cache
from io import BytesIO

import cv2
import numpy as np
import pytest
from helpers import draw_photo
from image_files import detailed, encoded, photo_of, reason_of, sample, without_adobe_marker
from PIL import Image

from tagger.arrays import Pixels
from tagger.photos.decode import SIDE, decode_bytes
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed, Photo

END = b"\xff\xd9"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


@cache
def textured() -> Image.Image:
    """Return a drawn product of 300x400 pixels with a texture, on a plain ground."""
    pixels = np.asarray(draw_photo(4, (300, 400))).astype(int)
    noise = np.random.default_rng(0).integers(-30, 30, pixels.shape[:2])
    return Image.fromarray(np.clip(pixels + np.where(pixels.min(2) < 240, noise, 0)[..., None], 0, 255).astype(np.uint8))


KINDS: dict[str, dict[str, object]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "4:4:4": {"subsampling": 0, "quality": 95},
    "restarts": {"restart_marker_blocks": 5},
    "restarts of rows, optimised": {"restart_marker_rows": 1, "optimize": True},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 2},
    "quality 30": {"quality": 30},
    "grey": {"optimize": True},
}


@cache
def whole(kind: str) -> bytes:
    """Return a JPEG of that kind."""
    return encoded(textured().convert("L" if kind == "grey" else "RGB"), "JPEG", **KINDS[kind])


# Pixels


def by_pillow(content: bytes) -> Pixels:
    """Return the pixels of a JPEG that Pillow decodes at the same scale."""
    with Image.open(BytesIO(content)) as image:
        image.draft(None, (round(image.width * SIDE / max(image.size)), round(image.height * SIDE / max(image.size))))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("size", [(61, 83), (401, 300), (803, 1200), (1603, 1205), (3201, 2000)])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_pixels_are_those_of_pillow(size: tuple[int, int], options: dict[str, object]) -> None:
    """Files of every kind are decoded to the very pixels of Pillow, at every scale."""
    content = encoded(detailed(97, 67).resize(size), "JPEG", **options)
    assert np.array_equal(by_pillow(content), photo_of(content).pixels)


@pytest.mark.parametrize("sampling", [0x111111, 0x121111, 0x211111, 0x221111, 0x411111])
def test_pixels_of_other_subsamplings(sampling: int) -> None:
    """Files with colour at a half or a quarter of the columns, of the rows or of both are decoded as by Pillow."""
    pixels = np.asarray(detailed(97, 67).resize((1203, 900)))
    content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])[1].tobytes()
    assert np.array_equal(by_pillow(content), photo_of(content).pixels)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_pixels_of_other_modes(mode: str) -> None:
    """Grey and inks are decoded as by Pillow; inks without Adobe's marker are not inverted."""
    content = encoded(detailed(97, 67).resize((1203, 900)).convert(mode), "JPEG")
    assert np.array_equal(by_pillow(content), photo_of(content).pixels)
    if mode == "CMYK":
        mean = photo_of(without_adobe_marker(content)).pixels.mean()
        assert abs(mean - photo_of(content).pixels.mean()) > 20


def lossless(width: int, height: int) -> bytes:
    """Return a lossless JPEG of even grey: each difference from the predicted value is 0, the only code, of one bit."""
    frame = segment(0xC3, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00")
    codes = segment(0xC4, b"\x00" + b"\x01" + bytes(15) + b"\x00")
    return b"\xff\xd8" + frame + codes + segment(0xDA, b"\x01\x01\x00\x01\x00\x00") + bytes(-(-width * height // 8)) + END


def test_large_lossless_files_are_read_in_full() -> None:
    """A lossless file, which has no scales, is decoded in full and reduced: a scaled decoder would write past its memory."""
    photo = photo_of(lossless(1600, 1200))
    assert (300 * 2, 400 * 2, 3) == photo.pixels.shape or (300, 400, 3) == photo.pixels.shape
    assert {128} == set(np.unique(photo.pixels))


# Whole files


def with_junk(content: bytes, count: int) -> bytes:
    """Return the file with zeros before its first table."""
    at = content.index(b"\xff\xdb")
    return content[:at] + bytes(count) + content[at:]


def with_scan_parameters(content: bytes, parameters: bytes) -> bytes:
    """Return the sequential file with other parameters of progression, which say nothing there."""
    at = content.index(b"\xff\xda")
    end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content[: end - 3] + parameters + content[end:]


ODDITIES: dict[str, Callable[[bytes], bytes]] = {
    "no end marker, another file": lambda file: file[:-2] + sample("jpeg"),
    "zeros after it": lambda file: file + bytes(4096),
    "a video after it": lambda file: file + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20,
    "another file after it": lambda file: file + sample("progressive jpeg"),
    "two end markers": lambda file: file + END,
    "zeros before the end marker": lambda file: file[:-2] + bytes(512) + END,
    "fill bytes before the end marker": lambda file: file[:-2] + b"\xff" * 99 + END,
    "blanks before the end marker": lambda file: file[:-2] + b" " * 99 + END,
    "some bytes before the end marker": lambda file: file[:-2] + bytes(range(1, 12)) + END,
    "a profile cut wrongly": lambda file: file[:2] + segment(0xE2, b"ICC_PROFILE\0\2\7abc") + file[2:],
    "an unknown version": lambda file: file.replace(b"JFIF\0\1", b"JFIF\0\7", 1),
    "an unknown transform": lambda file: file[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09") + file[2:],
    "zeros between segments": lambda file: with_junk(file, 2),
    "fill bytes between segments": lambda file: file[:2] + b"\xff\xff" + file[2:],
    "a thumbnail": lambda file: file[:2] + segment(0xE1, b"Exif\0\0" + sample("jpeg")) + file[2:],
    "a comment at the end": lambda file: file[:-2] + segment(0xFE, b"a comment") + END,
    "its height again": lambda file: file[:-2] + segment(0xDC, (400).to_bytes(2, "big")) + END,
}


@pytest.mark.parametrize("kind", ["baseline", "progressive", "restarts", "optimised"])
@pytest.mark.parametrize("change", ODDITIES.values(), ids=ODDITIES)
def test_whole_files_with_oddities_are_whole(change: Callable[[bytes], bytes], kind: str) -> None:
    """What cameras, phones and programs do against the standard leaves a whole picture, which is read as it is."""
    changed = change(whole(kind))
    assert changed != whole(kind)
    assert np.array_equal(photo_of(whole(kind)).pixels, photo_of(changed).pixels)


@pytest.mark.parametrize("tail", [b"", bytes(500), b"uploaded by a shop"])
def test_a_missing_end_marker_is_a_missing_end(tail: bytes) -> None:
    """Where the end marker lacks, nothing tells whether the last rows are all there."""
    damaged = decode_bytes(whole("baseline")[:-2] + tail, "a.jpg")
    assert isinstance(damaged, Failed)
    assert damaged.reason == "truncated"


@pytest.mark.parametrize("parameters", [b"\x00\x00\x00", b"\x01\x05\x10"])
def test_parameters_of_a_sequential_scan_mean_nothing(parameters: bytes) -> None:
    """Some writers leave out the parameters of a sequential scan, which a decoder need not read."""
    changed = with_scan_parameters(whole("baseline"), parameters)
    assert np.array_equal(photo_of(whole("baseline")).pixels, photo_of(changed).pixels)


@pytest.mark.parametrize("image", [Image.new("RGB", (800, 600), "white"), Image.new("L", (333, 500), 77)])
@pytest.mark.parametrize("tail", [END, b" " * 300 + END])
def test_even_ground_is_whole(image: Image.Image, tail: bytes) -> None:
    """Optimised tables code even ground as runs of zero bytes, which are no damage."""
    content = encoded(image, "JPEG", optimize=True)
    assert content.count(bytes(20))
    assert np.array_equal(photo_of(content).pixels, photo_of(content[:-2] + tail).pixels)


# Damaged files


def start_of_data(content: bytes) -> int:
    at = content.index(b"\xff\xda")
    return at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def fitted(content: bytes) -> int:
    """Return the length of a hole for a file."""
    return min(4096, len(content) // 4)


DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    "zeros to the end": lambda file, at: file[:at] + bytes(len(file) - at),
    "zeros to the end marker": lambda file, at: file[:at] + bytes(len(file) - at - 2) + END,
    "cut": lambda file, at: file[:at],
    "cut, with an end marker": lambda file, at: file[:at] + END,
    "missing bytes": lambda file, at: file[:at] + file[at + fitted(file) :],
    "random bytes": lambda file, at: (file[:at] + random.Random(at).randbytes(fitted(file)) + file[at + fitted(file) :])[
        : len(file)
    ],
    "zeroed bytes": lambda file, at: (file[:at] + bytes(fitted(file)) + file[at + fitted(file) :])[: len(file)],
    "bytes of 255": lambda file, at: (file[:at] + b"\xff" * fitted(file) + file[at + fitted(file) :])[: len(file)],
    "another file": lambda file, at: file[:at] + sample("jpeg"),
    "another file's end": lambda file, at: file[:at] + sample("jpeg")[start_of_data(sample("jpeg")) :],
}


def places(content: bytes) -> list[int]:
    """Return ten places in the picture's data, well before its end."""
    start = start_of_data(content)
    return [start + (len(content) - start) * tenth // 100 for tenth in range(3, 93, 9)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_heard(damage: str, kind: str) -> None:
    """A file with damage at any place of its data fails, and says what to do."""
    for at in places(whole(kind)):
        result = decode_bytes(DAMAGES[damage](whole(kind), at), "shirt.jpg")
        assert isinstance(result, Failed), (damage, at)
        assert result.reason in ("truncated", "unreadable")
        assert result.detail.startswith("shirt.jpg: ")
        assert result.detail.endswith("; copy or export it again")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_decoded_on_request(damage: str, kind: str) -> None:
    """With damaged files allowed, the picture is decoded as far as it goes, in its full size, and marked."""
    expected = photo_of(whole(kind)).pixels
    for at in places(whole(kind)):
        rescued = decode_bytes(DAMAGES[damage](whole(kind), at), "shirt.jpg", DecodeSettings(allow_truncated=True))
        assert isinstance(rescued, Photo), (damage, at)
        assert rescued.truncated
        assert expected.shape == rescued.pixels.shape
    if "progressive" not in kind:
        rows = np.s_[: len(expected) // 2]  # of the last place
        assert np.abs(expected[rows].astype(int) - rescued.pixels[rows]).mean() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_lost_ends_are_truncated(kind: str) -> None:
    """Files that end early are called truncated, with an end marker behind them and without."""
    for at in places(whole(kind)):
        assert "truncated" == reason_of(decode_bytes(whole(kind)[:at], "photo"))
    if "restarts" not in kind:  # there the marker may stand in place of one that was expected
        for at in places(whole(kind)):
            assert "truncated" == reason_of(decode_bytes(whole(kind)[:at] + END, "photo"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_lost_passes_are_truncated(mode: str) -> None:
    """A progressive file that ends after any but its last pass is truncated, though no decoder warns of it."""
    content = encoded(textured().convert(mode), "JPEG", progressive=True)
    scans = [found.start() for found in re.finditer(b"\xff\xda", content)]
    assert len(scans) > 5
    for scan in scans[1:]:
        table = content.rindex(b"\xff\xc4", 0, scan)
        for end in (scan, table):
            result = decode_bytes(content[:end] + END, "photo")
            assert "truncated" == reason_of(result)
            assert isinstance(decode_bytes(content[:end] + END, "photo", DecodeSettings(allow_truncated=True)), Photo)


def test_lost_colours_are_truncated() -> None:
    """A sequential file with a scan for each colour is truncated where it ends before the last, and whole with all."""
    y, cb, cr = (separate(marker) for marker in (1, 2, 3))
    header = y[: y.index(b"\xff\xda")]
    scans = [part[part.index(b"\xff\xda") : -2] for part in (y, cb, cr)]
    assert isinstance(decode_bytes(header + b"".join(scans) + END, "photo"), Photo)
    assert "truncated" == reason_of(decode_bytes(header + b"".join(scans[:2]) + END, "photo"))


def separate(component: int) -> bytes:
    """Return a file that announces three components of even grey and has a scan of one of them."""
    grey = encoded(Image.new("L", (64, 64), 90), "JPEG")
    frame, scan = grey.index(b"\xff\xc0"), grey.index(b"\xff\xda")
    three = segment(0xC0, grey[frame + 4 : frame + 9] + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
    head = grey[:frame] + three + grey[frame + 2 + 11 : scan]
    return head + segment(0xDA, bytes([1, component]) + b"\x00\x00\x3f\x00") + grey[start_of_data(grey) :]


def test_restarts_out_of_order_are_damage() -> None:
    """Two stretches between restart markers that have changed places are damage."""
    content = whole("restarts")
    at = [found.start() for found in re.finditer(b"\xff[\xd0-\xd7]", content)]
    swapped = content[: at[3]] + content[at[4] : at[5]] + content[at[3] : at[4]] + content[at[5] :]
    assert "unreadable" == reason_of(decode_bytes(swapped, "photo"))


def test_a_second_scan_of_another_file_is_damage() -> None:
    """A file that is followed by the scan of another before its end marker is damaged."""
    other = encoded(textured().rotate(180), "JPEG")
    spliced = whole("baseline")[:-2] + other[other.index(b"\xff\xda") :]
    assert "unreadable" == reason_of(decode_bytes(spliced, "photo"))


def test_what_is_not_decoded_is_grey() -> None:
    """Of a file whose decoder gives up on damaged codes, what is kept shows nothing, above all nothing of another photo."""
    content = whole("progressive")
    at = content.index(b"\xff\xc4", content.index(b"\xff\xda"))
    damaged = content[: at - 20] + content[at : at + 5] + b"\xff" * 16 + content[at + 21 :]  # a scan cut, then no codes
    assert isinstance(decode_bytes(damaged, "photo.jpg"), Failed)
    photo = decode_bytes(damaged, "photo.jpg", DecodeSettings(allow_truncated=True))
    assert isinstance(photo, Photo)
    assert photo.truncated
    assert set(np.unique(photo.pixels)) == {128}
