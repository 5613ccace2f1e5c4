"""TIFFs of every compression are read, cut ones are told, and the full page is taken."""

import logging
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from image_files import BLUE, GREEN, RED, YELLOW, assert_quarters, encoded, photo_of, quarters, reason_of
from PIL import Image
from tiff_files import GREY, RGB, tiff, tiff_pages, with_tag

from tagger.photos.decode import decode_bytes
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed, Photo

COMPRESSIONS = ("none", "lzw", "zlib", "deflate", "packbits", "zstd", "lzma", "jpeg", "webp", "jpegxl", "jpeg2000", "lerc")
PREVIEW = np.full((16, 24, 3), 255, np.uint8)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_compressions(compression: str, tile: tuple[int, int] | None) -> None:
    """Strips and tiles of each compression are read, in either byte order."""
    for order in "<>":
        content = tiff_pages((RGB, {"compression": compression, "tile": tile}), byteorder=order)
        assert_quarters(photo_of(content), tolerance=8)


def test_big_planar_and_predicted() -> None:
    """BigTIFF, colours in planes, and predictors of integers and floats."""
    assert_quarters(photo_of(tiff_pages((RGB, {}), bigtiff=True)))
    planes = np.ascontiguousarray(np.moveaxis(RGB, -1, 0))
    assert_quarters(photo_of(tiff(planes, photometric="rgb", planarconfig="separate", compression="lzw")))
    assert_quarters(photo_of(tiff(RGB, compression="zlib", predictor=True)))
    floats = (RGB / 255).astype(np.float32)
    assert_quarters(photo_of(tiff(floats, compression="zlib", predictor=True)), tolerance=1)


@pytest.mark.skipif(not hasattr(imagecodecs, "ccittfax4_decode"), reason="imagecodecs of Python 3.10 reads no fax")
@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(compression: str) -> None:
    """Black and white pages of scanners."""
    page = Image.new("1", (64, 64), 1)
    page.paste(0, (0, 0, 32, 64))
    pixels = photo_of(encoded(page, "TIFF", compression=compression)).pixels
    assert (pixels[:, :32] == 0).all()
    assert (pixels[:, 32:] == 255).all()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_cut_data_are_told(compression: str) -> None:
    """A file whose strips end after it, or whose data end early, is truncated, whatever the compression."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = tiff(noise, compression=compression, rowsperstrip=16)
    assert reason_of(decode_bytes(content, "whole.tif")) == "a photo"
    for share in (0.5, 0.8, 0.97):
        assert reason_of(decode_bytes(content[: int(len(content) * share)], "cut.tif")) == "truncated"


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
def test_a_strip_that_ends_early_is_told(compression: str) -> None:
    """A strip is announced, and stored, shorter than its rows are."""
    content = tiff(RGB, compression=compression, rowsperstrip=64)
    with tifffile.TiffFile(BytesIO(content)) as opened:
        length = opened.pages[0].databytecounts[0]
    short = with_tag(content, 279, length // 2)
    failed = decode_bytes(short, "short.tif")
    assert isinstance(failed, Failed)
    assert failed == Failed("truncated", "short.tif: its data end early")


def test_cut_files_can_be_rescued() -> None:
    """With truncated files allowed, the strips that are there are decoded, and the photo is marked."""
    content = tiff(RGB, compression="lzw", rowsperstrip=8)
    with tifffile.TiffFile(BytesIO(content)) as opened:
        middle = opened.pages[0].dataoffsets[5]
    rescued = decode_bytes(content[:middle], "cut.tif", DecodeSettings(allow_truncated=True))
    assert isinstance(rescued, Photo)
    assert rescued.truncated
    assert np.array_equal(rescued.pixels[:32], RGB[:32])


def test_damaged_data_are_unreadable() -> None:
    """A whole file with wrong data is damaged, not cut."""
    content = bytearray(tiff(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), compression="zlib"))
    content[2000:2100] = bytes(100)
    assert reason_of(decode_bytes(bytes(content), "damaged.tif")) == "unreadable"


def test_the_last_uncompressed_strip_may_be_announced_too_long() -> None:
    """Some programs announce the bytes of a whole strip although the image ends before."""
    content = tiff(RGB)
    content = with_tag(content, 279, RGB.nbytes + 5000)
    assert_quarters(photo_of(content))


# Pages


@pytest.mark.parametrize("marked", [0, 1])
def test_a_preview_before_the_photo_is_passed_over(marked: int) -> None:
    """The photo is taken, whether its preview is marked as reduced or only small."""
    assert_quarters(photo_of(tiff_pages((PREVIEW, {"subfiletype": marked}), (RGB, {}))))


def test_the_first_of_several_full_pages_is_taken() -> None:
    """A later page counts only where the first is a preview; masks never do."""
    other = np.zeros((70, 100, 3), np.uint8)
    assert_quarters(photo_of(tiff_pages((RGB, {}), (other, {}))))
    assert_quarters(photo_of(tiff_pages((np.zeros((200, 200), bool), {"subfiletype": 4}), (RGB, {}))))
    assert_quarters(photo_of(tiff_pages((RGB, {}), (PREVIEW, {"subfiletype": 1}))))


def test_a_photo_below_its_preview_is_found() -> None:
    """Cameras put the full photo into a directory below that of the preview."""
    assert_quarters(photo_of(tiff_pages((PREVIEW, {"subifds": 1, "subfiletype": 1}), (RGB, {}))))


def test_a_cut_photo_after_its_preview_is_not_the_preview() -> None:
    """The preview does not stand for a photo that is cut."""
    content = tiff_pages((PREVIEW, {"subfiletype": 1}), (RGB, {}))
    assert reason_of(decode_bytes(content[:-3000], "cut.tif")) == "truncated"


def test_orientation() -> None:
    """The page's orientation is applied, or where it has none that of the first page."""
    turned = {"extratags": [(274, 3, 1, 3, True)]}
    assert_quarters(photo_of(tiff(RGB, **turned)), YELLOW, BLUE, GREEN, RED)
    assert_quarters(photo_of(tiff_pages((PREVIEW, turned), (RGB, {}))), YELLOW, BLUE, GREEN, RED)


