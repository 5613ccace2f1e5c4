"""TIFFs of every kind of samples and colours come out in their colours."""

import numpy as np
import pytest
from image_files import BLUE, GREEN, GREY, RED, WHITE, YELLOW, assert_all, assert_quarters, encoded, photo_of, quarters
from PIL import Image, ImageCms
from tiff_files import GREY as GREYS
from tiff_files import RGB, packed_tiff, tiff, with_tag

GREY_QUARTERS = [(int(GREYS[y, x]),) * 3 for y in (16, 48) for x in (24, 72)]


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("samples", [RGB, GREYS], ids=["rgb", "grey"])
def test_fewer_bits_in_sixteen(bits: int, samples: np.ndarray) -> None:
    """What fills 10, 12 or 14 bits of 16 is as bright as what fills all, with white in the photo."""
    white = np.concatenate([samples, np.full_like(samples[:8], 255)])
    deep = (white.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    expected = [RED, GREEN, BLUE, YELLOW] if samples is RGB else GREY_QUARTERS
    pixels = photo_of(tiff(deep)).pixels
    middles = [pixels[y, x] for y in (16, 48) for x in (24, 72)]
    assert np.abs(np.subtract(middles, expected, dtype=int)).max() <= 1


def test_a_dark_photo_of_sixteen_bits_stays_dark() -> None:
    """A photo without white is not taken for one of fewer bits."""
    for share in (0.5, 0.1, 0.03):
        dark = (GREYS.astype(np.float64) * 257 * share).astype(np.uint16)
        assert photo_of(tiff(dark)).pixels.mean() == pytest.approx(GREYS.mean() * share, abs=1)


def test_the_declared_white_counts() -> None:
    """SMaxSampleValue and MaxSampleValue give the white, whatever the content fills; one below the content does not."""
    dark = GREYS.astype(np.uint16) * 16  # up to 170 of 255
    for tag in (281, 341):
        declared = photo_of(tiff(dark, extratags=[(tag, 3, 1, 4095, True)])).pixels
        assert np.abs(declared[..., 0].astype(int) - GREYS).max() <= 1
        wrong = photo_of(tiff(dark, extratags=[(tag, 3, 1, 100, True)])).pixels
        assert np.array_equal(wrong, photo_of(tiff(dark)).pixels)


@pytest.mark.parametrize(
    ("type_", "white"),
    [
        (np.uint32, 2**32 - 1),
        (np.uint32, 65535),
        (np.int16, 32767),
        (np.int32, 2**31 - 1),
        (np.uint64, 2**64 - 1),
        (np.float16, 1),
        (np.float32, 1),
        (np.float64, 1),
        (np.float32, 255),
        (np.float32, 65535),
    ],
)
def test_wide_samples(type_: type, white: float) -> None:
    """Integers and floats of any width come out alike."""
    for samples, expected in ((RGB, (RED, GREEN, BLUE, YELLOW)), (GREYS, GREY_QUARTERS)):
        bright = samples.copy()
        bright[0] = 255
        wide = (bright.astype(np.float64) / 255 * white * (1 - 1e-9)).astype(type_)
        assert_quarters(photo_of(tiff(wide)), *expected, tolerance=1)


def test_signed_samples_around_zero() -> None:
    """Floats from -1 to 1 are black at -1; a slight overshoot below 0 is black, and changes nothing else."""
    assert_quarters(photo_of(tiff((RGB / 127.5 - 1).astype(np.float32))), tolerance=1)
    overshot = (RGB / 255).astype(np.float32)
    overshot[0] = -0.01
    assert_quarters(photo_of(tiff(overshot)), tolerance=1)


def test_no_number_is_white() -> None:
    """NaN, infinity and GDAL's value for pixels without content are the ground of a product photo."""
    for nothing, tags in ((np.nan, []), (np.inf, []), (-9999, [(42113, 2, 6, "-9999", True)])):
        values = (GREYS / 255).astype(np.float32)
        values[32:, :48] = nothing
        pixels = photo_of(tiff(values, extratags=tags)).pixels
        assert (pixels[48, 24] == 255).all()
        assert abs(int(pixels[16, 24, 0]) - int(GREYS[16, 24])) <= 1


def test_packed_and_palette_samples() -> None:
    """Samples of 2, 4, 10, 12 and 14 bits without gaps, palettes with bytes or words, and white as zero."""
    for bits in (4, 10, 12, 14):
        packed = packed_tiff(GREYS.astype(int) * (2**bits - 1) // 255, bits)
        assert_quarters(photo_of(packed), *GREY_QUARTERS, tolerance=17 if bits == 4 else 1)
    assert_quarters(photo_of(encoded(quarters().quantize(16), "TIFF")), tolerance=2)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :4] = np.transpose([RED, GREEN, BLUE, YELLOW])
    indices = np.zeros((64, 96), np.uint8)
    indices[:32, 48:], indices[32:, :48], indices[32:, 48:] = 1, 2, 3
    for scale in (1, 257):
        assert_quarters(photo_of(tiff(indices, photometric="palette", colormap=colours * scale)))
    assert_quarters(photo_of(tiff(255 - GREYS, photometric="miniswhite")), *GREY_QUARTERS)


def test_inks_and_lab() -> None:
    """CMYK of 8 and 16 bits, with and without spot colours, and both kinds of L*a*b*."""
    inks = np.asarray(quarters().convert("CMYK"))
    spot = np.concatenate([inks, np.full((64, 96, 1), 200, np.uint8)], axis=2)
    for samples in (inks, spot):
        assert_quarters(photo_of(tiff(samples, photometric="separated")), tolerance=2)
        assert_quarters(photo_of(tiff(samples.astype(np.uint16) * 257, photometric="separated")), tolerance=2)
    profiles = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    lab = np.asarray(ImageCms.profileToProfile(quarters(), *profiles, outputMode="LAB"))
    assert_quarters(photo_of(tiff(lab, photometric="cielab")), tolerance=4)
    assert_quarters(photo_of(tiff(lab ^ np.array([0, 128, 128], np.uint8), photometric="icclab")), tolerance=4)


# Transparency


def half_transparent(dtype: type, kind: str, colour_under: int = 0) -> bytes:
    """Return a TIFF whose upper half is transparent, with a colour under it."""
    scale = 257 if dtype == np.uint16 else 1
    alpha = np.full((64, 96, 1), 255, np.uint8)
    alpha[:32] = 0
    colours = RGB.copy()
    colours[:32] = colour_under
    return tiff(np.concatenate([colours, alpha], axis=2).astype(dtype) * dtype(scale), extrasamples=[kind])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_transparency_shows_white(dtype: type, kind: str) -> None:
    """The colour under transparent pixels never shows, at 8 or 16 bits, premultiplied or not."""
    assert_quarters(photo_of(half_transparent(dtype, kind)), WHITE, WHITE, BLUE, YELLOW)


def test_premultiplied_colours_are_brought_back() -> None:
    """Colours that are stored multiplied by their transparency are not darkened twice."""
    premultiplied = np.concatenate([RGB // 2, np.full((64, 96, 1), 128, np.uint8)], axis=2)
    plain = np.concatenate([RGB, np.full((64, 96, 1), 128, np.uint8)], axis=2)
    stored, expected = (
        photo_of(tiff(samples, extrasamples=[kind])).pixels.astype(int)
        for samples, kind in ((premultiplied, "assocalpha"), (plain, "unassalpha"))
    )
    assert np.abs(stored - expected).max() <= 2


def test_grey_with_transparency() -> None:
    """Grey of 16 bits with transparency, which Pillow does not read."""
    alpha = np.full_like(GREYS, 255)
    alpha[:32] = 0
    samples = np.stack([GREYS, alpha], axis=2).astype(np.uint16) * 257
    content = tiff(samples, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    assert_quarters(photo_of(content), WHITE, WHITE, *GREY_QUARTERS[2:])


def test_further_samples_are_no_transparency() -> None:
    """Samples of no declared meaning are left out; a transparency of 0 everywhere is one that was never set."""
    further = np.concatenate([RGB, np.zeros((64, 96, 2), np.uint8)], axis=2)
    assert_quarters(photo_of(tiff(further, extrasamples=["unspecified", "unspecified"])))
    for kind in ("unassalpha", "assocalpha", "unspecified"):
        assert_quarters(photo_of(tiff(further[..., :4].copy(), extrasamples=[kind])))


# Colours at a lower resolution


def subsampled(wide: int, high: int) -> bytes:
    """Return an uncompressed TIFF of YCbCr whose colours have 1/wide and 1/high of the size."""
    ycc = np.asarray(quarters().convert("YCbCr"))
    brightness = (
        ycc[..., 0].reshape(64 // high, high, 96 // wide, wide).transpose(0, 2, 1, 3).reshape(64 // high, 96 // wide, -1)
    )
    units = np.concatenate([brightness, ycc[::high, ::wide, 1:]], axis=2)
    plain = tiff(
        np.zeros((64, 96, 3), np.uint8), extratags=[(530, 3, 2, (wide, high), True)], photometric="rgb", rowsperstrip=64
    )
    content = with_tag(with_tag(plain, 262, 6), 279, units.size)
    at = len(content) - 64 * 96 * 3
    return content[:at] + units.tobytes() + content[at + units.size :]


@pytest.mark.parametrize(("wide", "high"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_colours_of_lower_resolution(wide: int, high: int) -> None:
    """YCbCr that is not JPEG stores a block of brightness and one pair of colours."""
    assert_quarters(photo_of(subsampled(wide, high)), tolerance=3)


def test_jpeg_colours() -> None:
    """JPEG strips of YCbCr, which tifffile writes, of RGB, which Pillow writes, of grey and of CMYK."""
    assert_quarters(photo_of(tiff(RGB, compression="jpeg")), tolerance=8)
    assert_quarters(photo_of(encoded(quarters(), "TIFF", compression="jpeg")), tolerance=8)
    assert_quarters(photo_of(tiff(GREYS, compression="jpeg")), *GREY_QUARTERS, tolerance=4)
    assert_all(photo_of(encoded(Image.new("CMYK", (32, 32), (0, 0, 0, 127)), "TIFF", compression="jpeg")), GREY, tolerance=2)
