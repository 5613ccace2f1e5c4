"""Find and trim the even bars around a photo: padding to a square, letterboxes, frames, borders of screenshots.

A bar is a strip along a side of the photo, of one colour, that ends in a straight edge. Ground around a product is of one
colour too, but what it surrounds has no straight edges over its whole width and height. So the bounds of all that differs from
the colour of a side are examined: they are those of a photo within bars if each of their sides that is not the photo's own edge
is filled from end to end.

Compression blurs edges, by more the greater the contrast. Therefore what counts as different is tried at several levels, each
for edges of a contrast well above it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Flags, Pixels, as_uint8
from tagger.photos.background import product_mask, shrunk

EDGE_SHARE = 0.0125
"""Share of the longer side that is cropped on all four sides: many exports draw a faint frame there, and edges are blurred."""

LEVELS = ((4, 6), (6, 9), (9, 14), (16, 28), (32, 64), (64, 128))
"""Pairs of grey levels: pixels that differ from the bar by more than the first are no bar, if the median of those at its edge
differs by at least the second."""

SAMPLES = 40
"""Pixels that are examined of each row and of each column, evenly spread."""

MAX_STRAY = 0.05
"""Share of a row or column of a bar that may differ: noise, small print."""

MIN_FILLED, MIN_FILLED_FRAME = 0.6, 0.9
"""Share of an edge of a bar at which the photo differs from the bar; products of the bar's colour may reach it. Between bars on
adjacent sides it is higher, as flat products may have straight edges all around."""

END, MIN_FILLED_END = 12, 0.5
"""The same share of either end of an edge, each a twelfth of it: there lies the photo's ground."""

EVEN, BLURRED = 9, 16
"""More than 16 pixels from its edge a bar differs by no more than 9 levels, one of `LEVELS`: compression blurs no farther."""

MAX_RISE = 0.4
"""Two lines before its end a bar differs from its colour by at most this share of what it does at its end."""

SETTLED = 0.85
"""A line is mixed with the bar if it differs from it by less than this share of what the lines farther on do."""

MIN_INSIDE, MIN_INSIDE_FRAME = 0.15, 0.5
"""Share of the width and of the height that a photo within bars has at least, and between bars on adjacent sides."""

EDGE_LINES = 3
"""Rows of pixels over which an edge may extend where a photo was shrunk with its bars."""

MIN_SIDE = 48
"""Sides of photos in pixels below which nothing is trimmed: of so few, a flat product is not told from a photo."""

MAX_ROUNDS = 6
"""Bars within bars that are trimmed."""

_LEVELS_ALONE = np.array([level for level, _ in LEVELS], np.uint8)
_EVEN_LEVEL = [level for level, _ in LEVELS].index(EVEN)

MAX_DEPTH = 2 * BLURRED + EDGE_LINES
"""Lines of a side that are examined where bars have at most `BLURRED`: up to the last that `_settled` compares."""

Box: TypeAlias = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels; bottom and right are exclusive."""


def crop_edge(pixels: Pixels) -> Pixels:
    """Crop `EDGE_SHARE` off every side of a photo, uint8 (h, w, 3), unless it is too small for that."""
    edge = _edge(pixels)
    return np.ascontiguousarray(pixels[edge:-edge, edge:-edge]) if edge else pixels


def trim_bars(pixels: Pixels) -> Pixels:
    """Trim even bars of any colours, bars within bars too, off the sides of a photo, uint8 (h, w, 3) RGB.

    Bars that `crop_edge` would crop are left to it.

    Returns:
        uint8 (h, w, 3): the part of the photo without bars, or the photo itself where there are none.
    """
    for _ in range(MAX_ROUNDS):
        edge = _edge(pixels)
        height, width = pixels.shape[0] - 2 * edge, pixels.shape[1] - 2 * edge
        if min(height, width) < MIN_SIDE:
            break
        box = _photo_within_bars(pixels[edge : edge + height, edge : edge + width])
        if box is None:
            break
        top, bottom, left, right = box
        adjacent = (top > 0 or bottom < height) and (left > 0 or right < width)
        if adjacent and not _shows_product(pixels[top + edge : bottom + edge, left + edge : right + edge]):
            break  # the rectangle is the product
        # A side without a bar keeps its edge.
        rows = slice(top + edge if top else 0, bottom + edge if bottom < height else None)
        columns = slice(left + edge if left else 0, right + edge if right < width else None)
        pixels = pixels[rows, columns]
    return pixels


def _edge(pixels: Pixels) -> int:
    """Return how many pixels `crop_edge` crops off every side."""
    edge = round(EDGE_SHARE * max(pixels.shape))
    return edge if min(pixels.shape[:2]) > 4 * edge else 0


def _shows_product(pixels: Pixels) -> bool:
    """Return whether something stands out from the ground of what lies within bars."""
    return product_mask(crop_edge(shrunk(pixels))) is not None


def _photo_within_bars(pixels: Pixels) -> Box | None:
    """Return the bounds of the photo within bars of one colour; None where there are no bars."""
    height, width = pixels.shape[:2]
    down, across = _samples(height), _samples(width)
    sides = np.stack([pixels[0, across], pixels[-1, across], pixels[down, 0], pixels[down, -1]])
    colours, narrow = _colours_of_sides(sides)
    if not len(colours):
        return None
    depth = MAX_DEPTH if narrow else max(height, width)
    rows = _outer_rows(pixels, depth)
    rows = as_uint8(cv2.resize(rows, (SAMPLES, len(rows)), interpolation=cv2.INTER_NEAREST))
    columns = _outer_rows(as_uint8(cv2.transpose(pixels[down])), depth)
    differences = _differences(np.array(cv2.split(np.concatenate([rows, columns])), np.uint8), colours)
    start = _EVEN_LEVEL + 1 if narrow else 0
    for of_colour, widths in zip(differences, _widths(differences, len(rows), start), strict=True):
        lines = of_colour[: len(rows)], of_colour[len(rows) :]
        box = _box_of_photo(*lines, (height, width), list(zip(LEVELS[start:], widths, strict=True)))
        if box is not None:
            return box
    return None


@lru_cache(maxsize=128)  # the photos of a shop have few sizes
def _samples(length: int) -> NDArray[np.intp]:
    """Return the places, (`SAMPLES`,), of the pixels of a line that are examined: those that OpenCV's resizing takes."""
    places = np.arange(length, dtype=np.float32)[None]
    return np.asarray(cv2.resize(places, (SAMPLES, 1), interpolation=cv2.INTER_NEAREST)[0], np.intp)


