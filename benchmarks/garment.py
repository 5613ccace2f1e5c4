"""What finding the product costs, and other ways to find it side by side.

    python benchmarks/garment.py FOLDERS... [--model catalog] [--passes 5] [--sweep] [--out benchmarks/garment.md]

Each folder has a labels.csv (path,label,kind,group). Photos are decoded first, no larger than `decode.SIDE`; what is timed is
`product` alone, on one thread, in processor time, which other programs on the machine bend less than the clock's.

The ways replace `garment.product_mask`, `worn` or `_lifted` and leave all else as it is: each mask is cleaned, freed of small
parts, cut, shrunk and sharpened in the same steps. Accuracy is that of one bundle, which learnt from cuts of ours, so it leans
to ours where two cuts are equally good. It is of the half that choices may look at, without the loosely mapped kinds.

What each library's way is given, and what `--sweep` tries beside it on that same half:

- cv2.grabCut: a rectangle 2 % within the photo, 2 rounds; 5 % and 10 %, 3 rounds;
- cv2.watershed: the border's outermost 2 % and a centre of 20 % as markers; 4 %, centres of 10 % and 40 %;
- Otsu's threshold on the largest channel's distance from the border's median colour; the distance in Lab;
- Canny's edges from 30 and 90 on, closed by 7x7 and filled; from 15 and 50, from 60 and 180; 3x3 and 11x11.
"""

import argparse
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product as combinations_of
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from reporting import hardware, write

from tagger.arrays import Pixels
from tagger.evaluation.evaluate import Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.predictor import Predictor
from tagger.metrics.significance import Interval, macro_bootstrap_interval
from tagger.models import bundle
from tagger.photos import decode, product
from tagger.records import Photo, ProductImage

HERE = Path(__file__).resolve().parent

Swaps: TypeAlias = Mapping[str, Callable[..., Any]]
"""What of the module `product` a way replaces."""

Taken: TypeAlias = tuple[Example, Photo]


# Ways to find the product ------------------------------------------------------------------------------------------


def cleaned(apart: Pixels) -> Pixels | None:
    """Return what stands out, uint8 (h, w) 0 or 255, as `product_mask` leaves its own: without specks and small parts."""
    opened = cv2.dilate(cv2.erode(apart, np.ones((2, 2)), anchor=(1, 1)), np.ones((2, 2)), anchor=(0, 0))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5)))
    mask = product._large_parts(np.asarray(closed, np.uint8), product.MIN_PART)
    return mask if np.count_nonzero(mask) >= product.MIN_AREA * mask.size else None


def by_grabcut(pixels: Pixels, margin: float = 0.02, rounds: int = 2) -> Pixels | None:
    """Begin with all within a rectangle as the product, and cut by colours and edges so many times."""
    height, width = pixels.shape[:2]
    x, y = max(1, round(margin * width)), max(1, round(margin * height))
    parts = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)  # it draws the first clusters of colours
    try:
        rectangle = (x, y, width - 2 * x, height - 2 * y)
        cv2.grabCut(pixels, parts, rectangle, None, None, rounds, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # nothing left of one of both sides
        return None
    return cleaned(np.where(parts % 2 == 1, 255, 0).astype(np.uint8))


def by_watershed(pixels: Pixels, border: float = 0.02, centre: float = 0.2) -> Pixels | None:
    """Flood from the border and from the centre until both meet."""
    height, width = pixels.shape[:2]
    x, y = max(1, round(border * width)), max(1, round(border * height))
    markers = np.ones((height, width), np.int32)
    markers[y:-y, x:-x] = 0
    half_y, half_x = max(1, round(centre * height / 2)), max(1, round(centre * width / 2))
    markers[height // 2 - half_y : height // 2 + half_y, width // 2 - half_x : width // 2 + half_x] = 2
    cv2.watershed(cv2.GaussianBlur(pixels, (5, 5), 0), markers)
    return cleaned(np.where(markers == 2, 255, 0).astype(np.uint8))


def by_otsu(pixels: Pixels, lab: bool = False) -> Pixels | None:
    """Split the distances from the border's median colour in two."""
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB) if lab else pixels
    strips = (colours[:3], colours[-3:], colours[:, :3], colours[:, -3:])
    middle = np.median(np.concatenate([strip.reshape(-1, 3) for strip in strips]), axis=0)
    first, second, third = cv2.split(cv2.absdiff(colours, (*middle, 0)))
    if lab:
        lengths = cv2.magnitude(cv2.magnitude(first.astype(np.float32), second.astype(np.float32)), third.astype(np.float32))
        levels = cv2.convertScaleAbs(lengths)
    else:
        levels = cv2.max(cv2.max(first, second), third)
    return cleaned(np.asarray(cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], np.uint8))