# Kinds that are not read


def test_kinds_that_are_not_read_are_named() -> None:
    """A whole file is never called damaged: the sentence has its kind and a remedy."""
    whole = tiff(RGB)
    sentences = {
        "JBIG compression": with_tag(whole, 259, 34661),
        "PNG compression": tiff(RGB, compression="png"),
        "unknown (31000) compression": with_tag(whole, 259, 31000),
        "LOGLUV colours": with_tag(whole, 262, 32845),
        "1 samples per pixel": with_tag(tiff(GREY), 262, 2),
    }
    for words, content in sentences.items():
        failed = decode_bytes(content, "photo.tif")
        assert isinstance(failed, Failed)
        assert failed.reason == "unreadable"
        assert words in failed.detail
        assert "convert it" in failed.detail


@pytest.mark.parametrize(
    "content",
    [
        tiff(GREY, photometric=32803, extratags=[(33421, 3, 2, (2, 2), True), (33422, 1, 4, (0, 1, 1, 2), True)]),
        tiff(RGB, extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]),
        tiff_pages((PREVIEW, {"subifds": 1, "subfiletype": 1}), (RGB, {"photometric": 34892})),
    ],
)
def test_raw_files_of_cameras_are_named(content: bytes) -> None:
    """DNG, NEF and ARW are TIFFs whose preview would pass for the photo."""
    failed = decode_bytes(content, "photo.tif")
    assert failed == Failed("unreadable", "photo.tif: a camera's raw file; export the photo as JPEG or PNG")


def test_an_old_jpeg_is_read() -> None:
    """A TIFF of 1992 may hold a whole JPEG file."""
    inner = encoded(quarters(), "JPEG", quality=95)
    plain = tiff(RGB, extratags=[(513, 4, 1, 0, True), (514, 4, 1, len(inner), True)])
    content = with_tag(with_tag(plain, 259, 6), 513, len(plain)) + inner
    assert_quarters(photo_of(content), tolerance=6)


# Messages


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """What tifffile says about a damaged file goes nowhere; what it says to other users of tifffile still does."""
    content = tiff(RGB, compression="lzw", rowsperstrip=16)
    for cut in range(20, len(content), 97):
        decode_bytes(content[:cut], "cut.tif")
    for at in range(8, 240, 7):
        decode_bytes(content[:at] + b"\xff\xff" + content[at + 2 :], "damaged.tif")
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])
    logging.getLogger("tifffile").warning("from another user")
    assert [record.message for record in caplog.records] == ["from another user"]