def _colours_of_sides(sides: Pixels) -> tuple[Pixels, bool]:
    """Return the colours that bars may have, and whether their bars are narrow: of at most `BLURRED` lines.

    Args:
        sides: uint8 (4, `SAMPLES`, 3), the outermost line of each side.

    Returns:
        uint8 (n, 3), the medians of those sides that are even in colour, similar ones but once. Bars are narrow where no side
        is even to `EVEN` levels, as in most photos of a room: `MAX_DEPTH` lines of each side show then whether there are any.
    """
    medians = np.partition(sides, SAMPLES // 2, axis=1)[:, SAMPLES // 2]
    differences = _differences(sides.transpose(2, 0, 1), medians)
    stray = np.count_nonzero(differences > _LEVELS_ALONE[[_EVEN_LEVEL, -1], None, None, None], axis=3) > MAX_STRAY * SAMPLES
    tried: list[list[int]] = []
    numbers: list[int] = []
    for number in np.flatnonzero(~stray[1].diagonal()).tolist():
        colour = medians[number].tolist()
        if all(max(abs(one - two) for one, two in zip(colour, other, strict=True)) > LEVELS[0][0] for other in tried):
            tried.append(colour)
            numbers.append(number)
    return medians[numbers], bool(stray[0, numbers].all())


def _differences(channels: Pixels, colours: Pixels) -> Pixels:
    """Return the largest difference of three channels, uint8 (3, h, w), from each colour, (n, 3), as uint8 (n, h, w)."""
    each = channels.astype(np.int16)[:, None] - colours.T.astype(np.int16)[:, :, None, None]
    red, green, blue = np.abs(each, out=each)
    return as_uint8(np.maximum(np.maximum(red, green, out=red), blue, out=red))


def _outer_rows(pixels: Pixels, depth: int) -> Pixels:
    """Return the first and the last `depth` rows, or all where they are no more than that."""
    return pixels if len(pixels) <= 2 * depth else np.concatenate([pixels[:depth], pixels[-depth:]])


def _widths(differences: Pixels, rows: int, start: int) -> list[list[list[int] | None]]:
    """Return how many lines of each side do not differ from a colour, for each colour and each of `LEVELS[start:]`.

    Args:
        differences: uint8 (colours, lines, samples), those of the rows first. All at once, as each call costs more than the
            numbers do.
        rows: the number of rows.
        start: the place of the first level.

    Returns:
        The lines above, below, on the left and on the right before the first of which more than `MAX_STRAY` of the samples
        differ by more than the level; None where no row does or no column.
    """
    lines, samples = differences.shape[1:]
    differing = (differences[:, None] > _LEVELS_ALONE[start:, None, None]).view(np.uint8).reshape(-1, samples)
    counts = np.asarray(cv2.reduce(differing, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S))
    many = counts.reshape(len(differences), -1, lines) > MAX_STRAY * samples
    along_y, along_x = many[..., :rows], many[..., rows:]
    sides = along_y, along_y[..., ::-1], along_x, along_x[..., ::-1]
    widths = np.stack([side.argmax(axis=2) for side in sides], axis=2).tolist()
    found = (along_y.any(axis=2) & along_x.any(axis=2)).tolist()
    return [
        [width if one else None for width, one in zip(*of_colour, strict=True)] for of_colour in zip(widths, found, strict=True)
    ]


def _box_of_photo(
    rows: Pixels, columns: Pixels, shape: tuple[int, int], levels: Sequence[tuple[tuple[int, int], list[int] | None]]
) -> Box | None:
    """Return the bounds of what differs from a bar's colour, if they are those of a photo.

    Args:
        rows: uint8 (lines, samples), the differences of some pixels of each row from that colour; of all rows, or of the first
            and last `MAX_DEPTH` where bars are narrow.
        columns: uint8 (lines, samples), the same for each column.
        shape: height and width of what is examined.
        levels: from `LEVELS`, with the `_widths` of bars at each; without `EVEN` where bars are narrow.
    """
    height, width = shape
    even = [0, 0, 0, 0]
    for (level, contrast), widths in levels:
        if widths is None:
            return None
        if level == EVEN:
            even = widths
        if not any(widths):
            continue
        if level >= EVEN and any(width > first + BLURRED for width, first in zip(widths, even, strict=True)):
            continue
        top, bottom, left, right = widths[0], height - widths[1], widths[2], width - widths[3]
        adjacent = any(widths[:2]) and any(widths[2:])
        filled, inside = (MIN_FILLED_FRAME, MIN_INSIDE_FRAME) if adjacent else (MIN_FILLED, MIN_INSIDE)
        if bottom - top < inside * height or right - left < inside * width:
            continue
        within_y, within_x = _sampled((top, bottom), height), _sampled((left, right), width)
        sides = (rows[:, within_x], rows[::-1, within_x], columns[:, within_y], columns[::-1, within_y])
        bars = _bars(sides, widths, level, contrast, filled)
        if bars is not None:
            return bars[0], height - bars[1], bars[2], width - bars[3]
    return None


def _sampled(bounds: tuple[int, int], length: int) -> slice:
    """Return which samples of the lines across lie within bounds of a side of that length."""
    return slice(-(-bounds[0] * SAMPLES // length), max(1, bounds[1] * SAMPLES // length))


def _bars(sides: Sequence[Pixels], widths: Sequence[int], level: int, contrast: int, filled: float) -> list[int] | None:
    """Return what `_end_of_bar` does for each side; None where one of them does not end in a straight edge."""
    bars = []
    for lines, width in zip(sides, widths, strict=True):
        bar = _end_of_bar(lines, width, level, contrast, filled)
        if bar is None:
            return None
        bars.append(bar)
    return bars


def _end_of_bar(lines: Pixels, width: int, level: int, contrast: int, filled: float) -> int | None:
    """Return how many lines a bar has; None where it does not end in a straight edge.

    Args:
        lines: uint8 (lines, samples), the differences from the bar's colour, from the photo's own edge on.
        width: the lines before the first that differs; the bar ends there, or a few lines farther on where it is blurred.
        level: the first of a pair of `LEVELS`.
        contrast: the second.
        filled: the share of the edge at which the photo must differ from the bar.
    """
    if width == 0:
        return 0
    edge = lines[width : width + EDGE_LINES]
    if not edge.size:
        return None
    different: Flags = edge > level
    full = np.count_nonzero(different, axis=1) >= filled * edge.shape[1]
    if not full.any():
        return None
    end = max(1, edge.shape[1] // END)
    for part in (different[:, :end], different[:, -end:]):
        full &= np.count_nonzero(part, axis=1) >= MIN_FILLED_END * end
    if not full.any() or np.median(edge, axis=1).max() < contrast or _rises(lines, width, end):
        return None
    return _settled(lines, width + int(full.argmax()))


def _rises(lines: Pixels, width: int, end: int) -> bool:
    """Return whether lines become different little by little, as a whole or at either end, before they reach the edge."""
    for part in (np.s_[:], np.s_[:end], np.s_[-end:]):
        highest = np.median(lines[width : width + EDGE_LINES, part], axis=1).max()
        if np.median(lines[max(0, width - 2), part]) > MAX_RISE * highest:
            return True
    return False


def _settled(lines: Pixels, first: int) -> int:
    """Return the first line from `first` on that is no longer mixed with the bar by shrinking or compression."""
    medians = np.median(lines[first : first + BLURRED], axis=1)
    unmixed = SETTLED * float(np.median(medians[len(medians) // 2 :]))
    return first + int((medians[: BLURRED // 2 + 1] >= unmixed).argmax())