def by_canny(pixels: Pixels, low: int = 30, high: int = 90, size: int = 7) -> Pixels | None:
    """Close the edges and fill what they enclose."""
    edges = cv2.Canny(cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0), low, high)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    # With room around, or what touches the border would stay open there.
    room = cv2.copyMakeBorder(edges, size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    closed = np.asarray(cv2.morphologyEx(room, cv2.MORPH_CLOSE, disc), np.uint8)
    return cleaned(np.ascontiguousarray(product._fill_holes(closed)[size:-size, size:-size]))


OURS = "fmtag's garment"

WAYS: dict[str, Swaps] = {
    OURS: {},
    "cv2.grabCut in a rectangle": {"product_mask": by_grabcut},
    "cv2.watershed from border and centre": {"product_mask": by_watershed},
    "Otsu on the distance from the border": {"product_mask": by_otsu},
    "Canny's edges, closed and filled": {"product_mask": by_canny},
    "ours without figure": {"worn": lambda pixels, mask: None},
    "ours without the lift of pale products": {"_lifted": lambda product: product},
}

_TRIED = {
    "grabCut": [partial(by_grabcut, margin=m, rounds=r) for m, r in combinations_of((0.02, 0.05, 0.1), (2, 3))],
    "watershed": [partial(by_watershed, border=b, centre=c) for b, c in combinations_of((0.02, 0.04), (0.1, 0.2, 0.4))],
    "Otsu": [partial(by_otsu, lab=lab) for lab in (False, True)],
    "Canny": [
        partial(by_canny, low=low, high=high, size=size)
        for (low, high), size in combinations_of(((15, 50), (30, 90), (60, 180)), (3, 7, 11))
    ],
}

SWEEP: dict[str, Swaps] = {
    f"{name} {', '.join(f'{key} {value}' for key, value in way.keywords.items())}": {"product_mask": way}
    for name, ways in _TRIED.items()
    for way in ways
}


@contextmanager
def swapped(swaps: Swaps) -> Iterator[None]:
    """Replace names in the module `product` for a while."""
    originals = {name: getattr(product, name) for name in swaps}
    try:
        for name, replacement in swaps.items():
            setattr(product, name, replacement)
        yield
    finally:
        for name, original in originals.items():
            setattr(product, name, original)


# Measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a way made of the photos of one folder, and in how many milliseconds a photo."""

    garments: Sequence[ProductImage]
    milliseconds: float

    @property
    def unmasked(self) -> int:
        """In how many photos no product was found."""
        return sum(not one.found for one in self.garments)


def decoded(rows: Sequence[Example]) -> list[Taken]:
    """Return the photos that can be read, with their rows."""
    photos = [(row, decode.decode(row.file)) for row in rows if row.file]
    return [(row, photo) for row, photo in photos if isinstance(photo, Photo)]


def milliseconds(taken: Sequence[Taken], passes: int) -> float:
    """Return the median over the passes of a photo's mean."""
    means = []
    for _ in range(passes):
        started = time.process_time()
        for _, photo in taken:
            product.extract_product(photo)
        means.append((time.process_time() - started) * 1000 / len(taken))
    return statistics.median(means)


def outcomes(taken: Sequence[Taken], ways: Mapping[str, Swaps]) -> dict[str, Outcome]:
    """Return what every way makes of the photos; they take turns photo by photo, so that all meet the same machine."""
    garments: dict[str, list[ProductImage]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for _, photo in taken:
        for name, swaps in ways.items():
            with swapped(swaps):
                started = time.process_time()
                garments[name].append(product.extract_product(photo))
                seconds[name] += time.process_time() - started
    return {name: Outcome(garments[name], seconds[name] * 1000 / len(taken)) for name in ways}


def accuracy(taken: Sequence[Taken], outcome: Outcome, predictor: Predictor, labels: Sequence[str]) -> Interval:
    """Return the macro accuracy with its interval; a photo without a product is wrong."""
    said = predictor(outcome.garments).argmax(axis=1)
    right = [
        found.found and labels[number] == row.label
        for (row, _), found, number in zip(taken, outcome.garments, said, strict=True)
    ]
    return macro_bootstrap_interval(right, [row.label for row, _ in taken], [row.group for row, _ in taken])


# The report --------------------------------------------------------------------------------------------------------


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings(tuple(options.folders), model=options.model, device="cpu", workers=1))
    yield f"# Finding the product, {evaluation.model}\n"
    yield f"`python benchmarks/garment.py {shlex.join(sys.argv[1:])}`\n"
    yield f"{hardware()}; one thread, photos of at most {decode.SIDE} px, decoded before; processor time.\n"
    yield from _costs(evaluation.sources, options.passes)
    yield from _side_by_side(evaluation.sources, options, evaluation.labels)


def _costs(sources: Mapping[str, Sequence[Example]], passes: int) -> Iterator[str]:
    yield f"## Cost of `product`, median of {passes} passes\n"
    yield "| photos | n | ms a photo |"
    yield "|---|---|---|"
    for name, rows in sources.items():
        taken = decoded(rows)
        yield f"| {name} | {len(taken)} | {milliseconds(taken, passes):.2f} |"


def _side_by_side(
    sources: Mapping[str, Sequence[Example]], options: argparse.Namespace, labels: Sequence[str]
) -> Iterator[str]:
    ways = {OURS: WAYS[OURS], **SWEEP} if options.sweep else WAYS
    chosen = {name: decoded([row for row in rows if _looked_at(row)]) for name, rows in sources.items()}
    chosen = {name: taken for name, taken in chosen.items() if taken}
    if not chosen:
        return
    predictor = Predictor(bundle.load(options.model), "cpu")
    made = {name: outcomes(taken, ways) for name, taken in chosen.items()}
    sizes = [f"{name}, n = {len(taken)} ({len({row.group for row, _ in taken})})" for name, taken in chosen.items()]
    yield "\n## Ways side by side: macro accuracy on the half that choices look at\n"
    yield "Unambiguous photos of known labels alone; n (groups); 95 % intervals from draws of whole groups.\n"
    yield f"| way | ms a photo | {' | '.join(sizes)} | mean | no product found |"
    yield f"|{'---|' * (len(sizes) + 4)}"
    count = sum(map(len, chosen.values()))
    for way in ways:
        shares = [accuracy(taken, made[name][way], predictor, labels) for name, taken in chosen.items()]
        cost = sum(made[name][way].milliseconds * len(taken) for name, taken in chosen.items()) / count
        unmasked = sum(made[name][way].unmasked for name in chosen) / count
        cells = " | ".join(f"{share:.3f} ({low:.3f}-{high:.3f})" for share, low, high in shares)
        yield f"| {way} | {cost:.2f} | {cells} | {statistics.mean(share for share, _, _ in shares):.3f} | {unmasked:.1%} |"


def _looked_at(row: Example) -> bool:
    return row.known and not row.ambiguous and not row.kept


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--sweep", action="store_true", help="what the libraries' ways might be given, instead of the ways")
    parser.add_argument("--out", type=Path, default=HERE / "garment.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
