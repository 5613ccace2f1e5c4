"""Compare methods of finding the product in a photo: cost, and accuracy of the bundle on the result.

    python -m benchmarks.accuracy.product FOLDERS... [--model catalog] [--passes 5] [--sweep] [--out FILE.md]

Each folder has a labels.csv (path,label,kind,group). Photos are decoded first, no larger than `decode.SIDE`; only
`extract_product` is timed, on one thread, in processor time, which other programs on the machine disturb less than wall time.

The methods replace `product.product_mask`, `find_person` or `_lifted`, and nothing else: each mask is cleaned, rid of
small parts, cut, shrunk and sharpened by the same steps. The accuracy is that of one bundle, which was trained on fmtag's own
cuts and so favours them where two cuts are equally good. It is measured on the half that design choices may use, without the
loosely mapped kinds.

Parameters of each library's method, and the values that `--sweep` tries on that same half:

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

from benchmarks.reporting import RESULTS, hardware, write
from tagger.arrays import Pixels
from tagger.evaluation.evaluate import Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.predictor import Predictor
from tagger.metrics.significance import Interval, macro_bootstrap_interval
from tagger.models import bundle
from tagger.photos import background, decode, product
from tagger.records import Photo, ProductImage

Replacements: TypeAlias = Mapping[str, Callable[..., Any]]
"""Functions of the module `product` by name, each with its replacement."""

DecodedPhoto: TypeAlias = tuple[Example, Photo]


# Methods of finding the product ------------------------------------------------------------------------------------------


def cleaned(apart: Pixels) -> Pixels | None:
    """Return a foreground mask, uint8 (h, w) 0 or 255, without specks and small parts, as `product_mask` does with its own."""
    opened = cv2.dilate(cv2.erode(apart, np.ones((2, 2)), anchor=(1, 1)), np.ones((2, 2)), anchor=(0, 0))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5)))
    mask = background.large_parts(np.asarray(closed, np.uint8), background.MIN_PART)
    return mask if np.count_nonzero(mask) >= background.MIN_AREA * mask.size else None


def by_grabcut(pixels: Pixels, margin: float = 0.02, rounds: int = 2) -> Pixels | None:
    """Return the foreground of GrabCut, which starts from a rectangle and refines it for a number of rounds."""
    height, width = pixels.shape[:2]
    x, y = max(1, round(margin * width)), max(1, round(margin * height))
    parts = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)  # GrabCut initialises its colour clusters at random
    try:
        rectangle = (x, y, width - 2 * x, height - 2 * y)
        cv2.grabCut(pixels, parts, rectangle, None, None, rounds, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # foreground or background is empty
        return None
    return cleaned(np.where(parts % 2 == 1, 255, 0).astype(np.uint8))


def by_watershed(pixels: Pixels, border: float = 0.02, centre: float = 0.2) -> Pixels | None:
    """Return the region that a watershed floods from the centre, with the border as the other marker."""
    height, width = pixels.shape[:2]
    x, y = max(1, round(border * width)), max(1, round(border * height))
    markers = np.ones((height, width), np.int32)
    markers[y:-y, x:-x] = 0
    half_y, half_x = max(1, round(centre * height / 2)), max(1, round(centre * width / 2))
    markers[height // 2 - half_y : height // 2 + half_y, width // 2 - half_x : width // 2 + half_x] = 2
    cv2.watershed(cv2.GaussianBlur(pixels, (5, 5), 0), markers)
    return cleaned(np.where(markers == 2, 255, 0).astype(np.uint8))


def by_otsu(pixels: Pixels, lab: bool = False) -> Pixels | None:
    """Return the pixels whose distance from the border's median colour is above Otsu's threshold."""
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
    """Return the regions enclosed by Canny's edges after a morphological closing."""
    edges = cv2.Canny(cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0), low, high)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    # Padded, as regions that touch the border would stay open there.
    padded = cv2.copyMakeBorder(edges, size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    closed = np.asarray(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc), np.uint8)
    return cleaned(np.ascontiguousarray(product._fill_holes(closed)[size:-size, size:-size]))


FMTAG = "fmtag"

METHODS: dict[str, Replacements] = {
    FMTAG: {},
    "cv2.grabCut in a rectangle": {"product_mask": by_grabcut},
    "cv2.watershed from border and centre": {"product_mask": by_watershed},
    "Otsu on the distance from the border": {"product_mask": by_otsu},
    "Canny's edges, closed and filled": {"product_mask": by_canny},
    "fmtag without person detection": {"find_person": lambda pixels, small, mask: None},
    "fmtag without contrast lift of pale products": {"_lifted": lambda product: product},
}

_PARAMETERS = {
    "grabCut": [partial(by_grabcut, margin=m, rounds=r) for m, r in combinations_of((0.02, 0.05, 0.1), (2, 3))],
    "watershed": [partial(by_watershed, border=b, centre=c) for b, c in combinations_of((0.02, 0.04), (0.1, 0.2, 0.4))],
    "Otsu": [partial(by_otsu, lab=lab) for lab in (False, True)],
    "Canny": [
        partial(by_canny, low=low, high=high, size=size)
        for (low, high), size in combinations_of(((15, 50), (30, 90), (60, 180)), (3, 7, 11))
    ],
}

SWEEP: dict[str, Replacements] = {
    f"{name} {', '.join(f'{key} {value}' for key, value in method.keywords.items())}": {"product_mask": method}
    for name, methods in _PARAMETERS.items()
    for method in methods
}


