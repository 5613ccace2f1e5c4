"""Turn the samples of a TIFF page into an image of eight bits per channel, by its photometric interpretation (TIFF 6.0)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagger.arrays import Pixels
from tagger.photos.depth import to_eight_bit
from tagger.photos.opened import ImageFault

if TYPE_CHECKING:
    from tifffile import TiffPage

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
"""Values of PhotometricInterpretation."""

_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3}
"""Samples that are colours; those that follow are transparency, inks or others."""

_PREMULTIPLIED, _ALPHA = 1, 2
"""Values of ExtraSamples."""

_MAX_SAMPLE, _SMAX_SAMPLE, _COLOUR_MAP, _SUBSAMPLING, _GDAL_NODATA = 281, 341, 320, 530, 42113
_DECODED_BY_JPEG = (6, 7)


def colour_image(page: "TiffPage", samples: NDArray[Any]) -> Image.Image:
    """Return the image of a page from its samples, (height, width, samples): L, LA, RGB, RGBA or CMYK.

    Raises `ImageFault` for combinations that are not read.
    """
    photometric = int(page.photometric)
    colours = _COLOURS[photometric]
    if samples.shape[2] < colours:
        found = samples.shape[2]
        raise ImageFault("unreadable", f"a TIFF with {found} samples per pixel in place of {colours}; convert it to RGB")
    if photometric == PALETTE:
        return _with_alpha(Image.fromarray(_palette_colours(page, samples[..., 0])), None, False)
    transparency = _transparency(page, samples, colours)
    eight_bit = _eight_bit(page, samples[..., :colours])
    image = _image(page, photometric, eight_bit)
    if transparency is None:
        return image
    kind, alpha = transparency
    return _with_alpha(image, to_eight_bit(alpha, _bits(page)), kind == _PREMULTIPLIED)


def _image(page: "TiffPage", photometric: int, samples: Pixels) -> Image.Image:
    """Return the image of colours of eight bits, (height, width, colours), without transparency."""
    if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        grey = samples[..., 0]
        return Image.fromarray(np.ascontiguousarray(255 - grey if photometric == WHITE_IS_ZERO else grey))
    packed = np.ascontiguousarray(samples)
    if photometric == CMYK:
        return Image.frombytes("CMYK", packed.shape[1::-1], packed.tobytes())
    if photometric in (CIELAB, ICCLAB):
        # Pillow unpacks a and b from signed bytes, as CIELAB stores them; ICCLAB has the neutral tone at 128.
        if photometric == ICCLAB:
            packed = packed ^ np.array([0, 128, 128], np.uint8)
        return Image.frombytes("LAB", packed.shape[1::-1], packed.tobytes()).convert("RGB")
    if photometric == YCBCR and page.compression not in _DECODED_BY_JPEG:
        return Image.frombytes("YCbCr", packed.shape[1::-1], packed.tobytes()).convert("RGB")
    return Image.fromarray(packed)


def _transparency(page: "TiffPage", samples: NDArray[Any], colours: int) -> tuple[int, NDArray[Any]] | None:
    """Return the kind and the samples of the transparency; None where there is none, or where it is 0 everywhere.

    Further samples without a declared kind are other things, but for a single one of a file that declares none at all.
    """
    kinds = [int(kind) for kind in page.extrasamples]
    if not kinds and samples.shape[2] == colours + 1:
        kinds = [_ALPHA]
    for number, kind in enumerate(kinds[: samples.shape[2] - colours]):
        if kind in (_PREMULTIPLIED, _ALPHA):
            alpha = samples[..., colours + number]
            return (kind, alpha) if alpha.any() else None
    return None


def _with_alpha(image: Image.Image, alpha: Pixels | None, premultiplied: bool) -> Image.Image:
    """Return the image with its transparency, (height, width), with the colours as they are without it."""
    if alpha is None:
        return image
    if premultiplied and image.mode in ("L", "RGB"):
        colours = np.asarray(image, np.float32)
        share = np.maximum(alpha, 1).astype(np.float32) / 255
        colours /= share if colours.ndim == 2 else share[..., None]
        image = Image.fromarray(np.clip(colours + 0.5, 0, 255).astype(np.uint8))
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    return image


def _eight_bit(page: "TiffPage", samples: NDArray[Any]) -> Pixels:
    """Scale samples to eight bits by the white that the file declares or holds; see `depth`."""
    colours = samples.shape[2]
    if int(page.photometric) in (CIELAB, ICCLAB) and samples.dtype.itemsize == 2:
        return (samples.view(np.uint16) >> 8).astype(np.uint8)
    if samples.dtype == np.uint16 and colours > 1 and _bits(page) == 16:
        declared = _declared_white(page)
        if declared is None and samples.max(initial=0) > 2**14:
            return (samples >> 8).astype(np.uint8)  # as Pillow reads PNGs of 16 bits per channel
    return to_eight_bit(samples, _bits(page), _declared_white(page), _nodata(page))


def _bits(page: "TiffPage") -> int:
    bits: Any = page.bitspersample
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def _declared_white(page: "TiffPage") -> float | None:
    """Return the greatest sample that the file declares; None where it declares none, or one for each whole range."""
    for tag in (_SMAX_SAMPLE, _MAX_SAMPLE):
        value: Any = page.tags.valueof(tag)
        if value is not None:
            try:
                return float(max(value) if isinstance(value, tuple) else value)
            except (TypeError, ValueError):
                continue
    return None


def _nodata(page: "TiffPage") -> float | None:
    """Return the value of pixels without content, where the file declares one (GDAL's tag)."""
    try:
        return float(page.tags.valueof(_GDAL_NODATA))
    except (TypeError, ValueError):
        return None


def _palette_colours(page: "TiffPage", indices: NDArray[Any]) -> Pixels:
    """Return the colours of a page with a colour map, uint8 (height, width, 3)."""
    stored = page.colormap
    if stored is None:
        raise ImageFault("unreadable", "a TIFF with a palette that is missing")
    palette = np.asarray(stored).reshape(3, -1).T
    # The map has 16 bits; some programs write bytes into it.
    colours: Pixels = (palette >> 8 if palette.max(initial=0) > 255 else palette).astype(np.uint8)
    return colours[np.minimum(indices.astype(np.intp), len(colours) - 1)]


def upsampled(page: "TiffPage", segment: Callable[[int], bytes]) -> NDArray[Any]:
    """Decode YCbCr whose colours are stored at a lower resolution, other than as JPEG, to uint8 (height, width, 3).

    Each unit of a strip is the brightness of a block of pixels, row by row, followed by its two colours (TIFF 6.0, section 21).
    """
    from tifffile import TIFF

    wide, high = (int(factor) for factor in page.tags.valueof(_SUBSAMPLING) or (2, 2))
    width, height = int(page.imagewidth), int(page.imagelength)
    rows = min(int(page.rowsperstrip), height)
    if page.is_tiled or page.planarconfig == 2 or page.predictor != 1 or page.bitspersample != 8 or not wide or not high:
        raise ImageFault("unreadable", "a TIFF with subsampled colours in tiles or planes; convert it to RGB")
    across = -(-width // wide)
    colours = np.zeros((-(-height // rows) * rows, across * wide, 3), np.uint8)
    unit = wide * high + 2
    for index in range(-(-height // rows)):
        stored = segment(index)
        data = np.frombuffer(stored if page.compression == 1 else TIFF.DECOMPRESSORS[page.compression](stored), np.uint8)
        down = -(-min(rows, height - index * rows) // high)
        if data.size < down * across * unit:
            raise ImageFault("truncated", "its data end early")
        units = data[: down * across * unit].reshape(down, across, unit)
        strip = np.empty((down * high, across * wide, 3), np.uint8)
        blocks = units[..., :-2].reshape(down, across, high, wide)
        strip[..., 0] = blocks.transpose(0, 2, 1, 3).reshape(down * high, across * wide)
        for channel in (1, 2):
            strip[..., channel] = units[..., channel - 3].repeat(high, 0).repeat(wide, 1)
        kept = min(len(strip), len(colours) - index * rows)
        colours[index * rows : index * rows + kept] = strip[:kept]
    return colours[:height, :width]