@contextmanager
def replaced_functions(replacements: Replacements) -> Iterator[None]:
    """Replace functions of the module `product` within a `with` block."""
    originals = {name: getattr(product, name) for name in replacements}
    try:
        for name, replacement in replacements.items():
            setattr(product, name, replacement)
        yield
    finally:
        for name, original in originals.items():
            setattr(product, name, original)


# Measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The product images of one folder's photos by one method, and its milliseconds per photo."""

    products: Sequence[ProductImage]
    milliseconds: float

    @property
    def not_found(self) -> int:
        """Number of photos in which no product was found."""
        return sum(not one.found for one in self.products)


def decoded(rows: Sequence[Example]) -> list[DecodedPhoto]:
    """Return the photos that can be read, with their rows."""
    photos = [(row, decode.decode(row.file)) for row in rows if row.file]
    return [(row, photo) for row, photo in photos if isinstance(photo, Photo)]


def milliseconds(photos: Sequence[DecodedPhoto], passes: int) -> float:
    """Return the milliseconds per photo, median over the passes."""
    means = []
    for _ in range(passes):
        started = time.process_time()
        for _, photo in photos:
            product.extract_product(photo)
        means.append((time.process_time() - started) * 1000 / len(photos))
    return statistics.median(means)


def outcomes(photos: Sequence[DecodedPhoto], methods: Mapping[str, Replacements]) -> dict[str, Outcome]:
    """Return the outcome of every method; methods alternate photo by photo, so that all run under the same load."""
    products: dict[str, list[ProductImage]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for _, photo in photos:
        for name, replacements in methods.items():
            with replaced_functions(replacements):
                started = time.process_time()
                products[name].append(product.extract_product(photo))
                seconds[name] += time.process_time() - started
    return {name: Outcome(products[name], seconds[name] * 1000 / len(photos)) for name in methods}


def accuracy(photos: Sequence[DecodedPhoto], outcome: Outcome, predictor: Predictor, labels: Sequence[str]) -> Interval:
    """Return the macro accuracy with its interval; a photo without a product is wrong."""
    predicted = predictor(outcome.products).argmax(axis=1)
    right = [
        found.found and labels[number] == row.label
        for (row, _), found, number in zip(photos, outcome.products, predicted, strict=True)
    ]
    return macro_bootstrap_interval(right, [row.label for row, _ in photos], [row.group for row, _ in photos])


# The report --------------------------------------------------------------------------------------------------------


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings(tuple(options.folders), model=options.model, device="cpu", workers=1))
    yield f"# Finding the product, {evaluation.model}\n"
    yield f"`python -m benchmarks.accuracy.product {shlex.join(sys.argv[1:])}`\n"
    yield f"{hardware()}; one thread, photos of at most {decode.SIDE} px, decoded before; processor time.\n"
    yield from _costs(evaluation.sources, options.passes)
    yield from _comparison(evaluation.sources, options, evaluation.labels)


def _costs(sources: Mapping[str, Sequence[Example]], passes: int) -> Iterator[str]:
    yield f"## Cost of `extract_product`, median of {passes} passes\n"
    yield "| photos | n | ms per photo |"
    yield "|---|---|---|"
    for name, rows in sources.items():
        photos = decoded(rows)
        yield f"| {name} | {len(photos)} | {milliseconds(photos, passes):.2f} |"


def _comparison(sources: Mapping[str, Sequence[Example]], options: argparse.Namespace, labels: Sequence[str]) -> Iterator[str]:
    methods = {FMTAG: METHODS[FMTAG], **SWEEP} if options.sweep else METHODS
    chosen = {name: decoded([row for row in rows if _may_be_used(row)]) for name, rows in sources.items()}
    chosen = {name: photos for name, photos in chosen.items() if photos}
    if not chosen:
        return
    predictor = Predictor(bundle.load(options.model), "cpu")
    results = {name: outcomes(photos, methods) for name, photos in chosen.items()}
    sizes = [f"{name}, n = {len(photos)} ({len({row.group for row, _ in photos})})" for name, photos in chosen.items()]
    yield "\n## Macro accuracy by method, on the half that choices look at\n"
    yield "Unambiguous photos of known labels alone; n (groups); 95 % intervals from draws of whole groups.\n"
    yield f"| method | ms per photo | {' | '.join(sizes)} | mean | no product found |"
    yield f"|{'---|' * (len(sizes) + 4)}"
    count = sum(map(len, chosen.values()))
    for method in methods:
        shares = [accuracy(photos, results[name][method], predictor, labels) for name, photos in chosen.items()]
        cost = sum(results[name][method].milliseconds * len(photos) for name, photos in chosen.items()) / count
        not_found = sum(results[name][method].not_found for name in chosen) / count
        cells = " | ".join(f"{share:.3f} ({low:.3f}-{high:.3f})" for share, low, high in shares)
        yield f"| {method} | {cost:.2f} | {cells} | {statistics.mean(share for share, _, _ in shares):.3f} | {not_found:.1%} |"


def _may_be_used(row: Example) -> bool:
    return row.known and not row.ambiguous and not row.kept


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--sweep", action="store_true", help="compare parameters of the libraries' methods instead")
    parser.add_argument("--out", type=Path, default=RESULTS / "product.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
